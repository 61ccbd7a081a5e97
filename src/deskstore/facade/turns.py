"""Writers of one record in one process, one after another, so that they do not race one another."""

from __future__ import annotations

import asyncio
from typing import Final
from weakref import WeakValueDictionary

from deskstore.domain.identifiers import Key

_Place = tuple[asyncio.AbstractEventLoop, str, Key]


class Turns:
    """Whose turn it is to write which record; writers in other processes and on other event loops are met by a retry instead."""

    def __init__(self) -> None:
        self._locks: Final[WeakValueDictionary[_Place, asyncio.Lock]] = WeakValueDictionary()

    def of(self, company_id: str, key: Key) -> asyncio.Lock:
        """What a writer of the record holds while it writes, and other tasks of this loop wait for; gone when nobody does."""
        place = (asyncio.get_running_loop(), company_id, key)
        lock = self._locks.get(place)
        if lock is None:
            self._locks[place] = lock = asyncio.Lock()
        return lock
