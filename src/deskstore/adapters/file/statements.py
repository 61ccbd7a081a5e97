"""The statements of the index that are put together from the filters a caller gives, and the long ones that are not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from deskstore.domain import times
from deskstore.domain.identifiers import Key, Kind
from deskstore.domain.paging import Filter, Position

ROW: Final = """
    select version, text_digest, crc, settled,
        processing, attempts, error, worker, token, lease_us, claimed_digest, claimable_us, changed_us, processing_version
    from record where kind = ? and platform = ? and id = ? and locale = ?
"""
HEAD: Final = """
    select sha256, text_digest, source_version, version,
        processing, attempts, error, worker, token, lease_us, claimed_digest, claimable_us, changed_us, processing_version
    from record where kind = ? and platform = ? and id = ? and locale = ?
"""
GLIMPSE: Final = """
    select (select value from meta where name = 'state'),
        (select crc from record where kind = ? and platform = ? and id = ? and locale = ?)
"""
GET_PROCESSING: Final = """
    select processing, attempts, error, worker, token, lease_us, claimed_digest, claimable_us, changed_us, processing_version
    from record where kind = ? and platform = ? and id = ? and locale = ?
"""
PROCESSING_BEHIND: Final = """
    select platform, id,
        processing, attempts, error, worker, token, lease_us, claimed_digest, claimable_us, changed_us, processing_version
    from record not indexed where kind = 'ticket' and (platform, id) > (?, ?) order by platform, id limit ?
"""
CLAIMABLE: Final = """
    select id, text_digest,
        processing, attempts, error, worker, token, lease_us, claimed_digest, claimable_us, changed_us, processing_version
    from record where platform = ? and claimable_us <= ? order by claimable_us, id limit ?
"""
MARKS: Final = "select coalesce((select value from meta where name = 'applied'), 0), (select max(seq) from redo)"
NEWEST_BODY: Final = "select file, body from redo where file = ? and seq > ? order by seq desc limit 1"
PUT_RECORD: Final = """
    insert into record (
        kind, platform, id, locale, version, sha256, text_digest, source_version, status, created_us, saved_us, crc, settled,
        processing, attempts, error, worker, token, lease_us, claimed_digest, claimable_us, changed_us, processing_version
    )
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    on conflict do update set version = excluded.version, sha256 = excluded.sha256, text_digest = excluded.text_digest,
        source_version = excluded.source_version, status = excluded.status, created_us = excluded.created_us,
        saved_us = excluded.saved_us, crc = excluded.crc, settled = excluded.settled,
        processing = excluded.processing, attempts = excluded.attempts, error = excluded.error, worker = excluded.worker,
        token = excluded.token, lease_us = excluded.lease_us, claimed_digest = excluded.claimed_digest,
        claimable_us = excluded.claimable_us, changed_us = excluded.changed_us, processing_version = excluded.processing_version
"""
PUT_PROCESSING: Final = """
    update record set settled = coalesce(?, settled), crc = coalesce(?, crc),
        processing = ?, attempts = ?, error = ?, worker = ?, token = ?, lease_us = ?, claimed_digest = ?,
        claimable_us = ?, changed_us = ?, processing_version = ?
    where kind = ? and platform = ? and id = ? and locale = ?
"""
PUT_SUMMARY: Final = """
    insert into summary (kind, platform, id, locale, number, version, pinned, source_digest, crc) values (?, ?, ?, ?, ?, ?, ?, ?, ?)
    on conflict do update set
        version = excluded.version, pinned = excluded.pinned, source_digest = excluded.source_digest, crc = excluded.crc
"""
STALE: Final = """
    with current as (
        select *, row_number() over (partition by kind, platform, id, locale order by pinned desc, number desc) as place from summary
    )
    select kind, platform, id, locale, number, record.text_digest
    from current join record using (kind, platform, id, locale)
    where place = 1 and source_digest <> record.text_digest and (? is null or platform = ?)
        and (kind, platform, id, locale) > (?, ?, ?, ?)
    order by kind, platform, id, locale limit ?
"""

_KEY: Final = "kind, platform, id, locale"
_WITH_CRC: Final = "select place.created_us, kind, platform, id, locale, crc from"
_OF_RECORD: Final = """
    as place join record using (kind, platform, id, locale) order by place.created_us desc, platform desc, id desc, locale desc
