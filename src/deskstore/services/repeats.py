"""
Which records a run has met, exactly, in memory that is the same from the first record to the last.

A digest of each key goes to one of many buckets, each with room for one block; a full one is written to a temporary file, together with the
number of the block that the same bucket wrote before. Adding costs microseconds. Asking follows a bucket's blocks, a few kilobytes in a run
of a million records, and is only done for the few records whose payload replaces another one that nothing orders it against.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import IO, Final

from deskstore.domain.identifiers import Key

DIGEST_BYTES: Final = 16  #: two keys of a run that share a digest are as likely as a damaged machine
BUCKETS: Final = 1_024
BLOCK_BYTES: Final = 1_024
_LINK_BYTES: Final = 8  #: in front of a block in the file: the number of the one before it
_WRITTEN_BYTES: Final = _LINK_BYTES + BLOCK_BYTES


class Repeats:
    """The keys a run has met; a record that the run itself met before can so be told from one of an earlier run."""

    def __init__(self, spool: IO[bytes]) -> None:
        self._spool = spool
        self._written = 0  #: blocks; the first one's number is 1
        # all of it taken at once: what grows bit by bit among records that come and go leaves holes in the heap
        self._open = bytearray(BUCKETS * BLOCK_BYTES)
        self._filled = array("q", bytes(8 * BUCKETS))  #: bytes of each bucket's open block
        self._last = array("q", bytes(8 * BUCKETS))  #: number of the block that each bucket wrote last, 0 for none

    def add(self, key: Key) -> None:
        """Remember that the run met this record."""
        digest = _digest(key)
        bucket = _bucket(digest)
        place = bucket * BLOCK_BYTES + self._filled[bucket]
        self._open[place : place + DIGEST_BYTES] = digest
        self._filled[bucket] += DIGEST_BYTES
        if self._filled[bucket] == BLOCK_BYTES:
            self._write(bucket)

    def __contains__(self, key: Key) -> bool:
        digest = _digest(key)
        bucket = _bucket(digest)
        return any(_holds(block, digest) for block in self._blocks(bucket))

    def _write(self, bucket: int) -> None:
        self._spool.seek(self._written * _WRITTEN_BYTES)
        self._spool.write(self._last[bucket].to_bytes(_LINK_BYTES, "big") + self._open_block(bucket))
        self._written += 1
        self._last[bucket] = self._written
        self._filled[bucket] = 0

    def _open_block(self, bucket: int) -> bytearray:
        begin = bucket * BLOCK_BYTES
        return self._open[begin : begin + self._filled[bucket]]

    def _blocks(self, bucket: int) -> Iterator[bytes | bytearray]:
        """All that a bucket holds, the newest first."""
        yield self._open_block(bucket)
        number = self._last[bucket]
        while number:
            self._spool.seek((number - 1) * _WRITTEN_BYTES)
            written = self._spool.read(_WRITTEN_BYTES)
            yield written[_LINK_BYTES:]
            number = int.from_bytes(written[:_LINK_BYTES], "big")


@contextmanager
def repeats() -> Generator[Repeats]:
    """An empty memory of a run, whose temporary file goes with the block."""
    with tempfile.TemporaryFile(prefix="deskstore-") as spool:
        yield Repeats(spool)


def _digest(key: Key) -> bytes:
    return blake2b("\0".join(key).encode(), digest_size=DIGEST_BYTES).digest()  # no identifier holds a NUL


def _bucket(digest: bytes) -> int:
    return int.from_bytes(digest[:2], "big") % BUCKETS


def _holds(block: bytes | bytearray, digest: bytes) -> bool:
    """Whether a block has the digest at one of its places, and not merely across two of them."""
    found = block.find(digest)
    while found >= 0 and found % DIGEST_BYTES:
        found = block.find(digest, found + 1)
    return found >= 0
