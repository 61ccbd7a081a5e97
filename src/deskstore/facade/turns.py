"""Writers of one record in one process, one after another, so that they do not race one another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

from deskstore.domain.identifiers import Key

_Place = tuple[asyncio.AbstractEventLoop, str, Key]


class Turns:
    """Whose turn it is to write which record; writers in other processes and on other event loops are met by a retry instead."""

    def __init__(self) -> None:
        self._locks: Final[WeakValueDictionary[_Place, asyncio.Lock]] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, company_id: str, key: Key) -> AsyncGenerator[None]:
        """Wait until no other task of this loop writes the record, and keep the others waiting while the block runs."""
        lock = self._locks.setdefault((asyncio.get_running_loop(), company_id, key), asyncio.Lock())
        async with lock:
            yield
