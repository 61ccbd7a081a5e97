"""
Values as Redis keeps them: an envelope that names whose they are, so that nothing is taken for what it is not.

Whatever is not exactly what this release would have written for the very key that is asked for is no value: cut off, damaged, of another
company, key, generation or epoch, or of another release.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, cast
from zlib import crc32

import msgspec
from attrs import frozen

from deskstore.adapters.redis.limits import MOST_BYTES
from deskstore.adapters.redis.names import Subject
from deskstore.domain import times
from deskstore.domain.identifiers import Key
from deskstore.domain.processing import Processing
from deskstore.domain.records import Article, Fields, SourceVersion, Ticket, record_of
from deskstore.domain.rows import processing_of, processing_row
from deskstore.domain.summaries import Summary

Value = Ticket | Article | Summary | Processing
V = TypeVar("V")
_LAYOUT: Final = b"=1"  #: what every value begins with; a tombstone begins with an exclamation mark
_CHECKSUM: Final = 4  #: bytes


@frozen(kw_only=True)
class Seal:
    """What a value must have been kept under to count."""

    company_id: str
    generation: bytes
    epoch: int


class _Record(msgspec.Struct, array_like=True):
    version: int
    saved_us: int
    subject: str | None
    status: str | None
    priority: str | None
    requester: str | None
    created_us: int | None
    updated_us: int | None
    source: tuple[str, int] | None
    text_digest: bytes
    sha256: bytes
    payload: bytes


class _Summary(msgspec.Struct, array_like=True):
    number: int
    content: bytes
    model: str | None
    prompt_id: str | None
    parameters: bytes
    tokens: int | None
    cost: float | None
    source_digest: bytes
    pinned: bool
    created_us: int
    version: int


class _Processing(msgspec.Struct, array_like=True):
    status: str
    attempts: int
    error: str | None
    worker: str | None
    token: str | None
    lease_us: int | None
    text_digest: bytes | None
    claimable_us: int | None
    changed_us: int
    version: int


class _Envelope(msgspec.Struct, Generic[V], array_like=True):
    company_id: str
    subject: str
    key: tuple[str, str, str, str]
    generation: bytes
    epoch: int
    body: V


_encode: Final = msgspec.msgpack.Encoder().encode
_DECODERS: Final[dict[Subject, Callable[[bytes], _Envelope[Any]]]] = {  # Any: each subject has a body of its own
    "ticket": msgspec.msgpack.Decoder(_Envelope[_Record]).decode,
    "article": msgspec.msgpack.Decoder(_Envelope[_Record]).decode,
    "summary": msgspec.msgpack.Decoder(_Envelope[_Summary]).decode,
    "processing": msgspec.msgpack.Decoder(_Envelope[_Processing]).decode,
}


def packed(subject: Subject, key: Key, value: Value, seal: Seal) -> bytes | None:
    """The value as Redis keeps it; None of one that is too large."""
    envelope = _Envelope(
        company_id=seal.company_id, subject=subject, key=key, generation=seal.generation, epoch=seal.epoch, body=_body(value)
    )
    written = _encode(envelope)
    return None if len(written) > MOST_BYTES else _LAYOUT + crc32(written).to_bytes(_CHECKSUM, "big") + written


def unpacked(subject: Subject, key: Key, data: bytes, seal: Seal) -> Value | None:
    """The value that was kept for this very key under this very seal; None of anything else."""
    start = len(_LAYOUT) + _CHECKSUM
    written = data[start:]
    if not data.startswith(_LAYOUT) or crc32(written) != int.from_bytes(data[len(_LAYOUT) : start], "big"):
        return None
    try:
        envelope = _DECODERS[subject](written)
        if not _is_sealed(envelope, subject, key, seal):
            return None
        return _value(key, envelope.body)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError):
        return None


def epoch_on(subject: Subject, data: bytes) -> int | None:
    """The epoch that is written on a value, whatever else it may be; None of what is none."""
    try:
        return _DECODERS[subject](data[len(_LAYOUT) + _CHECKSUM :]).epoch
    except (msgspec.MsgspecError, ValueError):
        return None


def _is_sealed(envelope: _Envelope[Any], subject: Subject, key: Key, seal: Seal) -> bool:
    return (
        envelope.key == key
        and envelope.subject == subject
        and envelope.company_id == seal.company_id
        and envelope.generation == seal.generation
        and envelope.epoch == seal.epoch
    )


def _body(value: Value) -> _Record | _Summary | _Processing:
    match value:
        case Summary():
            return _summary_body(value)
        case Processing():
            return _Processing(*processing_row(value))
        case _:
            return _record_body(value)


def _record_body(record: Ticket | Article) -> _Record:
    fields = record.fields
    return _Record(
        version=record.version,
        saved_us=times.microseconds(record.saved_at),
        subject=fields.subject,
        status=fields.status,
        priority=fields.priority,
        requester=fields.requester,
        created_us=None if fields.created_at is None else times.microseconds(fields.created_at),
        updated_us=None if fields.updated_at is None else times.microseconds(fields.updated_at),
        source=fields.source_version,
        text_digest=fields.text_digest,
        sha256=record.sha256,
        payload=record.payload,
    )


def _summary_body(summary: Summary) -> _Summary:
    return _Summary(
        number=summary.number,
        content=summary.content,
        model=summary.model,
        prompt_id=summary.prompt_id,
        parameters=summary.parameters,
        tokens=summary.tokens,
        cost=summary.cost,
        source_digest=summary.source_digest,
        pinned=summary.pinned,
        created_us=times.microseconds(summary.created_at),
        version=summary.version,
    )


def _value(key: Key, body: object) -> Value | None:
    match body:
        case _Summary():
            return _summary(key, body)
        case _Processing():
            return processing_of(key, msgspec.structs.astuple(body))
        case _:
            return _record(key, cast(_Record, body))


def _record(key: Key, body: _Record) -> Ticket | Article:
    fields = Fields(
        subject=body.subject,
        status=body.status,
        priority=body.priority,
        requester=body.requester,
        created_at=None if body.created_us is None else times.moment(body.created_us),
        updated_at=None if body.updated_us is None else times.moment(body.updated_us),
        source_version=None if body.source is None else SourceVersion(*body.source),
        text_digest=body.text_digest,
    )
    return record_of(
        key, payload=body.payload, sha256=body.sha256, fields=fields, saved_at=times.moment(body.saved_us), version=body.version
    )


def _summary(key: Key, body: _Summary) -> Summary:
    return Summary(
        key=key,
        number=body.number,
        content=body.content,
        model=body.model,
        prompt_id=body.prompt_id,
        parameters=body.parameters,
        tokens=body.tokens,
        cost=body.cost,
        source_digest=body.source_digest,
        pinned=body.pinned,
        created_at=times.moment(body.created_us),
        version=body.version,
    )
