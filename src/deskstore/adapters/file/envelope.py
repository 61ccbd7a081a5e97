"""
The file of a record: one JSON object, our envelope first, the exact bytes of the payload embedded last.

A quotation mark inside a JSON string is always escaped, so the first `,"payload":` of a file is the one that ends the envelope. The
envelope also tells how many bytes follow and their sha256, so that a file vouches for itself when the database is lost.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Final, TypeVar

import cattrs
import orjson
from attrs import frozen
from cattrs.errors import CattrsError
from cattrs.fns import identity

from deskstore.adapters.file.body import CONTENT, PAYLOAD, PROCESSING, NotOurs, moment, not_ours, parted, source_text, source_version_of
from deskstore.adapters.file.layout import LAYOUT
from deskstore.domain import payloads
from deskstore.domain.identifiers import Key, Kind
from deskstore.domain.payloads import Parsed
from deskstore.domain.processing import Processing, ProcessingStatus
from deskstore.domain.records import Article, Fields, SourceVersion, Ticket, record_of
from deskstore.domain.summaries import Summary

_ORJSON_WRITES: Final = (str, int, bool, datetime, str | None, int | None, float | None, datetime | None)

E = TypeVar("E")


@frozen(kw_only=True)
class Settled:
    """The processing of a ticket as it stands in the ticket's file: without the claim, which only the database knows."""

    status: ProcessingStatus
    attempts: int
    error: str | None
    claimable_at: datetime | None
    changed_at: datetime
    version: int

    @classmethod
    def of(cls, processing: Processing) -> Settled:
        """What the file says of it."""
        return cls(
            status=processing.status,
            attempts=processing.attempts,
            error=processing.error,
            claimable_at=processing.claimable_at,
            changed_at=processing.changed_at,
            version=processing.version,
        )

    def processing(self, key: Key) -> Processing:
        """The processing that the file speaks of."""
        return Processing(
            key=key,
            status=self.status,
            attempts=self.attempts,
            error=self.error,
            claimable_at=self.claimable_at,
            changed_at=self.changed_at,
            version=self.version,
        )


@frozen(kw_only=True)
class RecordEnvelope:
    """What stands before the payload in a record's file."""

    deskstore: int  #: the layout's version
    company: str
    kind: Kind
    platform: str
    id: str
    locale: str
    version: int
    saved_at: datetime
    sha256: bytes  #: of the payload
    payload_bytes: int
    fields: Fields
    processing: Settled | None  #: None for an article

    @property
    def key(self) -> Key:
        """The record's key."""
        return Key(self.kind, self.platform, self.id, self.locale)

    def record(self, payload: bytes) -> Ticket | Article:
        """The record itself."""
        return record_of(self.key, payload=payload, sha256=self.sha256, fields=self.fields, saved_at=self.saved_at, version=self.version)


@frozen(kw_only=True)
class SummaryEnvelope:
    """What stands before the content in a summary's file."""

    deskstore: int
    company: str
    kind: Kind
    platform: str
    id: str
    locale: str
    number: int
    version: int
    created_at: datetime
    model: str | None
    prompt_id: str | None
    parameters: str  #: the exact JSON text
    tokens: int | None
    cost: float | None
    source_digest: bytes
    pinned: bool
    sha256: bytes  #: of the content
    content_bytes: int

    @property
    def key(self) -> Key:
        """The key of the record it is a summary of."""
        return Key(self.kind, self.platform, self.id, self.locale)


def record_file(company_id: str, record: Ticket | Article, settled: bytes | None) -> bytes:
    """The bytes of a record's file; settled is the processing as settled_json() gives it, None for an article."""
    kind, platform, identifier, locale = record.key
    envelope = {
        "deskstore": LAYOUT,
        "company": company_id,
        "kind": kind,
        "platform": platform,
        "id": identifier,
        "locale": locale,
        "version": record.version,
        "saved_at": record.saved_at,
        "sha256": record.sha256.hex(),
        "payload_bytes": len(record.payload),
        "fields": _plain(record.fields),
        "processing": None if settled is None else orjson.Fragment(settled),
    }
    return _joined(envelope, PAYLOAD, record.payload)


def _plain(fields: Fields) -> Parsed:
    """The fields as orjson writes them; a converter takes three times as long, and a bulk save writes a thousand at a time."""
    source = fields.source_version
    return {
        "subject": fields.subject,
        "status": fields.status,
        "priority": fields.priority,
        "requester": fields.requester,
        "created_at": fields.created_at,
        "updated_at": fields.updated_at,
        "source_version": None if source is None else source_text(source),
        "text_digest": fields.text_digest.hex(),
    }


