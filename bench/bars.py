"""What is to be reached: every bar with the figure it must keep, and the one that an excellent implementation reaches."""

from __future__ import annotations

from enum import StrEnum
from statistics import median
from typing import Final

from attrs import field, frozen

TIMES: Final = "x"
MILLISECONDS: Final = "ms"
MEBIBYTES: Final = "MiB"
MODULES: Final = "modules"


class Verdict(StrEnum):
    """What a measurement says of its bar."""

    AIM = "aim reached"
    MUST = "reached"
    MISSED = "missed"
    NOT_HERE = "not here"  #: this machine or this checkout cannot tell


@frozen(kw_only=True)
class Bar:
    """One promise in figures; most are ratios of two times, because times alone do not travel."""

    name: str
    must: float
    aim: float | None = None
    unit: str = TIMES
    at_least: bool = False  #: the figure is one of those that should be large: how many times faster the subject is

    def verdict(self, measured: float) -> Verdict:
        """What a figure says."""
        if self.aim is not None and self._keeps(measured, self.aim):
            return Verdict.AIM
        return Verdict.MUST if self._keeps(measured, self.must) else Verdict.MISSED

    def _keeps(self, measured: float, limit: float) -> bool:
        return measured >= limit if self.at_least else measured <= limit


@frozen(kw_only=True)
class Samples:
    """What one subject took, one figure a round, in the order of the rounds."""

    name: str
    values: tuple[float, ...]
    cpu: tuple[float, ...] = ()  #: seconds of processor time of the same rounds, where that is known
    wall: tuple[float, ...] = ()  #: seconds on the wall of the same rounds, where the values are something else

    @property
    def middle(self) -> float:
        """The median."""
        return median(self.values)


