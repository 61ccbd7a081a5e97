"""Copies of what a company holds, as one store hands them to another, and digests to compare the two by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from struct import pack

from attrs import frozen

from deskstore.domain import times
from deskstore.domain.identifiers import Key
from deskstore.domain.processing import Checkpoint, Processing
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.suppressions import Suppression
from deskstore.domain.things import MIRROR, PARTS, CompanyState, Debt, MirrorStatus, Part, Thing

__all__ = [
    "MIRROR",
    "PARTS",
    "CompanyState",
    "Copy",
    "Debt",
    "MirrorStatus",
    "Owed",
    "Part",
    "Thing",
    "ThingDigest",
    "Value",
    "applicable",
    "copy_of",
    "digest_of",
    "thing_of",
]

Value = Ticket | Article | Processing | Summary | Checkpoint | Suppression


@frozen
class Copy:
    """One thing as it stands at a version; value None: it was deleted at that version."""

    thing: Thing
    version: int
    value: Value | None

    def moves_progress(self, stood: Processing | None) -> bool:
        """Whether the platform's progress is another one after it: a ticket came or went, or its status, which it stood in, is another."""
        if self.thing.part == "ticket":
            return self.value is None and stood is not None
        status = self.value.status if isinstance(self.value, Processing) else None
        return self.thing.part == "processing" and status != (stood.status if stood else None)


@frozen(kw_only=True)
class Owed:
    """What a consumer of the outbox had yet to be told of at one moment, as all of it stood then."""

    state: CompanyState | None  #: at that moment; a consumer that is not among its consumers is owed nothing, whatever changed
    copies: Sequence[Copy]  #: ascending by name; what did not exist has value None
    is_all: bool  #: nothing else was owed: whoever keeps these has the company as it was at that moment


@frozen(kw_only=True)
class ThingDigest:
    """What one thing amounts to, without its content."""

    thing: Thing
    version: int
    digest: bytes  #: sha256, 32 bytes, equal on every adapter for equal content


def thing_of(value: Value) -> Thing:
    """The name of a value."""
    match value:
        case Ticket():
            return Thing("ticket", *value.key)
        case Article():
            return Thing("article", *value.key)
        case Processing():
            return Thing("processing", *value.key)
        case Summary():
            return Thing("summary", *value.key, value.number)
        case Checkpoint():
            return Thing("checkpoint", "", value.platform, value.stream)
        case Suppression():
            return Thing("suppression", "", value.platform, value.digest)


def copy_of(value: Value) -> Copy:
    """A value as it stands."""
    return Copy(thing_of(value), value.version, value)


def applicable(copies: Iterable[Copy], known: Mapping[Thing, int], stands: Callable[[Key], bool]) -> list[Copy]:
    """
    The copies that a store has to keep: newer than what it knows, deletions included, and no part without its record.

    A record and its parts are read one after the other, so the deletion of a record may come together with parts from before it. They go
    with it: whoever kept them would hold what no deletion ever reaches again.

    Args:
        known: The version at which each of the things stands in the store, or was deleted; of what is missing here nothing is known.
        stands: Whether the store holds a record.

    Returns:
        Them in the order of PARTS, so that a record comes before what goes with it, and by name.
    """
    fresh = sorted((copy for copy in copies if copy.version > known.get(copy.thing, 0)), key=_place)
    records = {copy.thing.key: copy.value is not None for copy in fresh if copy.thing.part in ("ticket", "article")}
    return [copy for copy in fresh if not _is_part(copy) or records.get(copy.thing.key, stands(copy.thing.key))]


def _place(copy: Copy) -> tuple[int, Thing, int]:
    return PARTS.index(copy.thing.part), copy.thing, copy.version


def _is_part(copy: Copy) -> bool:
    return copy.value is not None and copy.thing.part in ("processing", "summary")


def digest_of(value: Value, *, rehash: bool = False) -> ThingDigest:
    r"""
    The digest of a value, whatever its version: sha256 over its fields, which a database can compute by itself.

    The fields are in this order, with one NUL byte between two:

    - of everything: part, kind, platform, id, locale, number; then
    - of a ticket or an article: sha256 (of the payload), subject, status, priority, requester, created_at, updated_at, the field and the
      value of source_version, text_digest, saved_at;
    - of a processing: status, attempts, error, the claim's worker, token, lease_until and text_digest, claimable_at, changed_at;
    - of a summary: content, model, prompt_id, parameters, tokens, cost, source_digest, pinned, created_at;
    - of a checkpoint: cursor;
    - of a suppression: secret, created_at, tickets, summaries.

    Text is UTF-8, and holds no NUL, since it is cleaned. A number is decimal, a time the number of microseconds since 1970, a cost the
    hex of its eight bytes (IEEE 754, the highest first), a flag `true` or `false`. Bytes are the lower-case hex of their sha256; only the
    one kept with a payload is taken as it is, in hex, unless the payload is to be hashed anew. What is missing is the one byte FF, which
    is no UTF-8. In PostgreSQL, where `cost` is a float8:

        sha256(convert_to('ticket', 'UTF8') || '\x00' || … || coalesce(convert_to(subject, 'UTF8'), '\xff') || '\x00' || …
            || coalesce(convert_to(encode(float8send(cost), 'hex'), 'UTF8'), '\xff') || …)
    """
    thing = thing_of(value)
    fields = b"\0".join(_plain(one) for one in (*thing, *_content(value, rehash=rehash)))
    return ThingDigest(thing=thing, version=value.version, digest=sha256(fields).digest())


_Field = str | int | bytes | datetime | None


def _content(value: Value, *, rehash: bool) -> tuple[_Field, ...]:
    match value:
        case Ticket() | Article():
            return _of_record(value, rehash=rehash)
        case Processing():
            return _of_processing(value)
        case Summary():
            return _of_summary(value)
        case Checkpoint():
            return (value.cursor,)
        case Suppression():
            return (value.secret, value.created_at, value.tickets, value.summaries)


def _of_record(record: Ticket | Article, *, rehash: bool) -> tuple[_Field, ...]:
    taken, kept = record.fields, sha256(record.payload).digest() if rehash else record.sha256
    filters = (taken.subject, taken.status, taken.priority, taken.requester, taken.created_at, taken.updated_at)
    return (kept.hex(), *filters, *(taken.source_version or (None, None)), taken.text_digest, record.saved_at)


def _of_processing(processing: Processing) -> tuple[_Field, ...]:
    claim = processing.claim
    held = (claim.worker, claim.token, claim.lease_until, claim.text_digest) if claim else (None,) * 4
    return (processing.status, processing.attempts, processing.error, *held, processing.claimable_at, processing.changed_at)


def _of_summary(one: Summary) -> tuple[_Field, ...]:
    cost = None if one.cost is None else pack(">d", one.cost).hex()
    return (one.content, one.model, one.prompt_id, one.parameters, one.tokens, cost, one.source_digest, one.pinned, one.created_at)


def _plain(item: _Field) -> bytes:
    match item:
        case None:
            return b"\xff"
        case bool():
            return b"true" if item else b"false"
        case bytes():
            return sha256(item).hexdigest().encode()
        case datetime():
            return str(times.microseconds(item)).encode()
        case _:
            return str(item).encode()
