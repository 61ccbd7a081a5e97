"""Reading files of an open company: the index says what a file must hold, and a file that holds anything else is no record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from deskstore.adapters.file import layout
from deskstore.adapters.file.company import OpenCompany, checksum, distrust
from deskstore.adapters.file.index import Index
from deskstore.adapters.file.tree import StrangerInTree
from deskstore.domain.errors import CorruptRecord
from deskstore.domain.identifiers import Key

OnDisk = bytes | StrangerInTree | OSError | None
_LOOKS: Final = 20  #: at a file that writers keep replacing
_NOT_LOOKED: Final = -1  # no CRC-32 is negative


@frozen
class Want:
    """A file that a reader wants: a record's, or with a number that of its summary."""

    key: Key
    number: int = 0

    @property
    def file(self) -> str:
        """Where it lies."""
        return layout.summary_path(self.key, self.number) if self.number else layout.record_path(self.key)

    def crc(self, index: Index) -> int | None:
        """The CRC-32 it must have, None when there is to be no such file."""
        return index.summary_crc(self.key, self.number) if self.number else index.record_crc(self.key)


def load(company: OpenCompany, index: Index, wants: Sequence[Want]) -> list[bytes | CorruptRecord | None]:
    """
    The files wanted, in their order: None for one that is not to be there, an error in place of one that cannot be trusted.

    A file is written after the commit that changed it and read after the row that tells of it, so a reader may meet the file of a later
    commit than its row: it then looks again.
    """
    files = [want.file for want in wants]
    crcs = [want.crc(index) for want in wants]
    bodies = _bodies(company, index, [file for file, crc in zip(files, crcs, strict=True) if crc is not None])
    found: list[bytes | CorruptRecord | None] = []
    for want, file, crc in zip(wants, files, crcs, strict=True):
        body = bodies.get(file)
        agrees = crc is not None and isinstance(body, bytes) and checksum(body) == crc
        found.append(body if agrees and isinstance(body, bytes) else _look_again(company, want, _NOT_LOOKED if crc is None else crc))
    return found


def _look_again(company: OpenCompany, want: Want, seen: int | None) -> bytes | CorruptRecord | None:
    """Look until row and file agree; two looks at the same row that do not agree are damage, since each row is older than its file."""
    file = want.file
    for _ in range(_LOOKS):
        with company.reading() as index:
            crc = want.crc(index)
            body = _bodies(company, index, [file])[file]
            in_motion = index.is_in_motion(file)
        if crc is None and (body is None or in_motion):
            return None
        if crc is not None and isinstance(body, bytes) and checksum(body) == crc:
            return body
        if crc == seen:
            reason = "the file was added by another hand" if crc is None else distrust(body, crc, file)
            return CorruptRecord(want.key, file, reason or "it cannot be read")
        seen = crc
    return CorruptRecord(want.key, file, "it changes faster than it can be read")


def _bodies(company: OpenCompany, index: Index, files: Sequence[str]) -> dict[str, OnDisk]:
    pending = index.pending_bodies(files)
    on_disk = [file for file in files if file not in pending]
    return {**pending, **dict(zip(on_disk, company.tree.read_many(on_disk), strict=True))}
