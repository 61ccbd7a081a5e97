"""What stands at the two ends of a backup: whose it is, and what exactly is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from deskstore.domain import identifiers, times
from deskstore.domain.errors import InvalidIdentifier
from deskstore.domain.things import Part
from deskstore.formats.archive.damage import Damaged

FORMAT: Final = "deskstore-backup"
LAYOUT: Final = 1
HEAD: Final = "deskstore-backup.json"
MANIFEST: Final = "manifest.json"
MOST_HEAD_BYTES: Final = 64 * 1024
MOST_MANIFEST_BYTES: Final = 64 * 2**20
_SEAL: Final = b',"sha256":"'

_Count = Annotated[int, Meta(ge=0)]
_Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
_Us = Annotated[int, Meta(ge=-62_135_596_800_000_000, le=times.LAST_MOMENT_US)]
Name = tuple[Part, str, str, str, str, int]
"""A thing's part, kind, platform, id, locale and number."""


class Head(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first member: all that was known when the backup began."""

    format: str = FORMAT
    layout: int = LAYOUT
    company: str
    store: str  #: the id of the store it was taken from
    epoch: _Count  #: in which the company was there
    began_us: _Us  #: microseconds since 1970

    @property
    def modified_s(self) -> int:
        """The time of every member of the tar, in seconds since 1970."""
        return max(0, self.began_us // 1_000_000)


class Chunk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One member with lines."""

    name: str
    bytes: _Count
    sha256: _Hash  #: of the member as it stands in the tar
    raw_bytes: _Count
    lines: Annotated[int, Meta(ge=1)]
    first: Name  #: of the things that its lines are of, the first line's
    last: Name

    @property
    def is_of_changes(self) -> bool:
        """Whether its lines count instead of earlier ones of the same things."""
        return self.name.startswith("changes/")


class Loss(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that the backup does not hold, since the store could not vouch for it."""

    part: str
    platform: str
    id: str
    locale: str = ""
    number: int = 0
    place: str  #: the file or the row
    reason: str


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last member: what the backup holds, as it stood when the backup ended."""

    format: str = FORMAT
    layout: int = LAYOUT
    company: str
    ended_us: _Us  #: the moment at which the company was as the backup has it
    head_sha256: _Hash
    chunks: Sequence[Chunk]
    counts: Mapping[str, _Count]  #: things, a part each
    content_digest: _Hash
    replica_digest: _Hash
    damaged: Sequence[Loss]


S = TypeVar("S", Head, Manifest)


def chunk_name(number: int, *, is_of_changes: bool) -> str:
    """What the chunk with this running number is called."""
    return f"{'changes' if is_of_changes else 'things'}/{number:06d}.ndjson.zst"


def head_bytes(head: Head) -> bytes:
    """The first member."""
    return msgspec.json.encode(head) + b"\n"


def read_head(text: bytes) -> Head:
    """The head in these bytes; raises Damaged."""
    head = _read(text, Head)
    if head_bytes(head) != text:
        raise Damaged(f"{HEAD} is not as deskstore wrote it")
    return head


def manifest_bytes(manifest: Manifest) -> bytes:
    """The last member: one JSON object, whose last key is the sha256 of all that stands before that key."""
    text = msgspec.json.encode(manifest)[:-1]
    return text + _SEAL + sha256(text).hexdigest().encode() + b'"}\n'


def read_manifest(text: bytes) -> Manifest:
    """The manifest in these bytes; raises Damaged where any of them was changed."""
    before, _, seal = text.rpartition(_SEAL)
    if seal != sha256(before).hexdigest().encode() + b'"}\n':
        raise Damaged(f"{MANIFEST} was changed or cut: its own sha256 does not fit")
    return _read(before + b"}", Manifest)


def _read(text: bytes, type_: type[S]) -> S:
    try:
        found = msgspec.json.decode(text, type=type_)
        identifiers.company_id(found.company)
    except (msgspec.MsgspecError, InvalidIdentifier, ValueError, RecursionError) as error:
        raise Damaged(f"it is no backup of deskstore: {error}") from error
    if found.format != FORMAT or found.layout != LAYOUT:
        raise Damaged(f"it has the format {found.format} {found.layout}; this release reads {FORMAT} {LAYOUT}")
    return found
