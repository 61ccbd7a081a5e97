"""In which epoch a company is, and whether it may be cached at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from deskstore.domain.errors import StorageError
from deskstore.domain.ports import Storage

ABSENT_S: Final = 1.0  #: for which a company that may not be cached is not asked about again
MOST_COMPANIES: Final = 100_000  #: of which the epoch is remembered

EpochOf = Callable[[str], Awaitable[int | None]]
"""The epoch of a company; None where nothing of it may be cached."""


def primary_epoch(storage: Storage) -> EpochOf:
    """The epoch of companies whose primary is this storage, and of no others, nor of those that are about to move or to go."""

    async def epoch_of(company_id: str) -> int | None:
        replica = storage.replica(company_id)
        state = await replica.state()
        if state is None or state.erased or state.swapping_to is not None or state.primary != await replica.store_id():
            return None
        return state.epoch

    return epoch_of


class Epochs:
    """What was last heard of the epochs of companies; no older than a value may be."""

    def __init__(self, epoch_of: EpochOf, lifetime_s: float) -> None:
        self._epoch_of: Final = epoch_of
        self._lifetime_s: Final = lifetime_s
        self._known: Final[dict[str, tuple[int | None, float]]] = {}  #: with the moment at which it is asked for anew

    async def of(self, company_id: str) -> int | None:
        """The company's epoch; None where nothing of it may be cached, or the store does not say."""
        epoch, until = self._known.get(company_id, (None, 0.0))
        if monotonic() < until:
            return epoch
        try:
            epoch = await self._epoch_of(company_id)
        except StorageError:  # whoever reads next is told by the read itself
            return None
        if len(self._known) >= MOST_COMPANIES:
            self._known.clear()
        self._known[company_id] = (epoch, monotonic() + (ABSENT_S if epoch is None else self._lifetime_s))
        return epoch

    def forget(self, company_id: str) -> None:
        """Ask again at the next read."""
        self._known.pop(company_id, None)
