"""Copies of what a company holds, as one store hands them to another, and digests to compare the two by."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256

from attrs import asdict, frozen

from deskstore.domain import times
from deskstore.domain.processing import Checkpoint, Processing
from deskstore.domain.records import Article, Record, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.things import MIRROR, PARTS, CompanyState, Debt, MirrorStatus, Part, Thing

__all__ = [
    "MIRROR",
    "PARTS",
    "CompanyState",
    "Copy",
    "Debt",
    "MirrorStatus",
    "Part",
    "Thing",
    "ThingDigest",
    "Value",
    "copy_of",
    "digest_of",
    "newer",
    "thing_of",
]

Value = Ticket | Article | Processing | Summary | Checkpoint


@frozen
class Copy:
    """One thing as it stands at a version; value None: it was deleted at that version."""

    thing: Thing
    version: int
    value: Value | None


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
