"""What the lines of a backup have in common: how numbers, hashes and times stand in them, and what was read out of a payload."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Annotated, Final

from msgspec import Meta, Struct

from deskstore.domain import records, times
from deskstore.domain.records import Fields, SourceVersion
from deskstore.formats import json

Us = Annotated[int, Meta(ge=-62_135_596_800_000_000, le=times.LAST_MOMENT_US)]  #: microseconds since 1970, from the year 1 on
Version = Annotated[int, Meta(ge=1, le=times.LAST_US)]
Count = Annotated[int, Meta(ge=0, le=times.LAST_US)]
Hash = Annotated[str, Meta(min_length=64, max_length=64)]
Field = str | int | None

_DIGEST_BYTES: Final = 32


class FieldsLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was read out of a payload."""

    subject: str | None
    status: str | None
    priority: str | None
    requester: str | None
    created_at: Us | None
    updated_at: Us | None
    source_version: tuple[str, int] | None
    text_digest: Hash

    @classmethod
    def of(cls, fields: Fields) -> FieldsLine:
        """The fields of a record."""
        return cls(
            subject=fields.subject,
            status=fields.status,
            priority=fields.priority,
            requester=fields.requester,
            created_at=microseconds(fields.created_at),
            updated_at=microseconds(fields.updated_at),
            source_version=fields.source_version and (fields.source_version.field, fields.source_version.value),
            text_digest=fields.text_digest.hex(),
        )

    def content(self) -> tuple[Field, ...]:
        """The fields in the order in which they are digested."""
        filters = (self.subject, self.status, self.priority, self.requester, self.created_at, self.updated_at)
        return (*filters, *(self.source_version or (None, None)), hash_of(self.text_digest))

    def check(self) -> None:
        """See that the fields are those of a record as it is kept, so that value() gives back the same; raises ValueError."""
        source = self.source_version
        if source is not None and (not times.fits(source[1]) or not is_plain(source[0])):
            raise ValueError("its source_version fits no storage")
        texts = (self.status, self.priority, self.requester)
        if records.clean(self.subject, records.SUBJECT_LENGTH) != self.subject or any(records.clean(text) != text for text in texts):
            raise ValueError("one of its fields fits no storage")
        exact_bytes(self.text_digest)

    def value(self) -> Fields:
        """The fields themselves."""
        source = self.source_version
        return Fields(
            subject=self.subject,
            status=self.status,
            priority=self.priority,
            requester=self.requester,
            created_at=moment(self.created_at),
            updated_at=moment(self.updated_at),
            source_version=source and SourceVersion(*source),
            text_digest=bytes.fromhex(self.text_digest),
        )


def seen(payload: bytes, digest: str) -> str:
    """The sha256 of a payload, once it was seen to be the one that was named; raises ValueError."""
    if sha256(payload).hexdigest() != digest:
        raise ValueError("its payload has another sha256")
    return digest


def check_payload(payload: bytes, digest: str) -> None:
    """See that a payload keeps the rule for JSON, and what its sha256 stands there as; raises InvalidRecord or ValueError."""
    json.load(payload)
    exact_bytes(digest)


def hash_of(digest: str) -> str:
    """A digest as it counts for another: bytes are told by their sha256."""
    return sha256(bytes.fromhex(digest)).hexdigest()


def exact_bytes(digest: str) -> bytes:
    """The bytes of a digest in lower-case hex; raises ValueError for anything else."""
    found = bytes.fromhex(digest)
    if len(found) != _DIGEST_BYTES or found.hex() != digest:
        raise ValueError("one of its hashes is none")
    return found


def microseconds(at: datetime | None) -> int | None:
    """A time as it stands in a line, or nothing."""
    return None if at is None else times.microseconds(at)


def moment(us: int | None) -> datetime | None:
    """A time of a line, or nothing."""
    return None if us is None else times.moment(us)


def is_plain(text: str) -> bool:
    """Whether every storage can keep a text as it is."""
    return records.clean(text, len(text)) == text
