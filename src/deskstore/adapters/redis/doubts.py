"""Companies of which Redis may hold what this process knows to be outdated."""

from __future__ import annotations

from time import monotonic
from typing import Final


class Doubts:
    """
    Companies whose values this process does not read until all that stood in Redis has ended.

    A unit of work that could not tell Redis is committed all the same. Others may read the old value until it ends; whoever wrote does not.
    """

    def __init__(self, lifetime_s: float) -> None:
        self._lifetime_s: Final = lifetime_s
        self._until: Final[dict[str, float]] = {}

    def note(self, company_id: str) -> None:
        """Doubt whatever Redis holds of a company at this moment."""
        self._until[company_id] = monotonic() + self._lifetime_s

    def concern(self, company_id: str) -> bool:
        """Whether what Redis holds of a company is doubted."""
        if (until := self._until.get(company_id)) is None:
            return False
        if monotonic() < until:
            return True
        self._until.pop(company_id, None)
        return False
