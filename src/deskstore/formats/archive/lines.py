"""
The lines of a backup: one JSON object for each thing, which holds all that is kept of it.

The payload of a record and the content of a summary stand last in their line, their bytes untouched; where they are no single line, or are
surrounded by white space, they stand there as the text of a JSON string. A quotation mark inside a JSON string is always escaped, so the
first `,"payload":` or `,"content":` of a line is the one that ends what stands before.

A line can be digested as it stands, which is what a check does with millions of them, or be read as the value it holds, which is what every
storage can keep.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from struct import pack
from typing import Annotated, Final, NamedTuple

import msgspec
from attrs import evolve
from msgspec import Meta, Struct

from deskstore.domain import identifiers, records, summaries, times
from deskstore.domain.errors import InvalidRecord
from deskstore.domain.identifiers import Key, Kind
from deskstore.domain.mirror import Copy, Part, Thing, Value, thing_of
from deskstore.domain.processing import Checkpoint, Claim, Processing, ProcessingStatus
from deskstore.domain.records import Article, Fields, SourceVersion, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.suppressions import Suppression
from deskstore.formats import json
from deskstore.formats.archive.damage import Damaged

_Us = Annotated[int, Meta(ge=-62_135_596_800_000_000, le=times.LAST_MOMENT_US)]  #: microseconds since 1970, from the year 1 on
_Version = Annotated[int, Meta(ge=1, le=times.LAST_US)]
_Count = Annotated[int, Meta(ge=0, le=times.LAST_US)]
_Hash = Annotated[str, Meta(min_length=64, max_length=64)]
_Field = str | int | None

PAYLOAD: Final = b',"payload":'
CONTENT: Final = b',"content":'
_DIGEST_BYTES: Final = 32
_MISSING: Final = "\udcff"  #: what surrogateescape turns into the one byte FF, which is no UTF-8
_FLAGS: Final = {True: "true", False: "false"}


class Line(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="part"):
    """What stands in a line before the payload or the content, or all of it."""

    version: _Version

    @property
    def thing(self) -> Thing:
        """The name of the thing that the line is of."""
        raise NotImplementedError

    def content(self, last: bytes) -> tuple[_Field, ...]:
        """The fields that count for its digest, given the payload's or the content's bytes."""
        raise NotImplementedError

    def value(self, last: bytes) -> Value:
        """The value it holds; raises InvalidRecord or ValueError for one that not every storage keeps."""
        raise NotImplementedError


class FieldsLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was read out of a payload."""

    subject: str | None
    status: str | None
    priority: str | None
    requester: str | None
    created_at: _Us | None
    updated_at: _Us | None
    source_version: tuple[str, int] | None
    text_digest: _Hash

    @classmethod
    def of(cls, fields: Fields) -> FieldsLine:
        """The fields of a record."""
        return cls(
            subject=fields.subject,
            status=fields.status,
            priority=fields.priority,
            requester=fields.requester,
            created_at=_us(fields.created_at),
            updated_at=_us(fields.updated_at),
            source_version=fields.source_version and (fields.source_version.field, fields.source_version.value),
            text_digest=fields.text_digest.hex(),
        )

    def content(self) -> tuple[_Field, ...]:
        """The fields in the order in which they are digested."""
        filters = (self.subject, self.status, self.priority, self.requester, self.created_at, self.updated_at)
        return (*filters, *(self.source_version or (None, None)), _hash_of(self.text_digest))

    def value(self) -> Fields:
        """The fields themselves; raises ValueError."""
        source = self.source_version
        if source is not None and (not times.fits(source[1]) or not _is_plain(source[0])):
            raise ValueError("its source_version fits no storage")
        return Fields(
            subject=self.subject,
            status=self.status,
            priority=self.priority,
            requester=self.requester,
            created_at=_moment(self.created_at),
            updated_at=_moment(self.updated_at),
            source_version=source and SourceVersion(*source),
            text_digest=_bytes(self.text_digest),
        )


class TicketLine(Line, tag="ticket", frozen=True, kw_only=True):
    """A ticket; its payload follows."""

    platform: str
    id: str
    saved_at: _Us
    sha256: _Hash
    fields: FieldsLine

    @property
    def thing(self) -> Thing:
        """The ticket's name."""
        return Thing("ticket", "ticket", self.platform, self.id)

    def content(self, last: bytes) -> tuple[_Field, ...]:
        """The fields that count, once the payload was seen to be the one that was hashed."""
        return (_seen(last, self.sha256), *self.fields.content(), self.saved_at)

    def value(self, last: bytes) -> Ticket:
        """The ticket."""
        key = identifiers.ticket_key(self.platform, self.id)
        return Ticket(
            platform=key.platform,
            ticket_id=key.id,
            payload=last,
            sha256=_checked(last, self.sha256),
            fields=self.fields.value(),
            saved_at=times.moment(self.saved_at),
            version=self.version,
            checked=last,
        )


