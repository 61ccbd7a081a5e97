"""Every bar there is, by subject, each with the command that holds it: what a page of figures has to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from bench import bars
from bench.bars import Bar


@frozen(kw_only=True)
class Group:
    """Bars that one part of the bench measures."""

    title: str
    part: str
    bars: Sequence[Bar]

    @property
    def command(self) -> str:
        """What to run."""
        return f"python3 dev.py bench {self.part}"


@frozen(kw_only=True)
class Elsewhere:
    """A bar that is no time and no size: a run of something else holds it."""

    name: str
    must: str
    held_by: str  #: a command, or the test that fails when it is missed


GROUPS: Final[Sequence[Group]] = (
    Group(
        title="Files: saving",
        part="saving",
        bars=(bars.BULK_FLOOR, bars.BULK_SQLITE, bars.BULK_PER_RECORD, bars.UNIT_OF_3, bars.GROUP_COMMIT),
    ),
    Group(
        title="Files: reading",
        part="reading",
        bars=(bars.PAGE_SQLITE, bars.PAGE_LARGE, bars.LISTING, bars.FIND, bars.OPEN, bars.OPEN_LARGE, bars.REBUILD),
    ),
    Group(title="Files: importing and exporting", part="transfer", bars=(bars.IMPORT, bars.EXPORT)),
    Group(title="Files: memory", part="memory", bars=(bars.IMPORT_MEMORY, bars.EXPORT_MEMORY)),
    Group(
        title="Backup",
        part="backup",
        bars=(bars.BACKUP_SIZE, bars.BACKUP_CHECK, bars.BACKUP_MEMORY, bars.CHECK_MEMORY, bars.RESTORE_MEMORY),
    ),
    Group(
        title="PostgreSQL",
        part="postgres",
        bars=(
            *(bars.PG_BULK, bars.PG_BULK_TWO, bars.PG_UNCHANGED, bars.PG_CHANGED, bars.PG_NAIVE),
            *(bars.PG_FIND, bars.PG_FIND_TRIPS, bars.PG_UNIT_TRIPS),
            *(bars.PG_DEEP, bars.PG_DEEP_BUFFERS, bars.PG_FILTERED_KEYS, bars.PG_FILTERED, bars.PG_NONE),
            *(bars.PG_SEALED, bars.PG_SEALED_BUFFERS, bars.PG_FOREIGN),
            *(bars.PG_COUNTS, bars.PG_STATUS, bars.PG_WAL, bars.PG_CLAIMS, bars.PG_CLAIMED_TWICE),
        ),
    ),
    Group(
        title="Workers",
        part="processing",
        bars=(bars.FILE_CLAIMS, bars.FILE_CLAIMED_TWICE, bars.FILE_STATUS, bars.FILE_COUNTS, bars.FILE_WORKER, bars.PG_WORKER),
    ),
    Group(title="The cache", part="cache", bars=(bars.CACHE_HIT, bars.CACHE_HUNG)),
    Group(
        title="Migration",
        part="backfill",
        bars=(
            *(bars.MIGRATE_LINES, bars.MIGRATE_CPU, bars.MIGRATE_BACKUP, bars.MIGRATE_TREE, bars.MIGRATE_DLT, bars.MIGRATE_ORIGINAL),
            *(bars.VERIFY_DIGESTS, bars.VERIFY_REHASH, bars.VERIFY_CONTENT, bars.MIGRATE_AGAIN),
        ),
    ),
    Group(
        title="Migration: what a mirror costs those who write",
        part="following",
        bars=(
            *(bars.STALL, bars.STALL_MS, bars.DUAL_FILES, bars.DUAL_POSTGRES, bars.DUAL_FILES_RATE, bars.DUAL_POSTGRES_RATE),
            *(bars.DUAL_DOWN, bars.STATE_TRIPS),
        ),
    ),
    Group(title="Migration: memory", part="moving-memory", bars=(bars.MIGRATE_PEAK, bars.MIGRATE_GROWTH)),
    Group(
        title="Start-up",
        part="start",
        bars=(
            *(bars.HELP, bars.VERSION, bars.IMPORT_PACKAGE, bars.IMPORT_ATTRS, bars.FIRST_CALL, bars.OPENED),
            *(bars.COMMAND, bars.FOREIGN_MODULES, bars.CONTAINER, bars.FACADE),
        ),
    ),
)
ELSEWHERE: Final[Sequence[Elsewhere]] = (
    Elsewhere(
        name="cache: old, foreign and failed reads, without faults and with writers that crash",
        must="0",
        held_by="python3 dev.py chaos cache",
    ),
    Elsewhere(
        name="PgBouncer in transaction mode, 24 clients over 4 connections: errors, foreign rows",
        must="0, 0",
        held_by="python3 dev.py chaos postgres --only PgBouncer",
    ),
    Elsewhere(name="clone to finished demo / setting up the environment alone, cold caches", must="1.3", held_by="python3 dev.py demo"),
    Elsewhere(name="clone to all tests green: commands, variables, skips", must="1, 0, 0", held_by="bash .ci/run"),
    Elsewhere(
        name="an adapter of another package: lines to pass the kit; more for a replica",
        must="300; 120",
        held_by="examples/deskstore-sqlite",
    ),
    Elsewhere(name="broken storages that the contract kit catches, one for each promise", must="all", held_by="tests/test_contract_kit.py"),
)