"""
_NEWEST_FIRST: Final = "created_us desc, platform desc, id desc, locale desc"

Condition = tuple[str, tuple[str | int, ...]]


def page(kind: Kind, where: Filter, below: Position | None) -> tuple[str, list[str | int]]:
    """
    The places below a position that pass a filter, newest first, with the CRC-32 of their files.

    Wants a limit and an offset behind its values. Each record that an offset leaves out is looked up in the table.
    """
    below_it: list[Condition] = [] if below is None else [("(created_us, platform, id, locale) < (?, ?, ?, ?)", below)]
    return _in_order(f"created_us, {_KEY}, crc", kind, where, below_it)


def page_at(kind: Kind, where: Filter) -> tuple[str, list[str | int]]:
    """
    The same from the newest on.

    Only the records of the page are looked up in the table, one after another: what an offset leaves out is passed over in the index. That
    takes longer than `page` where there is nothing to leave out.
    """
    text, values = _in_order(f"created_us, {_KEY}", kind, where, [])
    return f"{_WITH_CRC} ({text}) {_OF_RECORD}", values


def _in_order(what: str, kind: Kind, where: Filter, conditions: Iterable[Condition]) -> tuple[str, list[str | int]]:
    text, values = _select(f"{what} from record", kind, where, [*_filters(where), *conditions])
    return f"{text} order by {_NEWEST_FIRST} limit ? offset ?", values


def stream(kind: Kind, where: Filter, after: Key | None) -> tuple[str, list[str | int]]:
    """
    The keys behind a key that pass a filter, with the CRC-32 of their files, ascending in the order of the primary key.

    Wants a limit behind its values.
    """
    conditions = [*_filters(where, in_key_order=True), *_changed(where), *_behind(after, where)]
    text, values = _select("platform, id, locale, crc from record not indexed", kind, where, conditions)
    order = "platform, id, locale" if where.platform is None else "id, locale"
    return f"{text} order by {order} limit ?", values


def _select(what: str, kind: Kind, where: Filter, conditions: Iterable[Condition]) -> tuple[str, list[str | int]]:
    """One select for each text a status may have, since each then reads an index in the order asked for."""
    common: list[Condition] = [("kind = ?", (kind,)), *conditions]
    texts: list[str] = []
    values: list[str | int] = []
    for status in where.statuses or (None,):
        wanted = [*common, *_status(status)]
        texts.append(" ".join(("select", what, "where", " and ".join(text for text, _ in wanted))))
        values.extend(value for _, given in wanted for value in given)
    return " union all ".join(texts), values


def _filters(where: Filter, *, in_key_order: bool = False) -> list[Condition]:
    wanted: list[Condition] = []
    if where.platform is not None:
        # an index of a status tells the platform, too: the plus keeps SQLite from taking the platform's, which tells no status
        by_status = not in_key_order and (where.status is not None or where.processing is not None)
        wanted.append(("+platform = ?" if by_status else "platform = ?", (where.platform,)))
    if where.processing is not None:
        wanted.append(("processing = ?", (where.processing.value,)))
    if where.created_from is not None:
        wanted.append(("created_us >= ?", (times.microseconds(where.created_from),)))
    if where.created_to is not None:
        wanted.append(("created_us < ? and created_us > ?", (times.microseconds(where.created_to), times.NO_TIME_US)))
    return wanted


def _status(status: tuple[str | None, str] | None) -> list[Condition]:
    if status is None:
        return []
    platform, text = status
    return [("status = ?", (text,))] if platform is None else [("status = ? and +platform = ?", (text, platform))]


def _behind(key: Key | None, where: Filter) -> list[Condition]:
    """What comes after a key; within one platform its id and locale decide, so that the order is the primary key's."""
    if key is None or (where.platform is not None and key.platform < where.platform):
        return []
    if where.platform is None:
        return [("(platform, id, locale) > (?, ?, ?)", (key.platform, key.id, key.locale))]
    if key.platform > where.platform:
        return [("false", ())]
    return [("(id, locale) > (?, ?)", (key.id, key.locale))]


def _changed(where: Filter) -> list[Condition]:
    return [] if where.changed_since is None else [("saved_us >= ?", (times.microseconds(where.changed_since),))]
