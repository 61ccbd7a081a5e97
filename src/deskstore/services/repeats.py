"""
Which records a run has met, exactly, in memory that does not grow with their number.

A digest of each key goes to one of many buckets; a full bucket is written to a temporary file as one block. Adding costs microseconds.
Asking reads one bucket's blocks, a few kilobytes in a run of a million records, and is only done for the few records whose payload replaces
another one that nothing orders it against.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import IO, Final

from deskstore.domain.identifiers import Key

DIGEST_BYTES: Final = 16  #: two keys of a run that share a digest are as likely as a damaged machine
BUCKETS: Final = 1_024
BLOCK_BYTES: Final = 2_048  #: held in memory, a bucket each, until full


class Repeats:
    """The keys a run has met; a record that the run itself met before can so be told from one of an earlier run."""

    def __init__(self, spool: IO[bytes]) -> None:
        self._spool = spool
        self._written = 0  #: blocks
        self._open = [bytearray() for _ in range(BUCKETS)]
        self._blocks: list[list[int]] = [[] for _ in range(BUCKETS)]

    def add(self, key: Key) -> None:
        """Remember that the run met this record."""
        digest = _digest(key)
        bucket = _bucket(digest)
        self._open[bucket] += digest
        if len(self._open[bucket]) >= BLOCK_BYTES:
            self._write(bucket)

    def __contains__(self, key: Key) -> bool:
        digest = _digest(key)
        bucket = _bucket(digest)
        return _holds(self._open[bucket], digest) or any(_holds(block, digest) for block in self._read(bucket))

    def _write(self, bucket: int) -> None:
        self._spool.seek(self._written * BLOCK_BYTES)
        self._spool.write(self._open[bucket])
        self._blocks[bucket].append(self._written)
        self._open[bucket] = bytearray()
        self._written += 1

    def _read(self, bucket: int) -> Iterator[bytes]:
        for block in self._blocks[bucket]:
            self._spool.seek(block * BLOCK_BYTES)
            yield self._spool.read(BLOCK_BYTES)


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