@frozen(kw_only=True)
class Finding:
    """A bar and what was measured for it."""

    bar: Bar
    subject: Samples | None = None  #: None: nothing was measured, and the note says why
    reference: Samples | None = None  #: None where the bar is no ratio
    note: str = ""
    scale: float = field(default=1.0)  #: from the samples' unit to the bar's
    is_paired: bool = False  #: each sample was taken beside the reference's: the figure is the median of their ratios

    @property
    def measured(self) -> float | None:
        """The figure that is held against the bar: of medians, or the median of what the pairs say."""
        if self.subject is None:
            return None
        if self.is_paired:
            return median(self._single_figures(self.subject))
        return self._figure(self.subject.middle, self.reference.middle if self.reference else None)

    @property
    def spread(self) -> tuple[float, float] | None:
        """The least and the greatest figure that a single round would have given; of pairs, where their median lies (19 times of 20)."""
        if self.subject is None:
            return None
        single = sorted(self._single_figures(self.subject))
        off_middle = round(0.98 * len(single) ** 0.5) if self.is_paired else len(single)
        return single[max(0, len(single) // 2 - off_middle)], single[min(len(single) - 1, len(single) // 2 + off_middle)]

    @property
    def verdict(self) -> Verdict:
        """What the measurement says of the bar."""
        return Verdict.NOT_HERE if self.measured is None else self.bar.verdict(self.measured)

    def _single_figures(self, subject: Samples) -> list[float]:
        others = self.reference.values if self.reference else (None,) * len(subject.values)
        return [self._figure(one, other) for one, other in zip(subject.values, others, strict=True)]

    def _figure(self, one: float, other: float | None) -> float:
        if other is None:
            return one * self.scale
        return other / one if self.bar.at_least else one / other


# -- the file storage ----------------------------------------------------------------------------------------------------------------------

BULK_FLOOR: Final = Bar(name="bulk save, units of 1,000 / floor", must=2.0, aim=1.5)
BULK_SQLITE: Final = Bar(name="bulk save / SQLite", must=9, aim=6)
BULK_PER_RECORD: Final = Bar(name="bulk save / per record", must=0.5, aim=0.3)
UNIT_OF_3: Final = Bar(name="unit of 3, durable / SQLite", must=3.5, aim=2.0)
GROUP_COMMIT: Final = Bar(name="16 tasks, one ticket each / one task (throughput)", must=3, aim=6, at_least=True)
PAGE_SQLITE: Final = Bar(name="page of 100 with a status, of many / SQLite", must=4, aim=2.5)
PAGE_LARGE: Final = Bar(name="the same page of many / of a thousand", must=1.5, aim=1.2)
LISTING: Final = Bar(name="listing of the original / our page", must=500, aim=2_000, at_least=True)
FIND: Final = Bar(name="find / SQLite in a thread", must=3, aim=2)
OPEN: Final = Bar(name="clean open with many tickets", must=20, aim=5, unit=MILLISECONDS)
OPEN_LARGE: Final = Bar(name="clean open with many / with a thousand", must=1.5, aim=1.2)
REBUILD: Final = Bar(name="rebuild of a lost index / reading and parsing all files", must=3, aim=2)
IMPORT: Final = Bar(name="import of NDJSON: rate / bulk save alone", must=0.6, aim=0.8, at_least=True)
EXPORT: Final = Bar(name="export to NDJSON: rate / bulk save alone", must=0.6, aim=0.8, at_least=True)
IMPORT_MEMORY: Final = Bar(name="import: growth of peak memory, few to many records", must=8, aim=0.5, unit=MEBIBYTES)
EXPORT_MEMORY: Final = Bar(name="export: growth of peak memory, few to many records", must=8, aim=0.5, unit=MEBIBYTES)

# -- start-up ------------------------------------------------------------------------------------------------------------------------------

HELP: Final = Bar(name="deskstore --help / python -c pass", must=6, aim=5)
VERSION: Final = Bar(name="deskstore --version / python -c pass", must=6, aim=5)
IMPORT_PACKAGE: Final = Bar(name="import deskstore / python -c pass", must=5)
IMPORT_ATTRS: Final = Bar(name="import deskstore / import attrs", must=1.1)
FIRST_CALL: Final = Bar(name="get_storage(), first call answered / python -c pass", must=12)
OPENED: Final = Bar(name="open_storage(), first call answered / python -c pass", must=12)
COMMAND: Final = Bar(name="deskstore ticket list, files / python -c pass", must=15)
FOREIGN_MODULES: Final = Bar(name="modules of other stages loaded in file mode", must=0, unit=MODULES)
CONTAINER: Final = Bar(name="container over the bare port, a unit", must=1.05, aim=1.02)
FACADE: Final = Bar(name="facade over the use case, a unit", must=1.05, aim=1.02)

# -- backup --------------------------------------------------------------------------------------------------------------------------------

PER_CPU_S: Final = "/CPU s"

BACKUP_SIZE: Final = Bar(name="backup / tar | zstd -3 of the same files, bytes", must=1.1, aim=1.0)
BACKUP_CHECK: Final = Bar(name="backup check: tickets", must=20_000, aim=35_000, unit=PER_CPU_S, at_least=True)
BACKUP_MEMORY: Final = Bar(name="backup create: growth of peak memory, few to many records", must=8, aim=0.5, unit=MEBIBYTES)
CHECK_MEMORY: Final = Bar(name="backup check: growth of peak memory, few to many records", must=8, aim=0.5, unit=MEBIBYTES)
RESTORE_MEMORY: Final = Bar(name="backup restore: growth of peak memory, few to many records", must=8, aim=0.5, unit=MEBIBYTES)

# -- migration -----------------------------------------------------------------------------------------------------------------------------

MICROSECONDS: Final = "us"
ROUND_TRIPS: Final = "trips"
A_SECOND: Final = "/s"

MIGRATE_LINES: Final = Bar(name="import of NDJSON into PostgreSQL: rate / plain COPY", must=0.60, aim=0.90, at_least=True)
MIGRATE_CPU: Final = Bar(name="the same: processor time of ours, a ticket", must=60, aim=50, unit=MICROSECONDS)
MIGRATE_BACKUP: Final = Bar(name="restore of a backup into PostgreSQL: rate / plain COPY", must=0.60, aim=0.90, at_least=True)
MIGRATE_TREE: Final = Bar(name="files to PostgreSQL: rate / plain COPY", must=0.30, aim=0.45, at_least=True)
MIGRATE_DLT: Final = Bar(name="files to PostgreSQL: rate / dlt with the same files", must=3, aim=5, at_least=True)
MIGRATE_ORIGINAL: Final = Bar(name="files to PostgreSQL: rate / migrate_data() of the original", must=10, aim=20, at_least=True)
MIGRATE_PEAK: Final = Bar(name="files to PostgreSQL: peak memory", must=96, aim=75, unit=MEBIBYTES)
MIGRATE_GROWTH: Final = Bar(name="files to PostgreSQL: growth of peak memory, few to many records", must=8, aim=0.5, unit=MEBIBYTES)
VERIFY_DIGESTS: Final = Bar(name="verify, stored digests: tickets, reported only", must=0, unit=A_SECOND, at_least=True)
VERIFY_REHASH: Final = Bar(name="verify, hashed anew where they are kept: tickets, reported only", must=0, unit=A_SECOND, at_least=True)
VERIFY_CONTENT: Final = Bar(name="verify, all read back: tickets, reported only", must=0, unit=A_SECOND, at_least=True)
MIGRATE_AGAIN: Final = Bar(name="verify of what changed, 0.1 % / of everything", must=0.05, aim=0.01)
STALL: Final = Bar(name="cutover: longest write / 99 of 100 writes of the same run", must=5, aim=2)
STALL_MS: Final = Bar(name="cutover: longest write", must=250, unit=MILLISECONDS)
DUAL_FILES: Final = Bar(name="write to files that PostgreSQL follows / to files alone", must=1.15, aim=1.05)
DUAL_POSTGRES: Final = Bar(name="write to PostgreSQL that files follow / to PostgreSQL alone", must=1.15, aim=1.05)
DUAL_FILES_RATE: Final = Bar(name="files, PostgreSQL follows: rate until drained / the slower alone", must=0.8, aim=0.95, at_least=True)
DUAL_POSTGRES_RATE: Final = Bar(name="PostgreSQL, files follow: rate until drained / the slower alone", must=0.8, aim=0.95, at_least=True)
DUAL_DOWN: Final = Bar(name="write while the mirror is down / while it follows", must=1.2, aim=1.0)
STATE_TRIPS: Final = Bar(name="PostgreSQL: trips to see where a company lives", must=0, aim=0, unit=ROUND_TRIPS)

# -- the pipeline --------------------------------------------------------------------------------------------------------------------------

CLAIMED: Final = "tickets"

FILE_CLAIMS: Final = Bar(name="files: 8 workers claim 100 each / the bare statement in SQLite", must=30, aim=15)
FILE_CLAIMED_TWICE: Final = Bar(name="files: tickets that two workers were given", must=0, aim=0, unit=CLAIMED)
FILE_STATUS: Final = Bar(name="files: status updates of 16 tasks / SQLite, a commit each", must=30, aim=10)
FILE_COUNTS: Final = Bar(name="files: progress / counting in SQLite", must=1.0, aim=0.5)
FILE_WORKER: Final = Bar(name="files: work_off() / claim, get, complete one by one", must=1.5, aim=1.0)
PG_WORKER: Final = Bar(name="PostgreSQL: work_off() / claim, get, complete one by one", must=1.5, aim=1.0)

# -- the cache -----------------------------------------------------------------------------------------------------------------------------

CACHE_HIT: Final = Bar(name="cache: a hit / find on PostgreSQL", must=0.5, aim=0.3)
CACHE_HUNG: Final = Bar(name="cache: find while Redis hangs, once it is left alone / without Redis", must=1.05, aim=1.01)

# -- PostgreSQL ----------------------------------------------------------------------------------------------------------------------------

BUFFERS: Final = "buffers"
TRIPS: Final = "trips"
BYTES: Final = "B"
TICKETS: Final = "tickets"

PG_BULK: Final = Bar(name="PostgreSQL: bulk save, units of 1,000: rate / plain COPY", must=0.55, aim=0.65, at_least=True)
PG_BULK_TWO: Final = Bar(name="the same, two units in flight: rate / plain COPY", must=0.55, aim=0.65, at_least=True)
PG_UNCHANGED: Final = Bar(name="saving the same again, unchanged: rate / the first time", must=1.0, aim=2.0, at_least=True)
PG_CHANGED: Final = Bar(name="saving the same again, changed: rate / the first time", must=0.4, aim=0.7, at_least=True)
PG_NAIVE: Final = Bar(name="PostgreSQL: bulk save / the original's, a ticket", must=25, aim=40, at_least=True)
PG_FIND: Final = Bar(name="PostgreSQL: find through the port / raw asyncpg", must=3.0, aim=2.0)
PG_FIND_TRIPS: Final = Bar(name="PostgreSQL: round trips of a find", must=2, aim=1, unit=TRIPS)
PG_UNIT_TRIPS: Final = Bar(name="PostgreSQL: round trips of a unit of one save", must=4, aim=3, unit=TRIPS)
PG_DEEP: Final = Bar(name="PostgreSQL: page in the middle / first page", must=2.0, aim=1.3)
PG_DEEP_BUFFERS: Final = Bar(name="PostgreSQL: page in the middle / first page, buffers", must=1.2, aim=1.05)
PG_FILTERED_KEYS: Final = Bar(name="PostgreSQL: page of 100 of the 1 % with a status, keys", must=110, aim=104, unit=BUFFERS)
PG_FILTERED: Final = Bar(name="the same page, whole records", must=600, aim=520, unit=BUFFERS)
PG_NONE: Final = Bar(name="the same page where none has the status", must=10, aim=4, unit=BUFFERS)
PG_SEALED: Final = Bar(name="PostgreSQL: full scan under row-level security / without, server CPU", must=1.10, aim=1.03)
PG_SEALED_BUFFERS: Final = Bar(name="the same, buffers", must=1.0, aim=1.0)
PG_FOREIGN: Final = Bar(name="PostgreSQL: a foreign company's page", must=0, aim=0, unit=BUFFERS)
PG_COUNTS: Final = Bar(name="PostgreSQL: counting all tickets / progress and stats", must=100, aim=1_000, at_least=True)
PG_STATUS: Final = Bar(name="PostgreSQL: status updates of 16 writers: rate / without counts", must=0.60, aim=0.75, at_least=True)
PG_WAL: Final = Bar(name="PostgreSQL: log a status update writes, after a checkpoint", must=1_600, aim=1_200, unit=BYTES)
PG_CLAIMS: Final = Bar(name="PostgreSQL: 8 workers claim 100 each: rate / SKIP LOCKED alone", must=0.6, aim=0.8, at_least=True)
PG_CLAIMED_TWICE: Final = Bar(name="PostgreSQL: tickets that two workers were given", must=0, aim=0, unit=TICKETS)
