"""
A record's file in its two parts, and the record in a file that the index vouches for.

Beside `envelope`, which checks each value by classes that take longer to load than a page takes to read.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import orjson

from deskstore.adapters.file.layout import LAYOUT
from deskstore.domain import times
from deskstore.domain.identifiers import TICKET
from deskstore.domain.payloads import Parsed
from deskstore.domain.records import Article, Fields, SourceVersion, Ticket

PAYLOAD: Final = b',"payload":'  #: what stands between the envelope of a record and its payload
CONTENT: Final = b',"content":'  #: and that of a summary and its content


class NotOurs(Exception):
    """A file that deskstore did not write, or not in this form; says why."""


def record_in(body: bytes) -> Ticket | Article:
    """
    The record of a file that the index vouches for; its processing the index knows best.

    What reads a file as read_record() does checks each value and makes objects that a page has no use for: twice the time.

    Raises:
        NotOurs: It is no such file, whatever its checksum says.
    """
    head, payload = parted(body, PAYLOAD)
    try:
        value = orjson.loads(head)
        if value["deskstore"] != LAYOUT or value["payload_bytes"] != len(payload):
            from deskstore.adapters.file.envelope import read_record  # whose classes a reader of sound files does not need

            return read_record(body)[1]  # which says what is wrong with it
        return _record(value, payload)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise not_ours() from error


def _record(value: Parsed, payload: bytes) -> Ticket | Article:
    fields, sha256 = _fields(value["fields"]), bytes.fromhex(value["sha256"])
    platform, identifier, saved_at, version = value["platform"], value["id"], moment(value["saved_at"]), value["version"]
    if value["kind"] == TICKET:
        return Ticket(
            platform=platform, ticket_id=identifier, payload=payload, sha256=sha256, fields=fields, saved_at=saved_at, version=version
        )
    return Article(
        platform=platform,
        article_id=identifier,
        locale=value["locale"],
        payload=payload,
        sha256=sha256,
        fields=fields,
        saved_at=saved_at,
        version=version,
    )


def _fields(value: Parsed) -> Fields:
    created_at, updated_at, source_version = value["created_at"], value["updated_at"], value["source_version"]
    return Fields(
        subject=value["subject"],
        status=value["status"],
        priority=value["priority"],
        requester=value["requester"],
        created_at=created_at and moment(created_at),
        updated_at=updated_at and moment(updated_at),
        source_version=source_version and source_version_of(source_version),
        text_digest=bytes.fromhex(value["text_digest"]),
    )


def parted(body: bytes, last_key: bytes) -> tuple[bytes, bytes]:
    """The envelope, and what stands behind its last key; raises NotOurs."""
    end = body.find(last_key)
    if end < 0 or not body.endswith(b"}\n"):
        raise NotOurs("it is not a whole record of deskstore")
    return body[:end] + b"}", body[end + len(last_key) : -2]


def not_ours() -> NotOurs:
    """What to raise for an envelope that holds something else than it should."""
    return NotOurs("its envelope is not one of deskstore's")


def moment(value: str, _: object = None) -> datetime:
    """A time as an envelope has it."""
    return times.aware_utc(datetime.fromisoformat(value))


def source_version_of(value: str, _: object = None) -> SourceVersion:
    """A source version as an envelope has it: field=value."""
    field, _, number = value.rpartition("=")
    return SourceVersion(field, int(number))
