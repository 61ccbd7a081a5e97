"""
Files that could not vouch for themselves when a lost database was made anew: each may have been a record, and nothing else is known of it.

Whoever reads the records one after another must come upon them, or would go on with fewer than there were and never know. Nobody needs to
take a doubt back: it is looked at where it lies, and counts for nothing once the file is gone, or is that of a record again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from deskstore.adapters.file.company import OpenCompany, distrust
from deskstore.adapters.file.index import Index
from deskstore.adapters.file.loading import Want, load
from deskstore.domain.errors import CorruptRecord
from deskstore.domain.identifiers import Key, Kind
from deskstore.domain.paging import Filter

_AT_ONCE: Final = 100


def told(index: Index, kind: Kind, where: Filter, *, after: Key | None, limit: int) -> list[tuple[Key, int | None]]:
    """What the index tells of records, ascending, and among them the keys of doubtful files: those may pass any filter."""
    known: list[tuple[Key, int | None]] = [*index.told(kind, where, after=after, limit=limit)]
    doubtful = index.doubted(kind, where.platform, after=after, limit=limit)
    return known if not doubtful else sorted({**dict.fromkeys(doubtful), **dict(known)}.items())[:limit]


def first(company: OpenCompany, index: Index, kind: Kind, platform: str | None) -> CorruptRecord | None:
    """The first file of doubt that still stands in a record's place, as the error it is."""
    after: Key | None = None
    while keys := index.doubted(kind, platform, after=after, limit=_AT_ONCE):
        for body in load(company, index, [Want(key) for key in keys]):
            if isinstance(body, CorruptRecord):
                return body
        after = keys[-1]
    return nameless(company, index, kind)


def nameless(company: OpenCompany, index: Index, kind: Kind) -> CorruptRecord | None:
    """The first file of doubt that still stands, and whose name does not tell which record it was."""
    return next(_standing(company, index, index.doubted_files(kind)), None)


def _standing(company: OpenCompany, index: Index, files: Sequence[str]) -> Iterator[CorruptRecord]:
    for file, body in zip(files, company.tree.read_many(files), strict=True):
        if body is not None and not index.is_in_motion(file):
            reason = (
                distrust(body, -1, file) if not isinstance(body, bytes) else "it could not vouch for itself when the database was rebuilt"
            )
            yield CorruptRecord(None, file, reason or "it cannot be read")