class ArticleLine(Line, tag="article", frozen=True, kw_only=True):
    """An article; its payload follows."""

    platform: str
    id: str
    locale: str
    saved_at: _Us
    sha256: _Hash
    fields: FieldsLine

    @property
    def thing(self) -> Thing:
        """The article's name."""
        return Thing("article", "article", self.platform, self.id, self.locale)

    def content(self, last: bytes) -> tuple[_Field, ...]:
        """The fields that count, once the payload was seen to be the one that was hashed."""
        return (_seen(last, self.sha256), *self.fields.content(), self.saved_at)

    def value(self, last: bytes) -> Article:
        """The article."""
        key = identifiers.article_key(self.platform, self.id, self.locale)
        return Article(
            platform=key.platform,
            article_id=key.id,
            locale=key.locale,
            payload=last,
            sha256=_checked(last, self.sha256),
            fields=self.fields.value(),
            saved_at=times.moment(self.saved_at),
            version=self.version,
            checked=last,
        )


class ClaimLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who holds a ticket."""

    worker: str
    token: str
    lease_until: _Us
    text_digest: _Hash

    def value(self) -> Claim:
        """The claim; raises ValueError or InvalidRecord."""
        if not _is_plain(self.token):
            raise ValueError("its token fits no storage")
        return Claim(
            worker=identifiers.worker(self.worker),
            token=self.token,
            lease_until=times.moment(self.lease_until),
            text_digest=_bytes(self.text_digest),
        )


class ProcessingLine(Line, tag="processing", frozen=True, kw_only=True):
    """How far a ticket has come."""

    platform: str
    id: str
    status: str
    attempts: int
    error: str | None
    claim: ClaimLine | None
    claimable_at: _Us | None
    changed_at: _Us

    @property
    def thing(self) -> Thing:
        """The processing's name, which is the ticket's."""
        return Thing("processing", "ticket", self.platform, self.id)

    def content(self, last: bytes) -> tuple[_Field, ...]:
        """The fields that count."""
        claim = self.claim
        held = (claim.worker, claim.token, claim.lease_until, _hash_of(claim.text_digest)) if claim else (None,) * 4
        return (self.status, self.attempts, self.error, *held, self.claimable_at, self.changed_at)

    def value(self, last: bytes) -> Processing:
        """The processing."""
        one = Processing(
            key=identifiers.ticket_key(self.platform, self.id),
            status=ProcessingStatus(self.status),
            attempts=self.attempts,
            error=self.error,
            claim=None if self.claim is None else self.claim.value(),
            claimable_at=_moment(self.claimable_at),
            changed_at=times.moment(self.changed_at),
            version=self.version,
        )
        one.check()
        return one


class SummaryLine(Line, tag="summary", frozen=True, kw_only=True):
    """A summary of a record; its content follows."""

    kind: Kind
    platform: str
    id: str
    locale: str
    number: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    model: str | None
    prompt_id: str | None
    parameters: str
    tokens: int | None
    cost: float | None
    source_digest: _Hash
    pinned: bool
    created_at: _Us

    @property
    def thing(self) -> Thing:
        """The summary's name: its record's, and its number."""
        return Thing("summary", self.kind, self.platform, self.id, self.locale, self.number)

    def content(self, last: bytes) -> tuple[_Field, ...]:
        """The fields that count."""
        cost = None if self.cost is None else pack(">d", self.cost).hex()
        made = (self.model, self.prompt_id, sha256(self.parameters.encode()).hexdigest(), self.tokens, cost)
        return (sha256(last).hexdigest(), *made, _hash_of(self.source_digest), _FLAGS[self.pinned], self.created_at)

    def value(self, last: bytes) -> Summary:
        """The summary."""
        unsaved = Summary(
            key=identifiers.checked_key(Key(self.kind, self.platform, self.id, self.locale)),
            content=last,
            model=self.model,
            prompt_id=self.prompt_id,
            parameters=self.parameters.encode(),
            tokens=self.tokens,
            cost=self.cost,
            source_digest=_bytes(self.source_digest),
            pinned=self.pinned,
            created_at=times.moment(self.created_at),
        )
        return evolve(summaries.checked(unsaved), number=self.number, version=self.version)


class CheckpointLine(Line, tag="checkpoint", frozen=True, kw_only=True):
    """How far a stream has been read."""

    platform: str
    stream: str
    cursor: str

    @property
    def thing(self) -> Thing:
        """The checkpoint's name."""
        return Thing("checkpoint", "", self.platform, self.stream)

    def content(self, last: bytes) -> tuple[_Field, ...]:
        """The field that counts."""
        return (self.cursor,)

    def value(self, last: bytes) -> Checkpoint:
        """The checkpoint."""
        if not _is_plain(self.cursor):
            raise ValueError("its cursor fits no storage")
        platform, stream = identifiers.platform(self.platform), identifiers.stream(self.stream)
        return Checkpoint(platform=platform, stream=stream, cursor=self.cursor, version=self.version)


