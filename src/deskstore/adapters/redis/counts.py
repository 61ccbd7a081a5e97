"""How often the cache was of use: told to Redis along with leases, so that every process can see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import astuple, define, fields


@define
class Counts:
    """How many values were asked for, and what came of it."""

    hits: int = 0  #: found
    misses: int = 0  #: not found, and read from the database
    bypasses: int = 0  #: not looked for, or kept away by a tombstone
    errors: int = 0  #: not found because Redis did not answer

    @property
    def total(self) -> int:
        """All that was asked for."""
        return self.hits + self.misses + self.bypasses + self.errors


NAMES: Final[Sequence[str]] = [one.name for one in fields(Counts)]
MOST_COMPANIES: Final = 10_000  #: whose counts wait to be told


class Ledger:
    """Counts of each company that were not told to Redis yet, and all that this process counted."""

    def __init__(self) -> None:
        self.all: Final = Counts()
        self._untold: Final[dict[str, Counts]] = {}

    def note(self, company_id: str, what: str, n: int) -> None:
        """Count n values of a company; `what` is one of NAMES."""
        untold = self._untold.get(company_id)
        if untold is None:
            if len(self._untold) >= MOST_COMPANIES:
                self._untold.clear()
            untold = self._untold[company_id] = Counts()
        for counts in (self.all, untold):
            setattr(counts, what, getattr(counts, what) + n)

    def taken(self, company_id: str) -> tuple[int, ...]:
        """What was not told yet, in the order of NAMES; it counts as told."""
        return astuple(self._untold.pop(company_id, Counts()))


def counts_from(plain: Mapping[bytes, bytes]) -> Counts:
    """The counts that Redis keeps; what is no number counts nothing."""
    told = {name.decode("utf-8", "replace"): number for name, number in plain.items()}
    return Counts(**{name: int(told[name]) if told.get(name, b"").isdigit() else 0 for name in NAMES})