def summary_file(company_id: str, summary: Summary) -> bytes:
    """The bytes of a summary's file."""
    kind, platform, identifier, locale = summary.key
    envelope = SummaryEnvelope(
        deskstore=LAYOUT,
        company=company_id,
        kind=kind,
        platform=platform,
        id=identifier,
        locale=locale,
        number=summary.number,
        version=summary.version,
        created_at=summary.created_at,
        model=summary.model,
        prompt_id=summary.prompt_id,
        parameters=summary.parameters.decode(),
        tokens=summary.tokens,
        cost=summary.cost,
        source_digest=summary.source_digest,
        pinned=summary.pinned,
        sha256=payloads.digest(summary.content),
        content_bytes=len(summary.content),
    )
    return _joined(_converter().unstructure(envelope), CONTENT, summary.content)


def read_record(body: bytes) -> tuple[RecordEnvelope, Ticket | Article]:
    """The envelope and the record of a file; raises NotOurs."""
    head, payload = parted(body, PAYLOAD)
    envelope = _structured(head, RecordEnvelope)
    if envelope.payload_bytes != len(payload):
        raise NotOurs(f"the payload has {len(payload)} bytes and should have {envelope.payload_bytes}")
    return envelope, envelope.record(payload)


def read_summary(body: bytes) -> tuple[SummaryEnvelope, Summary]:
    """The envelope and the summary of a file; raises NotOurs."""
    head, content = parted(body, CONTENT)
    envelope = _structured(head, SummaryEnvelope)
    if envelope.content_bytes != len(content):
        raise NotOurs(f"the content has {len(content)} bytes and should have {envelope.content_bytes}")
    summary = Summary(
        key=envelope.key,
        number=envelope.number,
        content=content,
        model=envelope.model,
        prompt_id=envelope.prompt_id,
        parameters=envelope.parameters.encode(),
        tokens=envelope.tokens,
        cost=envelope.cost,
        source_digest=envelope.source_digest,
        pinned=envelope.pinned,
        created_at=envelope.created_at,
        version=envelope.version,
    )
    return envelope, summary


def with_settled(body: bytes, settled: bytes) -> bytes:
    """The same ticket's file, which must be one of ours, with another processing."""
    start = body.index(PROCESSING) + len(PROCESSING)
    return b"".join((body[:start], settled, body[body.index(PAYLOAD) :]))


def settled_json(settled: Settled) -> bytes:
    """The processing as a ticket's file tells it."""
    return orjson.dumps(
        {
            "status": settled.status.value,
            "attempts": settled.attempts,
            "error": settled.error,
            "claimable_at": settled.claimable_at,
            "changed_at": settled.changed_at,
            "version": settled.version,
        }
    )


def _joined(envelope: Parsed, last_key: bytes, last: bytes) -> bytes:
    return b"".join((orjson.dumps(envelope)[:-1], last_key, last, b"}\n"))


def _structured(head: bytes, type_: type[E]) -> E:
    try:
        value = orjson.loads(head)
        if value["deskstore"] > LAYOUT:
            raise NotOurs(f"it has layout {value['deskstore']}: a newer deskstore reads it")
        return _converter().structure(value, type_)
    except (ValueError, KeyError, TypeError, AttributeError, CattrsError) as error:
        raise not_ours() from error


@cache
def _converter() -> cattrs.Converter:
    """
    Bytes are hexadecimal, times ISO 8601 in UTC, a source version "field=value"; unknown keys are refused.

    What orjson writes and reads by itself passes as it is; that is said for optional values, too, since cattrs would otherwise look up how
    to treat each of them, at each record: two thirds of the time.
    """
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=False)
    converter.register_unstructure_hook(bytes, bytes.hex)
    converter.register_unstructure_hook_func(_ORJSON_WRITES.__contains__, identity)
    converter.register_structure_hook(bytes, lambda value, _: bytes.fromhex(value))
    converter.register_structure_hook(datetime, moment)
    converter.register_structure_hook(datetime | None, lambda value, type_: None if value is None else moment(value, type_))
    converter.register_structure_hook(str | None, lambda value, _: value)
    converter.register_structure_hook(SourceVersion | None, lambda value, type_: None if value is None else source_version_of(value, type_))
    settled = converter.get_structure_hook(Settled)
    converter.register_structure_hook(Settled | None, lambda value, _: None if value is None else settled(value, Settled))
    return converter
