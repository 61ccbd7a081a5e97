"""
Every value as one flat row, for storages that keep tables.

Text, whole numbers of 64 bits, floats, bytes and nothing are all that stands in a row; times are microseconds since 1970. The name of the
thing and its version are no part of it: each storage has columns of its own for those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from deskstore.domain import times
from deskstore.domain.mirror import Value
from deskstore.domain.processing import Checkpoint
from deskstore.domain.records import Article, Fields, SourceVersion, Ticket
from deskstore.domain.rows import Row, processing_of, processing_row
from deskstore.domain.summaries import Summary
from deskstore.domain.suppressions import Suppression
from deskstore.domain.things import Part, Thing

_RECORD: Final = (
    "payload",
    "sha256",
    "saved_us",
    "subject",
    "status",
    "priority",
    "requester",
    "created_us",  #: the smallest number there is for no time, so that pages end with those
    "updated_us",
    "source_field",
    "source_value",
    "text_digest",
)
#: of each part, in the order in which row_of() fills them
COLUMNS: Final[Mapping[Part, tuple[str, ...]]] = {
    "ticket": _RECORD,
    "article": _RECORD,
    "processing": ("status", "attempts", "error", "worker", "token", "lease_us", "claim_digest", "claimable_us", "changed_us"),
    "summary": ("content", "model", "prompt_id", "parameters", "tokens", "cost", "source_digest", "pinned", "created_us"),
    "checkpoint": ("cursor",),
    "suppression": ("secret", "created_us", "tickets", "summaries"),
}


def row_of(value: Value) -> Row:
    """The columns of a value."""
    match value:
        case Ticket() | Article():
            return _record_row(value)
        case Summary():
            written = (value.content, value.model, value.prompt_id, value.parameters, value.tokens, value.cost)
            return (*written, value.source_digest, int(value.pinned), times.microseconds(value.created_at))
        case Checkpoint():
            return (value.cursor,)
        case Suppression():
            return (value.secret, times.microseconds(value.created_at), value.tickets, value.summaries)
        case _:
            return processing_row(value)[:-1]  # which is the version


def value_of(thing: Thing, version: int, row: Sequence[Any]) -> Value:
    # Any: no database tells a type checker what it holds
    """The value of a thing's columns; raises ValueError, TypeError or OverflowError for what is no such row."""
    match thing.part:
        case "ticket":
            return Ticket(platform=thing.platform, ticket_id=thing.id, version=version, **_record(row))
        case "article":
            return Article(platform=thing.platform, article_id=thing.id, locale=thing.locale, version=version, **_record(row))
        case "summary":
            return _summary(thing, version, row)
        case "checkpoint":
            return Checkpoint(platform=thing.platform, stream=thing.id, cursor=row[0], version=version)
        case "suppression":
            secret, created_us, tickets, summaries = row
            counted = {"tickets": tickets, "summaries": summaries, "version": version}
            return Suppression(platform=thing.platform, digest=thing.id, secret=secret, created_at=times.moment(created_us), **counted)
        case "processing":
            if (processing := processing_of(thing.key, (*row, version))) is None:
                raise ValueError(f"the processing of {thing.key} has no status")
            return processing


def _record_row(record: Ticket | Article) -> Row:
    fields, source = record.fields, record.fields.source_version
    return (
        record.payload,
        record.sha256,
        times.microseconds(record.saved_at),
        fields.subject,
        fields.status,
        fields.priority,
        fields.requester,
        times.microseconds(fields.created_at),
        times.microseconds(fields.updated_at),
        source.field if source else None,
        source.value if source else None,
        fields.text_digest,
    )


def _record(row: Sequence[Any]) -> dict[str, Any]:
    # Any: fields of every type
    payload, sha256, saved_us, subject, status, priority, requester, created_us, updated_us, source_field, source_value, text_digest = row
    fields = Fields(
        subject=subject,
        status=status,
        priority=priority,
        requester=requester,
        created_at=times.from_microseconds(created_us),
        updated_at=times.from_microseconds(updated_us),
        source_version=None if source_field is None else SourceVersion(source_field, source_value),
        text_digest=text_digest,
    )
    return {"payload": payload, "sha256": sha256, "saved_at": times.moment(saved_us), "fields": fields}


def _summary(thing: Thing, version: int, row: Sequence[Any]) -> Summary:
    content, model, prompt_id, parameters, tokens, cost, source_digest, pinned, created_us = row
    return Summary(
        key=thing.key,
        number=thing.number,
        content=content,
        model=model,
        prompt_id=prompt_id,
        parameters=parameters,
        tokens=tokens,
        cost=cost,
        source_digest=source_digest,
        pinned=bool(pinned),
        created_at=times.moment(created_us),
        version=version,
    )