class SuppressionLine(Line, tag="suppression", frozen=True, kw_only=True):
    """A requester who was erased, and whose tickets are kept out."""

    platform: str
    digest: _Hash
    secret: _Hash
    created_at: _Us
    tickets: _Count
    summaries: _Count

    @property
    def thing(self) -> Thing:
        """The suppression's name."""
        return Thing("suppression", "", self.platform, self.digest)

    def content(self, last: bytes) -> tuple[_Field, ...]:
        """The fields that count."""
        return (_hash_of(self.secret), self.created_at, self.tickets, self.summaries)

    def value(self, last: bytes) -> Suppression:
        """The suppression."""
        return Suppression(
            platform=identifiers.platform(self.platform),
            digest=_bytes(self.digest).hex(),
            secret=_bytes(self.secret),
            created_at=times.moment(self.created_at),
            tickets=self.tickets,
            summaries=self.summaries,
            version=self.version,
        )


class DeletedLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A thing that was deleted while the backup was taken, after an earlier line may have told of it."""

    deleted: Part
    kind: str
    platform: str
    id: str
    locale: str
    number: int
    version: Annotated[int, Meta(ge=0, le=times.LAST_US)]

    @property
    def thing(self) -> Thing:
        """The name of the thing."""
        return Thing(self.deleted, self.kind, self.platform, self.id, self.locale, self.number)


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(TicketLine | ArticleLine | ProcessingLine | SummaryLine | CheckpointLine | SuppressionLine)
_DELETED: Final = msgspec.json.Decoder(DeletedLine)
_DELETED_BEGINS: Final = b'{"deleted":'
_SUMMARY_BEGINS: Final = b'{"part":"summary"'
_WRONG: Final = (msgspec.MsgspecError, InvalidRecord, ValueError, OverflowError, RecursionError)


# -- to bytes ------------------------------------------------------------------------------------------------------------------------------


def line_of(copy: Copy) -> bytes:
    """A thing as its line, line break included."""
    match copy.value:
        case Ticket() | Article() as record:
            return _joined(_of_record(record), PAYLOAD, record.payload)
        case Summary() as summary:
            return _joined(_of_summary(summary), CONTENT, summary.content)
        case Processing() as one:
            return _ENCODER.encode(_of_processing(one)) + b"\n"
        case Checkpoint() as checkpoint:
            return _ENCODER.encode(_of_checkpoint(checkpoint)) + b"\n"
        case Suppression() as suppression:
            return _ENCODER.encode(_of_suppression(suppression)) + b"\n"
        case None:
            return _ENCODER.encode(_of_deleted(copy)) + b"\n"


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
        claimable_at=_us(one.claimable_at),
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

    def copy(self) -> Copy:
        """
        The thing itself, fit for every storage.

        Raises:
            Damaged: It holds what no storage keeps.
        """
        try:
            value = None if self.line is None else self.line.value(self.last)
            if value is not None and thing_of(value) != self.thing:
                raise ValueError("it changes its name")
        except _WRONG as error:
            raise Damaged(f"the line of {_named(self.thing)} holds what no storage keeps: {error}") from error
        return Copy(self.thing, self.version, value)


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


def _seen(payload: bytes, digest: str) -> str:
    if sha256(payload).hexdigest() != digest:
        raise ValueError("its payload has another sha256")
    return digest


def _checked(payload: bytes, digest: str) -> bytes:
    """The sha256 of a payload, once it was seen to be the one that was named, and that the payload keeps the rule for JSON."""
    json.load(payload)
    _seen(payload, digest)
    return _bytes(digest)


def _hash_of(digest: str) -> str:
    return sha256(bytes.fromhex(digest)).hexdigest()


def _bytes(digest: str) -> bytes:
    found = bytes.fromhex(digest)
    if len(found) != _DIGEST_BYTES or found.hex() != digest:
        raise ValueError("one of its hashes is none")
    return found


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else times.microseconds(moment)


def _moment(us: int | None) -> datetime | None:
    return None if us is None else times.moment(us)


def _is_plain(text: str) -> bool:
    """Whether every storage can keep a text as it is."""
    return records.clean(text, len(text)) == text


def _named(thing: Thing) -> str:
    return " ".join(str(one) for one in thing if one not in ("", 0))
