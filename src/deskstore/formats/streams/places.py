"""What reading an export gives: records and what was refused, each with its place, and what the file turned out to be."""

from __future__ import annotations

from typing import Final, Literal

from attrs import field, frozen

from deskstore.domain.payloads import Parsed
from deskstore.formats.json import MAX_BYTES

REJECT_BYTES: Final = MAX_BYTES  #: how much of a refused piece is kept: all that could have been a record, so that it can be mended

Format = Literal["json", "array", "ndjson"]
Compression = Literal["gzip", "zstd", "none"]


@frozen(kw_only=True)
class Place:
    """Where a record begins; lines and bytes are those of the uncompressed text."""

    file: str
    line: int  #: from 1
    record: int  #: from 1, refused ones included
    offset: int  #: bytes before it

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}"


@frozen(kw_only=True)
class Slice:
    """One record as its source holds it."""

    payload: bytes = field(repr=False)  #: exactly the bytes of the record's JSON value
    value: Parsed = field(repr=False)  #: what they say
    place: Place
    stream: str = ""  #: the name that a connector gives to the record's kind, such as "tickets"


@frozen(kw_only=True)
class Reject:
    """A piece of the source that is no record, or none that can be kept; reading goes on behind it."""

    place: Place
    reason: str
    raw: bytes = field(repr=False)  #: the piece, its first 16 MiB at most


@frozen(kw_only=True)
class Detected:
    """What a source turned out to be."""

    format: Format
    compression: Compression
    envelope: str = ""  #: "airbyte", "singer", or the key under which the records lie, such as "tickets"; empty for bare records

    def __str__(self) -> str:
        form = {"json": "JSON", "array": "a JSON array", "ndjson": "NDJSON"}[self.format]
        inside = {"": "", "airbyte": ", Airbyte records", "singer": ", Singer records"}.get(
            self.envelope, f", records under '{self.envelope}'"
        )
        packed = "" if self.compression == "none" else f", {self.compression}"
        return f"{form}{inside}{packed}"
