"""
A record's file in its two parts, and the record in a file that the index vouches for.

Beside `envelope`, which checks each value by classes that take longer to load than a page takes to read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

import orjson
from attrs import fields as attributes

from deskstore.adapters.file.layout import LAYOUT
from deskstore.domain import times
from deskstore.domain.identifiers import TICKET
from deskstore.domain.payloads import Parsed
from deskstore.domain.records import Article, Fields, SourceVersion, Ticket

PAYLOAD: Final = b',"payload":'  #: what stands between the envelope of a record and its payload
PROCESSING: Final = b',"processing":'  #: what stands before the last part of that envelope, which the index knows best
CONTENT: Final = b',"content":'  #: what stands between the envelope of a summary and its content
_moment: Final = datetime.fromisoformat  # written in UTC, with its offset
_set: Final = object.__setattr__  # the classes are frozen
_FIELDS: Final = len(attributes(Fields))

T = TypeVar("T")
Make = Callable[[type[Any], Mapping[str, object]], Any]  # Any: an object of the class it is given, whichever that is
"""Makes an object of a class out of the values of its attributes."""


class NotOurs(Exception):
    """A file that deskstore did not write, or not in this form; says why."""


def record_in(body: bytes) -> Ticket | Article:
    """
    The record of a file that the index vouches for; its processing the index knows best.

    What reads a file as read_record() does checks each value and makes objects that a page has no use for: three times the time.

    Raises:
        NotOurs: It is no such file, whatever its checksum says.
    """
    end = body.find(PROCESSING)
    start = body.find(PAYLOAD, end) + len(PAYLOAD)
    payload = body[start:-2]
    try:
        value = orjson.loads(body[:end] + b"}")
        if value["deskstore"] == LAYOUT and value["payload_bytes"] == len(payload) and body.endswith(b"}\n"):
            return record_of(value, payload, _as_written)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise not_ours() from error
    from deskstore.adapters.file.envelope import read_record  # whose classes a reader of sound files does not need

    return read_record(body)[1]  # which says what is wrong with it


def record_of(value: Parsed, payload: bytes, make: Make) -> Ticket | Article:
    """The record of an envelope's values, which are used up, made as the caller trusts them."""
    known = {
        "payload": payload,
        "sha256": bytes.fromhex(value["sha256"]),
        "fields": _fields(value["fields"], make),
        "saved_at": _moment(value["saved_at"]),
        "version": value["version"],
        "platform": value["platform"],
        "checked": None,
    }
    if value["kind"] == TICKET:
        known["ticket_id"] = value["id"]
        ticket: Ticket = make(Ticket, known)
        return ticket
    known["article_id"], known["locale"] = value["id"], value["locale"]
    article: Article = make(Article, known)
    return article


def _fields(value: Parsed, make: Make) -> Fields:
    created_at, updated_at, source_version = value["created_at"], value["updated_at"], value["source_version"]
    value["created_at"] = created_at and _moment(created_at)
    value["updated_at"] = updated_at and _moment(updated_at)
    value["source_version"] = source_version and source_version_of(source_version)
    value["text_digest"] = bytes.fromhex(value["text_digest"])
    if len(value) != _FIELDS:
        raise not_ours()
    fields: Fields = make(Fields, value)
    return fields


def _as_written(type_: type[T], values: Mapping[str, object]) -> T:
    """
    An object of the values of all its attributes, which its class found good when they were written.

    Asking the class again takes a third of the time of the whole.
    """
    made = type_.__new__(type_)
    for name, value in values.items():
        _set(made, name, value)  # which refuses a name that is none of the class's
    return made


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


def source_text(source: SourceVersion) -> str:
    """A source version as an envelope and the index have it: field=value."""
    return f"{source.field}={source.value}"
