"""
Rows of the database that the prototype kept: payloads as `jsonb`, its own metadata mixed into them.

`jsonb` keeps no order of keys, so that places tell nothing here: what is cut out of a payload are the keys that every save added, where
their values are those of the row. Whether the payload had one of that name itself, nobody can know any more; a remark says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final

from attrs import evolve, frozen

from deskstore.domain.errors import InvalidRecord
from deskstore.domain.identifiers import ARTICLE, TICKET, Key, article_key, platform, record_id, ticket_key
from deskstore.domain.payloads import Parsed
from deskstore.domain.records import Incoming
from deskstore.formats import platforms
from deskstore.formats.json import load
from deskstore.formats.naive import (
    COUNTS,
    OTHER_ID,
    PROCESSED_DATA,
    FoundArticle,
    FoundSummary,
    FoundTicket,
    ProcessedData,
    cut_out,
    status_of,
)
from deskstore.formats.platforms import Options
from deskstore.formats.platforms.moments import moment

_ID: Final = "_deskstore_id"  #: under which the row's id is shown to the platform's mapping, where the payload tells none
_STATUS: Final = ("processing_status", "status_updated_at")
_STORAGES: Final = ("postgresql", "file")
_CUT: Final = (
    "the old database kept no order of keys: if the payload had a company_id, platform or saved_at of its own, it was overwritten, "
    "and nobody can tell; an import from the platform brings it back"
)
_BARE: Final = "it lacks metadata that the prototype added to every payload: nothing was cut out of it"
_FIRST_SAVED: Final = "when it was first saved (created_at of its row) has no place in deskstore, and is in the old database alone"
_COLUMNS: Final = "its row has a title or a content that is not in its payload: they are in the old database alone"
_TWICE: Final = "its payload has another processed_data than its row: it stays in the payload"


@frozen(kw_only=True)
class TicketRow:
    """A row of `tickets`; JSON as the bytes of its text."""

    platform: str
    ticket_id: str
    raw_data: bytes
    processed_data: bytes | None
    summary: bytes | None
    processing_status: str | None
    created_at: datetime | None
    updated_at: datetime | None


@frozen(kw_only=True)
class ArticleRow:
    """A row of `knowledge_base`."""

    platform: str
    article_id: str
    title: str | None
    content: str | None
    raw_data: bytes
    updated_at: datetime | None


@frozen(kw_only=True)
class ProgressRow:
    """A row of `processing_progress`."""

    platform: str
    total: int | None
    processed: int | None
    failed: int | None

    @property
    def counts(self) -> dict[str, int | str]:
        """Its counts, by the names that the files have for them."""
        told = dict(zip(COUNTS, (self.total, self.processed, self.failed), strict=True))
        return {name: count for name, count in told.items() if count is not None}


def read_ticket(row: TicketRow, company_id: str) -> FoundTicket:
    """What a row holds of a ticket; raises InvalidRecord for what no storage keeps."""
    key = ticket_key(row.platform, record_id(row.ticket_id, "ticket_id"))
    value = load(row.raw_data)
    names, of_metadata = _metadata(value, company_id, row.platform, ("company_id", "platform", "saved_at", "storage_type"))
    if moment(value.get("status_updated_at")) is not None and "processing_status" in value:
        names |= {*_STATUS}
    processed, of_processed = _processed_data(row, value)
    if processed is not None and not of_processed and PROCESSED_DATA in value:
        names.add(PROCESSED_DATA)
    payload, left = _without(row.raw_data, value, names)
    incoming, of_id = _identified(key, payload, left)
    status, of_status = (None, ()) if row.processing_status is None else status_of(row.processing_status)
    return FoundTicket(
        incoming=incoming,
        saved_at=moment(value.get("saved_at")) if of_metadata == [_CUT] else row.updated_at,
        status=status,
        status_updated_at=row.updated_at if status else None,
        processed_data=processed,
        remarks=(*of_metadata, *of_id, *of_status, *of_processed, *([_FIRST_SAVED] if row.created_at != row.updated_at else [])),
    )


def read_article(row: ArticleRow, company_id: str) -> FoundArticle:
    """What a row holds of an article; raises InvalidRecord for what no storage keeps."""
    key = article_key(row.platform, record_id(row.article_id, "article_id"))
    value = load(row.raw_data)
    names, of_metadata = _metadata(value, company_id, row.platform, ("company_id", "platform", "saved_at"))
    payload, left = _without(row.raw_data, value, names)
    incoming, of_id = _identified(key, payload, left)
    held = {*map(str, (one for one in value.values() if isinstance(one, str)))}
    lost = any(column and column not in held for column in (row.title, row.content))
    return FoundArticle(
        incoming=incoming,
        saved_at=moment(value.get("saved_at")) if of_metadata == [_CUT] else row.updated_at,
        remarks=(*of_metadata, *of_id, *([_COLUMNS] if lost else [])),
    )


def read_summary(row: TicketRow) -> FoundSummary | None:
    """The summary that stands in a ticket's row."""
    if row.summary is None or row.summary == b"null":
        return None
    return FoundSummary(
        platform=platform(row.platform),
        record_id=record_id(row.ticket_id, "ticket_id"),
        content=_object(row.summary, "summary"),
        created_at=row.updated_at,
        remarks=() if row.summary.startswith(b"{") else ('its summary is not an object: it was put into one, under the key "summary"',),
    )


