"""Domain values as rows of the database's functions, and back; columns in the order of the tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from deskstore.domain import times
from deskstore.domain.errors import CorruptRecord
from deskstore.domain.identifiers import ARTICLE, TICKET, Key, Kind
from deskstore.domain.processing import Checkpoint, Processing
from deskstore.domain.receiving import Head
from deskstore.domain.records import Article, Fields, SourceVersion, Ticket
from deskstore.domain.rows import WIDTH, processing_of, processing_row
from deskstore.domain.summaries import Summary
from deskstore.domain.suppressions import Suppression
from deskstore.domain.things import CompanyState, state_from

Columns = Sequence[Any]  # Any: no database tells a type checker what a column holds
Found = Sequence[Columns]
Row = tuple[str | int | float | bytes | None, ...]
_KEY: Final = {TICKET: 2, ARTICLE: 3}  #: columns of a key


def key_row(key: Key) -> tuple[str, ...]:
    """The columns that name a record among those of its kind."""
    return (key.platform, key.id) if key.kind == TICKET else (key.platform, key.id, key.locale)


def record_row(record: Ticket | Article) -> Row:
    """A row of ticket or of article."""
    fields, source = record.fields, record.fields.source_version
    return (
        *key_row(record.key),
        record.version,
        times.microseconds(fields.created_at),
        times.microseconds(record.saved_at),
        fields.subject,
        fields.status,
        fields.priority,
        fields.requester,
        None if fields.updated_at is None else times.microseconds(fields.updated_at),
        source.field if source else None,
        source.value if source else None,
        fields.text_digest,
        record.sha256,
        record.payload,
    )


def ticket_of(row: Columns) -> Ticket:
    """The ticket of a row."""
    return Ticket(platform=row[0], ticket_id=row[1], **_record(row[2:]))


def article_of(row: Columns) -> Article:
    """The article of a row."""
    return Article(platform=row[0], article_id=row[1], locale=row[2], **_record(row[3:]))


def _record(row: Columns) -> dict[str, Any]:
    version, created_us, saved_us, subject, status, priority, requester, updated_us, source_field, source_value, digest, sha256, payload = (
        row
    )
    return {
        "payload": payload,
        "sha256": sha256,
        "saved_at": times.moment(saved_us),
        "version": version,
        "fields": Fields(
            subject=subject,
            status=status,
            priority=priority,
            requester=requester,
            created_at=times.from_microseconds(created_us),
            updated_at=None if updated_us is None else times.moment(updated_us),
            source_version=None if source_field is None else SourceVersion(source_field, source_value),
            text_digest=digest,
        ),
    }


def head_of(kind: Kind, row: Columns) -> Head:
    """A record's head: key, version, digests, source_version, and of a ticket its processing."""
    key = Key(kind, *row[: _KEY[kind]])
    version, sha256, text_digest, source_field, source_value, *state = row[_KEY[kind] :]
    return Head(
        key=key,
        sha256=sha256,
        text_digest=text_digest,
        source_version=None if source_field is None else SourceVersion(source_field, source_value),
        version=version,
        processing=processing_of(key, state) if state else None,
    )


def state_row(processing: Processing, created_us: int | None) -> Row:
    """A row of ticket_state; created_us None: the ticket's own, which is there already."""
    return (*key_row(processing.key), created_us, *processing_row(processing))


def state_of(row: Columns) -> Processing:
    """The processing of a row that begins with its platform and id."""
    found = processing_of(Key(TICKET, row[0], row[1]), row[2 : 2 + WIDTH])
    if found is None:
        raise ValueError("a ticket's state has no status")
    return found


def summary_row(summary: Summary) -> Row:
    """A row of summary."""
    return (
        *summary.key,
        summary.number,
        summary.content,
        summary.model,
        summary.prompt_id,
        summary.parameters,
        summary.tokens,
        summary.cost,
        summary.source_digest,
        summary.pinned,
        times.microseconds(summary.created_at),
        summary.version,
    )


def summary_of(row: Columns) -> Summary:
    """The summary of a row."""
    kind, platform, identifier, locale, number, content, model, prompt_id, parameters, tokens, cost, digest, pinned, created_us, version = (
        row
    )
    return Summary(
        key=Key(kind, platform, identifier, locale),
        number=number,
        content=content,
        model=model,
        prompt_id=prompt_id,
        parameters=parameters,
        tokens=tokens,
        cost=cost,
        source_digest=digest,
        pinned=pinned,
        created_at=times.moment(created_us),
        version=version,
    )


def checkpoint_row(checkpoint: Checkpoint) -> Row:
    """A row of checkpoint."""
    return (checkpoint.platform, checkpoint.stream, checkpoint.cursor, checkpoint.version)


def suppression_row(one: Suppression) -> Row:
    """A row of suppression."""
    return (one.platform, one.digest, one.secret, times.microseconds(one.created_at), one.tickets, one.summaries, one.version)


def suppression_of(row: Columns) -> Suppression:
    """The suppression of a row."""
    platform, digest, secret, created_us, tickets, summaries, version = row
    return Suppression(
        platform=platform,
        digest=digest,
        secret=secret,
        created_at=times.moment(created_us),
        tickets=tickets,
        summaries=summaries,
        version=version,
    )


def checkpoint_of(row: Columns) -> Checkpoint:
    """The checkpoint of a row."""
    platform, stream, cursor, version = row
    return Checkpoint(platform=platform, stream=stream, cursor=cursor, version=version)


def company_of(text: bytes | None) -> CompanyState | None:
    """Where a company lives, as it is kept; None of nothing."""
    if text is None:
        return None
    try:
        return state_from(json.loads(text), "the database")
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptRecord(None, "the row of the company's state", "deskstore never wrote it") from error
