"""A company as two stores see it: its state, the separately versioned things in it, and copies of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final, Literal, NamedTuple

from attrs import asdict, frozen

from deskstore.domain import times
from deskstore.domain.identifiers import Key
from deskstore.domain.processing import Checkpoint, Processing
from deskstore.domain.records import Article, Record, Ticket
from deskstore.domain.summaries import Summary

Part = Literal["ticket", "article", "processing", "summary", "checkpoint"]
PARTS: Final[tuple[Part, ...]] = ("ticket", "article", "processing", "summary", "checkpoint")  #: in the order they are copied

Value = Ticket | Article | Processing | Summary | Checkpoint


class Thing(NamedTuple):
    """The name of one separately versioned thing of a company."""

    part: Part
    kind: str  #: of the record it belongs to; empty for a checkpoint
    platform: str
    id: str  #: of the record, or the checkpoint's stream
    locale: str = ""
    number: int = 0  #: of a summary

    @property
    def key(self) -> Key:
        """The key of the record it belongs to; of no meaning for a checkpoint."""
        return Key("article" if self.kind == "article" else "ticket", self.platform, self.id, self.locale)


@frozen
class Copy:
    """One thing as it stands at a version; value None: it was deleted at that version."""

    thing: Thing
    version: int
    value: Value | None


@frozen
class Debt:
    """A thing the mirror has yet to be told of, at the version it had when it was recorded."""

    thing: Thing
    version: int


class MirrorStatus(StrEnum):
    """What the other store of a company is worth."""

    NONE = "none"
    FILLING = "filling"
    VERIFIED = "verified"


@frozen(kw_only=True)
class CompanyState:
    """Where a company lives; kept in both stores, and the highest epoch is right."""

    primary: str  #: the id of the store that takes the writes
    mirror: str | None = None  #: the id of the store that follows it
    mirror_status: MirrorStatus = MirrorStatus.NONE
    epoch: int = 1  #: grows with each change of the primary
    swapping_to: str | None = None  #: the store that is about to become the primary: no commit passes
    erased: bool = False

    def owes_from(self, store_id: str) -> bool:
        """Whether each commit of this store must record what it changed, for the mirror to be told."""
        return self.mirror is not None and self.primary == store_id


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


def copy_of(value: Value) -> Copy:
    """A value as it stands."""
    return Copy(thing_of(value), value.version, value)


def newer(copies: Iterable[Copy], known: Mapping[Thing, int]) -> list[Copy]:
    """Those copies that are newer than what is known of them, deletions included."""
    return [copy for copy in copies if copy.version > known.get(copy.thing, 0)]


def digest_of(value: Value) -> ThingDigest:
    """
    The digest of a value: sha256 of the JSON text of its fields, keys sorted, without white space.

    The version is not part of it. Bytes count as their sha256 in hex (a record's payload as the one kept with it), times as microseconds.
    """
    plain = asdict(value, value_serializer=lambda _, __, item: _plain(item))
    plain.pop("version")
    if isinstance(value, Record):
        plain["payload"] = plain.pop("sha256")
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return ThingDigest(thing=thing_of(value), version=value.version, digest=sha256(text.encode()).digest())


def _plain(item: object) -> object:
    if isinstance(item, bytes):
        return item.hex() if len(item) == sha256().digest_size else sha256(item).hexdigest()
    if isinstance(item, datetime):
        return times.microseconds(item)
    return item
