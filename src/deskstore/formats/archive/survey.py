"""
Looking at every line of a backup: whether all of them fit together, and what they come to.

Lines of `things/` stand in one order, each thing once. Those of `changes/` tell of what changed while the others were written: the last
line of a thing counts. So the changes are looked at first, and only their names and digests are kept in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from deskstore.domain.mirror import PARTS, Thing
from deskstore.domain.tallies import Tally, Totals
from deskstore.formats.archive.damage import Damaged
from deskstore.formats.archive.frames import unpack
from deskstore.formats.archive.lines import ReadLine, read_line
from deskstore.formats.archive.manifest import Chunk, Manifest

_RANK: Final = {part: place for place, part in enumerate(PARTS)}
_RECORDS: Final = ("ticket", "article")


class Later(NamedTuple):
    """What the last line of a thing among the changes says."""

    version: int
    digest: bytes | None  #: None: it was deleted
    payload_sha256: str | None
    place: tuple[int, int]  #: of that line: its chunk, and the line in it


def order(thing: Thing) -> tuple[str, str, str, str, int, int]:
    """By what things are put in order: each record is followed by all that is part of it."""
    part, kind, platform, identifier, locale, number = thing
    return kind, platform, identifier, locale, _RANK[part], number


def record_of(thing: Thing) -> Thing | None:
    """The record that a thing is part of, itself for a record; None for what is part of none."""
    return Thing("article" if thing.kind == "article" else "ticket", *thing[1:5]) if thing.kind else None


def lines_of(chunk: Chunk, frame: bytes) -> Iterator[ReadLine]:
    """
    The lines of a chunk whose frame has the right sha256.

    Raises:
        Damaged: It does not hold what the manifest tells of it.
    """
    try:
        texts = unpack(frame, chunk.raw_bytes).split(b"\n")
        if texts.pop() or len(texts) != chunk.lines:
            raise Damaged(f"it does not hold {chunk.lines:,} lines")
        if (read_line(texts[0]).thing, read_line(texts[-1]).thing) != (Thing(*chunk.first), Thing(*chunk.last)):
            raise Damaged("it does not begin and end with the things that it should")
        yield from map(read_line, texts)
    except Damaged as error:
        raise Damaged(f"{chunk.name}: {error}") from error


class Survey:
    """
    Takes all chunks of a backup, those of changes first, and adds up what the backup holds at its end.

    Args:
        is_strict: Whether each line is also looked at for what not every storage keeps: for lines that somebody else may have written,
            twice as long.
    """

    def __init__(self, *, is_strict: bool) -> None:
        self.later: Final[dict[Thing, Later]] = {}
        self._is_strict: Final = is_strict
        self._tally: Final = Tally()
        self._before: tuple[str, str, str, str, int, int] | None = None
        self._record: Thing | None = None  #: the last one that was met
        self._wanted: set[Thing] | None = None  #: records that changes are part of, and that none of the changes holds

    def take(self, place: int, chunk: Chunk, frame: bytes) -> None:
        """Look at one chunk; raises Damaged."""
        for number, line in enumerate(lines_of(chunk, frame)):
            try:
                if chunk.is_of_changes:
                    self._note(line, (place, number))
                else:
                    self._meet(line)
            except Damaged as error:
                raise Damaged(f"{chunk.name}, line {number + 1}: {error}") from error

    def totals(self) -> Totals:
        """What the backup holds; raises Damaged when something in it is part of a record that it does not hold."""
        if self._needed():
            raise Damaged("it holds parts of records that it does not hold")
        for thing, late in self.later.items():
            if late.digest is not None:
                self._add(thing, late.version, late.digest, late.payload_sha256)
        return self._tally.totals()

    def _note(self, line: ReadLine, place: tuple[int, int]) -> None:
        before = self.later.get(line.thing)
        if self._wanted is not None or self._before is not None:
            raise Damaged("changes stand before it that were not looked at")
        if before is not None and line.version < before.version:
            raise Damaged("it is older than an earlier line of the same thing")
        digest = None if line.line is None else self._digest(line)
        self.later[line.thing] = Later(line.version, digest, line.payload_sha256, place)

    def _meet(self, line: ReadLine) -> None:
        place = order(line.thing)
        if self._before is not None and place <= self._before:
            raise Damaged("it is out of order, or comes twice")
        self._before = place
        if line.line is None:
            raise Damaged("only changes tell of deletions")
        digest, late = self._digest(line), self.later.get(line.thing) if self.later else None
        if line.thing.part in _RECORDS:
            self._record = line.thing
            self._needed().discard(line.thing)
        if late is not None and line.version > late.version:
            raise Damaged("it is newer than the change that follows it")
        if late is None:
            self._check_part(line.thing)
            self._add(line.thing, line.version, digest, line.payload_sha256)

    def _check_part(self, thing: Thing) -> None:
        """See that a thing is part of a record that the backup holds at its end."""
        if not thing.kind or thing.part in _RECORDS:
            return
        record = record_of(thing) if self.later else None
        late = self.later.get(record) if record else None
        is_held = late.digest is not None if late else self._record is not None and thing[1:5] == self._record[1:5]
        if not is_held:
            raise Damaged("it is part of a record that the backup does not hold")

    def _needed(self) -> set[Thing]:
        if self._wanted is None:
            self._wanted = set()
            for thing, late in self.later.items():
                record = record_of(thing)
                if record is None or late.digest is None or thing.part in _RECORDS:
                    continue
                held = self.later.get(record)
                if held is None or held.digest is None:
                    self._wanted.add(record)
        return self._wanted

    def _digest(self, line: ReadLine) -> bytes:
        digest = line.digest()
        if self._is_strict:
            line.check()
        return digest

    def _add(self, thing: Thing, version: int, digest: bytes, payload_sha256: str | None) -> None:
        self._tally.add(thing.part, version, digest)
        if payload_sha256 is not None:
            self._tally.add_content(thing, payload_sha256)


def check_totals(manifest: Manifest, totals: Totals) -> None:
    """See that a manifest says of a backup what it holds; raises Damaged."""
    if dict(manifest.counts) != dict(totals.counts):
        raise Damaged("the manifest counts other things than there are")
    if (manifest.content_digest, manifest.replica_digest) != (totals.content, totals.replica):
        raise Damaged("the manifest has other digests than its things")
