"""One rule for every payload that comes in: created, updated, unchanged or stale."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import frozen

from deskstore.domain.identifiers import Key
from deskstore.domain.processing import Processing
from deskstore.domain.records import Article, Incoming, Record, SourceVersion, Ticket


class Outcome(StrEnum):
    """What became of a payload that was received."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"  #: the bytes are the ones already kept: nothing was written
    STALE = "stale"  #: the platform made a newer one that is already kept: nothing was written
    SUPPRESSED = "suppressed"  #: the requester was erased, and their tickets are kept out: nothing was written


CREATED: Final = Outcome.CREATED
UPDATED: Final = Outcome.UPDATED
UNCHANGED: Final = Outcome.UNCHANGED
STALE: Final = Outcome.STALE
SUPPRESSED: Final = Outcome.SUPPRESSED


@frozen(kw_only=True)
class Head:
    """A stored record without its payload: enough to decide what to do with another one."""

    key: Key
    sha256: bytes
    text_digest: bytes
    source_version: SourceVersion | None
    version: int
    processing: Processing | None  #: None for an article


def head_of(record: Ticket | Article, processing: Processing | None) -> Head:
    """The head of a stored record; processing: of a ticket."""
    return Head(
        key=record.key,
        sha256=record.sha256,
        text_digest=record.fields.text_digest,
        source_version=record.fields.source_version,
        version=record.version,
        processing=processing,
    )


@frozen(kw_only=True)
class Received:
    """What became of one payload."""

    key: Key
    outcome: Outcome
    version: int  #: the record's version now; 0 where there is none


def judge(incoming: Incoming, stored: Head | Record | None, *, force: bool = False) -> Outcome:
    """
    What is to be done with a payload, given what is stored under its key.

    Equal bytes are unchanged; a source_version of the same field that is older than the stored one is stale, unless forced.
    updated_at alone decides nothing: some platforms change a ticket without moving it.
    """
    if stored is None:
        return CREATED
    if incoming.sha256 == stored.sha256:
        return UNCHANGED
    known = stored.fields.source_version if isinstance(stored, Record) else stored.source_version
    came = incoming.fields.source_version
    if came and known and came.is_older_than(known) and not force:
        return STALE
    return UPDATED