def _metadata(value: Parsed, company_id: str, of_platform: str, adds: Collection[str]) -> tuple[set[str], list[str]]:
    """What a save added to a payload, and what is to be said of it."""
    expected = {"company_id": (company_id,), "platform": (of_platform,), "storage_type": _STORAGES}
    is_ours = all(name in value and value[name] in expected.get(name, (value[name],)) for name in adds)
    if is_ours and moment(value["saved_at"]) is not None:
        return {*adds}, [_CUT]
    return set(), [_BARE]


def _processed_data(row: TicketRow, value: Parsed) -> tuple[ProcessedData | None, list[str]]:
    """What an application made of a ticket: the row's own column counts, and what stands in the payload where there is none."""
    inside: object = value.get(PROCESSED_DATA)
    if row.processed_data is None or row.processed_data == b"null":
        return (_inside(row.raw_data), []) if isinstance(inside, dict) else (None, [])
    content = _object(row.processed_data, PROCESSED_DATA)
    says_more = PROCESSED_DATA in value and (not isinstance(inside, dict) or load(content) != inside)
    return ProcessedData(content, len(value)), [_TWICE] if says_more else []


def _inside(raw_data: bytes) -> ProcessedData:
    _, taken = cut_out(raw_data, {PROCESSED_DATA})
    place, content = taken[PROCESSED_DATA]
    return ProcessedData(content, place)


def _without(raw_data: bytes, value: Parsed, names: Collection[str]) -> tuple[bytes, Parsed]:
    payload, _ = cut_out(raw_data, names)
    return payload, {name: one for name, one in value.items() if name not in names}


def _identified(key: Key, payload: bytes, value: Parsed) -> tuple[Incoming, list[str]]:
    """What the platform's mapping reads, under the row's own id."""
    for shown, options in _attempts(key, value):
        try:
            incoming = _mapped(key, payload, shown, options)
        except InvalidRecord:
            continue
        if incoming.key.id == key.id:
            return incoming, []
        return evolve(incoming, key=Key(key.kind, key.platform, key.id, incoming.key.locale)), [OTHER_ID]
    return _mapped(key, payload, {**value, _ID: key.id}, Options(id_field=_ID)), []


def _attempts(key: Key, value: Parsed) -> Iterator[tuple[Parsed, Options]]:
    yield value, Options()
    yield value, Options(id_field="ticket_id" if key.kind == TICKET else "article_id")


def _mapped(key: Key, payload: bytes, value: Parsed, options: Options) -> Incoming:
    if key.kind == ARTICLE:
        return platforms.article(key.platform, payload, value, options=options)
    return platforms.ticket(key.platform, payload, value, options)


def _object(text: bytes, name: str) -> bytes:
    return text if text.startswith(b"{") else b'{"' + name.encode() + b'": ' + text + b"}"
