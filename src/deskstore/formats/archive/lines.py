"""
The lines of a backup: one JSON object for each thing, which holds all that is kept of it.

The payload of a record and the content of a summary stand last in their line, their bytes untouched; where they are no single line, or are
surrounded by white space, they stand there as the text of a JSON string. A quotation mark inside a JSON string is always escaped, so the
first `,"payload":` or `,"content":` of a line is the one that ends what stands before.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from deskstore.domain import times
from deskstore.domain.errors import InvalidRecord
from deskstore.domain.mirror import Copy, Thing, Value
from deskstore.domain.processing import Checkpoint, Claim, Processing
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.suppressions import Suppression
from deskstore.formats.archive.damage import Damaged
from deskstore.formats.archive.fields import FieldsLine, microseconds
from deskstore.formats.archive.shapes import (
    ArticleLine,
    CheckpointLine,
    ClaimLine,
    DeletedLine,
    Line,
    ProcessingLine,
    SummaryLine,
    SuppressionLine,
    TicketLine,
)

PAYLOAD: Final = b',"payload":'
CONTENT: Final = b',"content":'
_MISSING: Final = "\udcff"  #: what surrogateescape turns into the one byte FF, which is no UTF-8
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Line)
_DELETED: Final = msgspec.json.Decoder(DeletedLine)
_DELETED_BEGINS: Final = b'{"deleted":'
_SUMMARY_BEGINS: Final = b'{"part":"summary"'
_WRONG: Final = (msgspec.MsgspecError, InvalidRecord, ValueError, OverflowError, RecursionError)


# -- to bytes ------------------------------------------------------------------------------------------------------------------------------


def line_of(copy: Copy) -> bytes:
    """A thing as its line, line break included."""
    match copy.value:
        case None:
            return _ENCODER.encode(_of_deleted(copy)) + b"\n"
        case Ticket() | Article() as record:
            return _joined(_line_of(record), PAYLOAD, record.payload)
        case Summary() as summary:
            return _joined(_line_of(summary), CONTENT, summary.content)
        case value:
            return _ENCODER.encode(_line_of(value)) + b"\n"


def _line_of(value: Value) -> Line:
    """What stands in the line of a value before the payload or the content, or all of it."""
    match value:
        case Ticket() | Article():
            return _of_record(value)
        case Summary():
            return _of_summary(value)
        case Processing():
            return _of_processing(value)
        case Checkpoint():
            return _of_checkpoint(value)
        case Suppression():
            return _of_suppression(value)


def _joined(line: Line, key: bytes, last: bytes) -> bytes:
    is_one_line = last[:1] == b"{" and last[-1:] == b"}" and b"\n" not in last and b"\r" not in last
    return b"".join((_ENCODER.encode(line)[:-1], key, last if is_one_line else _ENCODER.encode(last.decode()), b"}\n"))


def _of_record(record: Ticket | Article) -> TicketLine | ArticleLine:
    fields, saved_at = FieldsLine.of(record.fields), times.microseconds(record.saved_at)
    _, platform, identifier, locale = record.key
    digest = record.sha256.hex()
    if isinstance(record, Ticket):
        return TicketLine(version=record.version, platform=platform, id=identifier, saved_at=saved_at, sha256=digest, fields=fields)
    return ArticleLine(
        version=record.version, platform=platform, id=identifier, locale=locale, saved_at=saved_at, sha256=digest, fields=fields
    )


def _of_processing(one: Processing) -> ProcessingLine:
    return ProcessingLine(
        version=one.version,
        platform=one.key.platform,
        id=one.key.id,
        status=one.status.value,
        attempts=one.attempts,
        error=one.error,
        claim=None if one.claim is None else _of_claim(one.claim),
        claimable_at=microseconds(one.claimable_at),
        changed_at=times.microseconds(one.changed_at),
    )


def _of_claim(claim: Claim) -> ClaimLine:
    return ClaimLine(
        worker=claim.worker, token=claim.token, lease_until=times.microseconds(claim.lease_until), text_digest=claim.text_digest.hex()
    )


def _of_summary(summary: Summary) -> SummaryLine:
    return SummaryLine(
        version=summary.version,
        kind=summary.key.kind,
        platform=summary.key.platform,
        id=summary.key.id,
        locale=summary.key.locale,
        number=summary.number,
        model=summary.model,
        prompt_id=summary.prompt_id,
        parameters=summary.parameters.decode(),
        tokens=summary.tokens,
        cost=summary.cost,
        source_digest=summary.source_digest.hex(),
        pinned=summary.pinned,
        created_at=times.microseconds(summary.created_at),
    )


def _of_checkpoint(checkpoint: Checkpoint) -> CheckpointLine:
    return CheckpointLine(version=checkpoint.version, platform=checkpoint.platform, stream=checkpoint.stream, cursor=checkpoint.cursor)


def _of_suppression(one: Suppression) -> SuppressionLine:
    return SuppressionLine(
        version=one.version,
        platform=one.platform,
        digest=one.digest,
        secret=one.secret.hex(),
        created_at=times.microseconds(one.created_at),
        tickets=one.tickets,
        summaries=one.summaries,
    )


def _of_deleted(copy: Copy) -> DeletedLine:
    part, kind, platform, identifier, locale, number = copy.thing
    return DeletedLine(deleted=part, kind=kind, platform=platform, id=identifier, locale=locale, number=number, version=copy.version)


# -- from bytes ----------------------------------------------------------------------------------------------------------------------------


class ReadLine(NamedTuple):
    """A line that was read; a plain tuple, since a check makes millions of them."""

    thing: Thing
    version: int
    line: Line | None  #: None: the thing was deleted at that version
    last: bytes  #: the payload or the content; empty where there is neither

    @property
    def payload_sha256(self) -> str | None:
        """The sha256 of a record's payload, in hex; None for what has none."""
        return self.line.sha256 if isinstance(self.line, TicketLine | ArticleLine) else None

    def digest(self) -> bytes:
        """
        The digest that digest_of() gives for the value, without making the value.

        Raises:
            Damaged: The payload is not the one that was hashed, or the line says of something what is no hash.
        """
        try:
            fields = (*self.thing, *(self.line.content(self.last) if self.line else ()))
            text = "\0".join([_MISSING if one is None else str(one) for one in fields])
            return sha256(text.encode("utf-8", "surrogateescape")).digest()
        except ValueError as error:
            raise Damaged(f"the line of {_named(self.thing)} is not sound: {error}") from error

    def check(self) -> None:
        """
        See that every storage keeps the thing, and gives it back as it is; that the payload is the one that was hashed, digest() sees.

        Raises:
            Damaged: It holds what no storage keeps.
        """
        line = self.line
        try:
            if isinstance(line, TicketLine | ArticleLine):
                line.check(self.last)
            elif line is not None and _line_of(line.value(self.last)) != line:
                raise ValueError("no storage would give it back as it is")
        except _WRONG as error:
            raise Damaged(f"the line of {_named(self.thing)} holds what no storage keeps: {error}") from error

    def copy(self) -> Copy:
        """The thing itself, of a line that was checked."""
        return Copy(self.thing, self.version, None if self.line is None else self.line.value(self.last))


def read_line(text: bytes) -> ReadLine:
    """A line without its line break; raises Damaged where it is none of a backup."""
    try:
        if text.startswith(_DELETED_BEGINS):
            deleted = _DELETED.decode(text)
            return ReadLine(deleted.thing, deleted.version, None, b"")
        key = CONTENT if text.startswith(_SUMMARY_BEGINS) else PAYLOAD
        if (at := text.find(key)) < 0:
            line = _DECODER.decode(text)
            return ReadLine(line.thing, line.version, line, b"")
        line = _DECODER.decode(text[:at] + b"}")
        return ReadLine(line.thing, line.version, line, _last(text, at + len(key)))
    except _WRONG as error:
        raise Damaged(f"it holds no line of a backup: {error}") from error


def _last(text: bytes, begin: int) -> bytes:
    """The payload or the content, which begins there and ends before the line's last brace."""
    if not text.endswith(b"}"):
        raise ValueError("it ends in the middle")
    last = text[begin:-1]
    return msgspec.json.decode(last, type=str).encode() if last[:1] == b'"' else last


def _named(thing: Thing) -> str:
    return " ".join(str(one) for one in thing if one not in ("", 0))
