"""
How much a company holds, and what it amounts to: counts, and two digests by which stores and backups are compared.

Both digests are sums of SHA-256 hashes modulo 2**256: they depend on no order, and can be worked out a piece at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from attrs import frozen

from deskstore.domain.mirror import PARTS, Copy, digest_of
from deskstore.domain.ports import Replica
from deskstore.domain.records import Article, Ticket
from deskstore.domain.things import Part, Thing

_MODULUS: Final = 2**256


@frozen(kw_only=True)
class Totals:
    """What a company amounts to at one moment."""

    counts: Mapping[Part, int]  #: of every part, also of those that hold nothing
    replica: str  #: the digest of everything, versions included, in hex
    content: str  #: the digest of the records' names and payloads alone, in hex


class Tally:
    """Adds up what a company holds, in any order."""

    def __init__(self) -> None:
        self._counts: Final[dict[Part, int]] = dict.fromkeys(PARTS, 0)
        self._replica = 0
        self._content = 0

    def add(self, part: Part, version: int, digest: bytes) -> None:
        """Count one thing by its version and the digest that digest_of() gives: the replica digest is of both, the version in 8 bytes."""
        self._counts[part] += 1
        self._replica += int.from_bytes(sha256(digest + version.to_bytes(8, "big")).digest(), "big")

    def add_content(self, record: Thing, payload_sha256: str) -> None:
        """Count the content of one record: kind, platform, id, locale and the payload's sha256 in hex, one NUL byte between two."""
        self._content += int.from_bytes(sha256("\0".join((*record[1:5], payload_sha256)).encode()).digest(), "big")

    def add_copy(self, copy: Copy) -> None:
        """Count one thing and its content."""
        if copy.value is not None:
            self.add(copy.thing.part, copy.version, digest_of(copy.value).digest)
        if isinstance(copy.value, Ticket | Article):
            self.add_content(copy.thing, copy.value.sha256.hex())

    def totals(self) -> Totals:
        """What it comes to."""
        return Totals(counts=dict(self._counts), replica=f"{self._replica % _MODULUS:064x}", content=f"{self._content % _MODULUS:064x}")


async def totals_of(replica: Replica) -> Totals:
    """
    What a company in a store amounts to; of one moment only while nobody writes.

    Raises:
        CorruptRecord: Something in it cannot be trusted.
    """
    tally = Tally()
    for part in PARTS:
        async for copy in replica.copies(part):
            tally.add_copy(copy)
    return tally.totals()
