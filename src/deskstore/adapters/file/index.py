"""What the database knows of a company's records: SQL in, domain values out."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from deskstore.adapters.file import statements
from deskstore.adapters.file.body import source_text
from deskstore.adapters.file.database import UnexpectedValue
from deskstore.domain import times
from deskstore.domain.identifiers import TICKET, Key, Kind
from deskstore.domain.paging import Filter, Position
from deskstore.domain.processing import (
    COMPLETED,
    FAILED,
    PENDING,
    PROCESSING,
    Checkpoint,
    PlatformStats,
    Processing,
    ProcessingStatus,
    Progress,
)
from deskstore.domain.records import Article, SourceVersion, Ticket
from deskstore.domain.rows import processing_of, processing_row
from deskstore.domain.things import CompanyState, Debt, Thing, plain_state, state_from

if TYPE_CHECKING:
    from deskstore.domain.erasures import Removed
    from deskstore.domain.receiving import Head
    from deskstore.domain.summaries import Summary
    from deskstore.domain.suppressions import Suppression, SuppressionName


class Row(NamedTuple):
    """What the index knows of one record."""

    key: Key
    version: int
    text_digest: bytes
    crc: int  #: CRC-32 of the whole file
    processing: Processing | None
    settled: bytes | None  #: the processing as the ticket's file tells it, as JSON


class RecordRow(NamedTuple):
    """The row of a record as it is written, column by column."""

    kind: Kind
    platform: str
    id: str
    locale: str
    version: int
    sha256: bytes
    text_digest: bytes
    source_version: str | None
    status: str | None
    created_us: int
    saved_us: int
    crc: int  #: CRC-32 of the whole file
    settled: bytes | None  #: the processing as the ticket's file tells it, as JSON
    processing: str | None = None
    attempts: int | None = None
    error: str | None = None
    worker: str | None = None
    token: str | None = None
    lease_us: int | None = None
    claimed_digest: bytes | None = None
    claimable_us: int | None = None
    changed_us: int | None = None
    processing_version: int | None = None


def row_of(record: Ticket | Article, processing: Processing | None, settled: bytes | None, crc: int) -> RecordRow:
    """The row of a record."""
    fields, source = record.fields, record.fields.source_version
    return RecordRow(
        *record.key,
        record.version,
        record.sha256,
        fields.text_digest,
        None if source is None else source_text(source),
        fields.status,
        times.microseconds(fields.created_at),
        times.microseconds(record.saved_at),
        crc,
        settled,
        *processing_row(processing),
    )


class Index:
    """The index tables of one company over one connection; runs inside the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql: Final = connection.execute
        self._many: Final = connection.executemany

    # -- meta ------------------------------------------------------------------------------------------------------------------------------

    def meta(self, name: str) -> str | int | None:
        """One fact about the database itself, or None."""
        row = self._sql("select value from meta where name = ?", (name,)).fetchone()
        return row[0] if row else None

    def number(self, name: str) -> int:
        """One fact that is a number, 0 when there is none."""
        value = self.meta(name)
        return value if isinstance(value, int) else 0

    def set_meta(self, name: str, value: str | int) -> None:
        """Keep one fact about the database itself."""
        self._sql("insert into meta values (?, ?) on conflict do update set value = excluded.value", (name, value))

    @property
    def is_registered(self) -> bool:
        """Whether anything was ever kept here; until then there is a database, and no company."""
        return bool(self.number("registered"))

    def register(self) -> None:
        """Let the company be one that is listed from this commit on."""
        if not self.is_registered:
            self.set_meta("registered", 1)

    def state(self) -> CompanyState:
        """Where the company lives, as this store knows it."""
        return state_of(self.told_state())

    def told_state(self) -> str:
        """The same as it is written down."""
        return str(self.meta("state"))

    def amount(self) -> Removed:
        """How much of the company there is."""
        from deskstore.domain.erasures import Removed  # only who erases asks

        tickets, articles, processing, claims = self._sql(
            "select count(*) filter (where kind = 'ticket'), count(*) filter (where kind = 'article'), "
            "count(processing), count(token) from record"
        ).fetchone()
        (summaries,) = self._sql("select count(*) from summary").fetchone()
        (checkpoints,) = self._sql("select count(*) from checkpoint").fetchone()
        (suppressions,) = self._sql("select count(*) from suppression").fetchone()
        return Removed(
            tickets=tickets,
            articles=articles,
            summaries=summaries,
            processing=processing,
            claims=claims,
            checkpoints=checkpoints,
            suppressions=suppressions,
        )

    def set_state(self, state: CompanyState) -> None:
        """Keep where the company lives, and forget what was kept for consumers that are none any more."""
        self.set_meta("state", json.dumps(plain_state(state)))
        self._sql("delete from outbox where consumer not in (select value from json_each(?))", (json.dumps(state.consumers),))
        if not state.consumers:
            self._sql("delete from tombstone")

    # -- records ---------------------------------------------------------------------------------------------------------------------------

    def row(self, key: Key) -> Row | None:
        """What is known of a record, or None when there is none."""
        found = self._sql(statements.ROW, key).fetchone()
        if found is None:
            return None
        version, text_digest, crc, settled, *processing = found
        return Row(
            key=key, version=version, text_digest=text_digest, crc=crc, settled=settled, processing=_processing(key, tuple(processing))
        )

    def last_summary(self, key: Key) -> tuple[int, int]:
        """The highest number and the highest version of a record's summaries, 0 and 0 when there are none."""
        found: tuple[int, int] = self._sql(
            "select coalesce(max(number), 0), coalesce(max(version), 0) from summary "
            "where kind = ? and platform = ? and id = ? and locale = ?",
            key,
        ).fetchone()
        return found

    def heads(self, keys: Iterable[Key]) -> dict[Key, Head]:
        """Those records among the keys that exist, without their payloads."""
        from deskstore.domain.receiving import Head  # only saves ask for it

        found = ((key, self._sql(statements.HEAD, key).fetchone()) for key in keys)
        return {
            key: Head(
                key=key,
                sha256=row[0],
                text_digest=row[1],
                source_version=_source(row[2]),
                version=row[3],
                processing=_processing(key, tuple(row[4:])),
            )
            for key, row in found
            if row is not None
        }

    def record_crc(self, key: Key) -> int | None:
        """The CRC-32 of a record's file, or None when there is no such record."""
        found = self._sql("select crc from record where kind = ? and platform = ? and id = ? and locale = ?", key).fetchone()
        return found[0] if found else None

    def glimpse(self, key: Key) -> tuple[str, int | None]:
        """Where the company lives, as it is written down, and the CRC-32 of a record's file, both as they are at one moment."""
        told, crc = self._sql(statements.GLIMPSE, key).fetchone()
        return str(told), crc

    def pending_bodies(self, files: Sequence[str]) -> dict[str, bytes | None]:
        """What those files are to hold that were committed and may not be written yet; None for a file that is to go."""
        mark, last = self._sql(statements.MARKS).fetchone()
        if last is None or last <= mark:
            return {}
        found = (self._sql(statements.NEWEST_BODY, (file, mark)).fetchone() for file in files)
        return {row[0]: row[1] for row in found if row is not None}

    def journalled(self, file: str, crc: int) -> bytes | None:
        """The bytes with this CRC-32 that the journal still holds for a file, or None."""
        found = self._sql("select body from redo where file = ? and crc = ? order by seq desc limit 1", (file, crc)).fetchone()
        return found[0] if found else None

    def first_redo(self) -> int:
        """The number of the oldest row of the journal, 0 when it is empty."""
        (number,) = self._sql("select coalesce(min(seq), 0) from redo").fetchone()
        return int(number)

    def last_redo(self) -> int:
        """The number of its newest row, 0 when it is empty."""
        (number,) = self._sql("select coalesce(max(seq), 0) from redo").fetchone()
        return int(number)

    def is_in_motion(self, file: str) -> bool:
        """Whether the journal still has to do with a file."""
        return self._sql("select 1 from redo where file = ? limit 1", (file,)).fetchone() is not None

    def put_records(self, rows: Iterable[RecordRow]) -> None:
        """Keep what the index needs of records, one statement for each: every one that touches a row touches its indexes."""
        self._many(statements.PUT_RECORD, rows)

    def put_processing(self, processing: Processing, *, settled: bytes | None = None, crc: int | None = None) -> None:
        """Keep how far a ticket that is there has come; given them, also what its file says of it now, and the file's CRC-32."""
        self._sql(statements.PUT_PROCESSING, (settled, crc, *processing_row(processing), *processing.key))

    def delete_record(self, key: Key) -> None:
        """Forget a record and its processing."""
        self._sql("delete from record where kind = ? and platform = ? and id = ? and locale = ?", key)

    def processing(self, key: Key) -> Processing | None:
        """How far a ticket has come, or None."""
        found = self._sql(statements.GET_PROCESSING, key).fetchone()
        return _processing(key, found) if found else None

    def processing_behind(self, after: Key | None, limit: int) -> list[tuple[Key, Processing | None]]:
        """How far tickets have come, ascending by key."""
        rows = self._sql(statements.PROCESSING_BEHIND, (*(after[1:3] if after else ("", "")), limit))
        found = ((Key(TICKET, row[0], row[1]), row[2:]) for row in rows.fetchall())
        return [(key, _processing(key, row)) for key, row in found]

    def places(
        self, kind: Kind, where: Filter, *, below: Position | None, limit: int, offset: int = 0
    ) -> tuple[list[tuple[Key, int]], Position | None]:
        """The keys of a page with the CRC-32 of their files, in its order, and where the next page begins; None at the end."""
        text, values = statements.page_at(kind, where) if offset else statements.page(kind, where, below)
        rows = self._sql(text, (*values, limit + 1, offset)).fetchall()  # the one beyond the page only tells that there is more
        found = [(Key(kind, platform, identifier, locale), crc) for _, _, platform, identifier, locale, crc in rows[:limit]]
        return found, Position((rows[limit - 1][0], *found[-1][0][1:])) if len(rows) > limit else None

    def told(self, kind: Kind, where: Filter, *, after: Key | None, limit: int) -> list[tuple[Key, int]]:
        """Keys that pass a filter, ascending, with the CRC-32 of their files."""
        text, values = statements.stream(kind, where, after)
        return [(Key(kind, platform, identifier, locale), crc) for platform, identifier, locale, crc in self._sql(text, (*values, limit))]

    def keys(self, kind: Kind, where: Filter, *, after: Key | None, limit: int) -> list[Key]:
        """Keys that pass a filter, ascending."""
        return [key for key, _ in self.told(kind, where, after=after, limit=limit)]

    def locales(self, platform: str, article_id: str) -> list[str]:
        """The locales an article exists in, ascending."""
        rows = self._sql(
            "select locale from record where kind = 'article' and platform = ? and id = ? order by locale", (platform, article_id)
        )
        return [locale for (locale,) in rows]

    def claimable(self, platform: str, now_us: int, limit: int) -> list[tuple[Processing, bytes]]:
        """Tickets that a worker may take, with their text digests, smallest claimable_at first."""
        rows = self._sql(statements.CLAIMABLE, (platform, now_us, limit))
        found = ((Key(TICKET, platform, row[0]), row[1], row[2:]) for row in rows.fetchall())
        return [(processing, digest) for key, digest, row in found if (processing := _processing(key, row))]

    def highest_version(self) -> int:
        """The highest version of anything that is kept."""
        (highest,) = self._sql(
            "select max(coalesce((select max(max(version, coalesce(processing_version, 0))) from record), 0), "
            "coalesce((select max(version) from summary), 0), coalesce((select max(version) from suppression), 0))"
        ).fetchone()
        return int(highest)

    # -- summaries -------------------------------------------------------------------------------------------------------------------------

    def put_summary(self, summary: Summary, crc: int) -> None:
        """Keep what the index needs of a summary."""
        self._sql(statements.PUT_SUMMARY, (*summary.key, summary.number, summary.version, summary.pinned, summary.source_digest, crc))

    def delete_summary(self, key: Key, number: int) -> None:
        """Forget a summary."""
        self._sql("delete from summary where kind = ? and platform = ? and id = ? and locale = ? and number = ?", (*key, number))

    def summary_crc(self, key: Key, number: int) -> int | None:
        """The CRC-32 of a summary's file, or None when there is none."""
        found = self.summary(key, number)
        return found[1] if found else None

    def summary(self, key: Key, number: int) -> tuple[int, int] | None:
        """Version and CRC-32 of a summary's file, or None."""
        found: tuple[int, int] | None = self._sql(
            "select version, crc from summary where kind = ? and platform = ? and id = ? and locale = ? and number = ?",
            (*key, number),
        ).fetchone()
        return found

    def summary_numbers(self, key: Key) -> list[int]:
        """The numbers of a record's summaries, ascending."""
        return [
            number
            for (number,) in self._sql(
                "select number from summary where kind = ? and platform = ? and id = ? and locale = ? order by number", key
            )
        ]

    def current_summary(self, key: Key) -> int | None:
        """The number of a record's current summary, or None."""
        found = self._sql(
            "select number from summary where kind = ? and platform = ? and id = ? and locale = ?"
            " order by pinned desc, number desc limit 1",
            key,
        ).fetchone()
        return found[0] if found else None

    def stale(self, platform: str | None, *, after: Key | None, limit: int) -> list[tuple[Key, int, bytes]]:
        """Records whose current summary is of another text, with its number and the digest of the text now, ascending."""
        rows = self._sql(statements.STALE, (platform, platform, *(after or ("", "", "", "")), limit))
        return [(Key(*row[:4]), row[4], row[5]) for row in rows]

    # -- files that could not vouch for themselves -----------------------------------------------------------------------------------------

    def doubt(self, key: Key, number: int, file: str) -> None:
        """
        Remember a file that may have been a record's, or its summary's; the key holds nothing but its kind where the name does not tell.
        """
        self._sql("insert into doubt values (?, ?, ?, ?, ?, ?) on conflict do nothing", (*key, number, file))

    def forget_doubt(self, file: str) -> None:
        """Forget a file, since it was seen to."""
        self._sql("delete from doubt where file = ?", (file,))

    def doubted(self, kind: Kind, platform: str | None, *, after: Key | None, limit: int) -> list[Key]:
        """Keys of records whose files were remembered, ascending."""
        rows = self._sql(
            "select platform, id, locale from doubt where kind = ? and number = 0 and id <> '' and (? is null or platform = ?) "
            "and (platform, id, locale) > (?, ?, ?) order by platform, id, locale limit ?",
            (kind, platform, platform, *(after[1:] if after else ("", "", "")), limit),
        )
        return [Key(kind, *row) for row in rows]

    def doubted_files(self, kind: Kind) -> list[str]:
        """The files among them whose names do not tell the record."""
        return [file for (file,) in self._sql("select file from doubt where kind = ? and id = '' order by file", (kind,))]

    def doubted_summaries(self, key: Key) -> list[int]:
        """The numbers of a record's summaries whose files were remembered, ascending."""
        rows = self._sql(
            "select number from doubt where kind = ? and platform = ? and id = ? and locale = ? and number > 0 order by number", key
        )
        return [number for (number,) in rows]

    # -- progress --------------------------------------------------------------------------------------------------------------------------

    def progress(self, platform: str) -> Progress:
        """How many tickets of a platform are in which status."""
        rows = self._sql("select processing, n from tally where kind = 'ticket' and platform = ?", (platform,))
        with _as_written():
            counts = {ProcessingStatus(status): n for status, n in rows if status}
        changed = self._sql("select changed_us from platform where platform = ?", (platform,)).fetchone()
        return Progress(
            platform=platform,
            pending=counts.get(PENDING, 0),
            processing=counts.get(PROCESSING, 0),
            completed=counts.get(COMPLETED, 0),
            failed=counts.get(FAILED, 0),
            last_updated=_moment(changed[0]) if changed else None,
        )

    def recount(self) -> None:
        """Fill what is derived from the rows, after they came without triggers: counts, and when each platform's tickets last changed."""
        self._sql("insert into tally select kind, platform, coalesce(processing, ''), count(*) from record group by 1, 2, 3")
        self._sql("insert into platform select platform, max(changed_us) from record where changed_us is not null group by platform")

    def touch_platforms(self, platforms: Iterable[str], now_us: int) -> None:
        """Keep when the tickets of these platforms last changed."""
        for platform in platforms:
            self._sql(
                "insert into platform values (?, ?) on conflict do update set changed_us = max(changed_us, excluded.changed_us)",
                (platform, now_us),
            )

    def stats(self) -> list[PlatformStats]:
        """How many tickets and articles there are, a platform each."""
        rows = self._sql(
            "select platform, sum(n) filter (where kind = 'ticket'), sum(n) filter (where kind = 'article') "
            "from tally group by platform having sum(n) > 0 order by platform"
        )
        return [PlatformStats(platform=platform, tickets=tickets or 0, articles=articles or 0) for platform, tickets, articles in rows]

    def checkpoint(self, platform: str, stream: str) -> Checkpoint | None:
        """How far a stream has been read, or None."""
        found = self._sql("select cursor, version from checkpoint where platform = ? and stream = ?", (platform, stream)).fetchone()
        return Checkpoint(platform=platform, stream=stream, cursor=found[0], version=found[1]) if found else None

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep how far a stream has been read."""
        self._sql(
            "insert into checkpoint values (?, ?, ?, ?) on conflict do update set cursor = excluded.cursor, version = excluded.version",
            (checkpoint.platform, checkpoint.stream, checkpoint.cursor, checkpoint.version),
        )

    def delete_checkpoint(self, platform: str, stream: str) -> None:
        """Forget how far a stream has been read."""
        self._sql("delete from checkpoint where platform = ? and stream = ?", (platform, stream))

    def checkpoints(self, *, after: Thing | None, limit: int) -> list[Thing]:
        """The names of checkpoints, ascending."""
        rows = self._sql(
            "select platform, stream from checkpoint where (platform, stream) > (?, ?) order by platform, stream limit ?",
            (after.platform if after else "", after.id if after else "", limit),
        )
        return [Thing("checkpoint", "", *row) for row in rows]

    # -- suppressions ----------------------------------------------------------------------------------------------------------------------

    def secrets(self) -> set[bytes]:
        """The secrets under which suppressed requesters are hashed; none where there is none of them."""
        return {secret for (secret,) in self._sql("select distinct secret from suppression")}

    def suppressions_named(self, names: Iterable[SuppressionName]) -> dict[SuppressionName, Suppression]:
        """Those among these suppressions that exist."""
        from deskstore.domain.suppressions import Suppression  # most companies have none

        text = "select secret, created_us, tickets, summaries, version from suppression where platform = ? and digest = ?"
        found = ((name, self._sql(text, name).fetchone()) for name in names)
        return {
            name: Suppression(
                platform=name.platform,
                digest=name.digest,
                secret=row[0],
                created_at=_moment(row[1]),
                tickets=row[2],
                summaries=row[3],
                version=row[4],
            )
            for name, row in found
            if row is not None
        }

    def put_suppression(self, one: Suppression) -> None:
        """Keep a requester's tickets out."""
        self._sql(
            "insert or replace into suppression values (?, ?, ?, ?, ?, ?, ?)",
            (one.platform, one.digest, one.secret, times.microseconds(one.created_at), one.tickets, one.summaries, one.version),
        )

    def delete_suppression(self, platform: str, digest: str) -> None:
        """Let a requester's tickets in again."""
        self._sql("delete from suppression where platform = ? and digest = ?", (platform, digest))

    def suppressions(self, *, after: Thing | None, limit: int) -> list[Thing]:
        """The names of suppressions, ascending."""
        rows = self._sql(
            "select platform, digest from suppression where (platform, digest) > (?, ?) order by platform, digest limit ?",
            (after.platform if after else "", after.id if after else "", limit),
        )
        return [Thing("suppression", "", *row) for row in rows]

    # -- consumers -------------------------------------------------------------------------------------------------------------------------

    def owe(self, consumer: str, thing: Thing, version: int) -> None:
        """Remember that a consumer has to be told."""
        self._sql(
            "insert into outbox values (?, ?, ?, ?, ?, ?, ?, ?) on conflict do update set version = excluded.version",
            (consumer, *_named(thing), version),
        )

    def debts(self, consumer: str, limit: int) -> list[Debt]:
        """Any at most limit things that a consumer has yet to be told of."""
        rows = self._sql(
            "select part, kind, platform, id, locale, number, version from outbox where consumer = ? limit ?", (consumer, limit)
        )
        return [Debt(Thing(*row[:6]), row[6]) for row in rows]

    def forget_debts(self, consumer: str, debts: Collection[Debt]) -> None:
        """Forget debts to a consumer up to their versions."""
        for debt in debts:
            self._sql(
                "delete from outbox where (consumer, part, kind, platform, id, locale, number) = (?, ?, ?, ?, ?, ?, ?) and version <= ?",
                (consumer, *_named(debt.thing), debt.version),
            )

    def put_tombstone(self, thing: Thing, version: int) -> None:
        """Remember at which version a thing was deleted."""
        self._sql(
            "insert into tombstone values (?, ?, ?, ?, ?, ?, ?) on conflict do update set version = max(version, excluded.version)",
            (*_named(thing), version),
        )

    def remove_tombstone(self, thing: Thing) -> None:
        """Forget that a thing was deleted, since it is there again."""
        self._sql("delete from tombstone where (part, kind, platform, id, locale, number) = (?, ?, ?, ?, ?, ?)", _named(thing))

    def tombstone_version(self, thing: Thing) -> int:
        """The version at which a thing was deleted, 0 when nothing is known of it."""
        found = self._sql(
            "select version from tombstone where (part, kind, platform, id, locale, number) = (?, ?, ?, ?, ?, ?)", _named(thing)
        ).fetchone()
        return found[0] if found else 0

    def version(self, thing: Thing) -> int:
        """The version a thing has here, 0 when it is not there."""
        match thing.part:
            case "ticket" | "article":
                row = self.row(thing.key)
                return row.version if row else 0
            case "processing":
                processing = self.processing(thing.key)
                return processing.version if processing else 0
            case "summary":
                summary = self.summary(thing.key, thing.number)
                return summary[0] if summary else 0
            case "checkpoint":
                checkpoint = self.checkpoint(thing.platform, thing.id)
                return checkpoint.version if checkpoint else 0
            case "suppression":
                row = self._sql("select version from suppression where platform = ? and digest = ?", (thing.platform, thing.id)).fetchone()
                return row[0] if row else 0

    def summaries(self, *, after: Thing | None, limit: int) -> list[Thing]:
        """The names of summaries, ascending."""
        rows = self._sql(
            "select kind, platform, id, locale, number from summary where (kind, platform, id, locale, number) > (?, ?, ?, ?, ?) "
            "order by kind, platform, id, locale, number limit ?",
            (*(after[1:] if after else ("", "", "", "", 0)), limit),
        )
        return [Thing("summary", *row) for row in rows]


@contextmanager
def _as_written() -> Generator[None, None, None]:
    """Take values that deskstore cannot have written for damage of the database."""
    try:
        yield
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise UnexpectedValue(f"a value in it is not one that deskstore writes: {error}") from error


@lru_cache(maxsize=64)  # each commit asks for it, and it hardly ever changes
def state_of(text: str) -> CompanyState:
    """The state that is written down like this."""
    with _as_written():
        return state_from(orjson.loads(text), "the company's database")


def _moment(value: int) -> datetime:
    with _as_written():
        return times.moment(value)


def _named(thing: Thing) -> tuple[str, str, str, str, str, int]:
    return (thing.part, thing.kind, thing.platform, thing.id, thing.locale, thing.number)


def _source(text: str | None) -> SourceVersion | None:
    if text is None:
        return None
    field, _, value = text.rpartition("=")
    with _as_written():
        return SourceVersion(field, int(value))


def _processing(key: Key, row: tuple[Any, ...]) -> Processing | None:
    # Any: SQLite tells no types
    with _as_written():
        return processing_of(key, row)
