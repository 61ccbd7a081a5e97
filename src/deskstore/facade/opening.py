"""
One storage for each event loop, opened when it is first needed.

What waits on a loop (locks, connections, tasks) cannot follow to another one, so a process that runs one loop after another, or one in each
of several threads, has a storage for each. When `asyncio.run()` comes to its end it closes what the loop still holds open, and the storage
with it, because `open_storage` is an asynchronous generator. A loop that was closed without that leaves its storage to the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage


Opener = Callable[[], "AbstractAsyncContextManager[Storage]"]


class StoragePerLoop:
    """
    The storage of the running event loop.

    Args:
        opener: Opens a storage; called once a loop, and again after aclose().
    """

    def __init__(self, opener: Opener) -> None:
        self._opener: Final = opener
        self._openings: Final[dict[asyncio.AbstractEventLoop, _Opening]] = {}

    async def storage(self) -> Storage:
        """The running loop's storage, opened if it is not open."""
        loop = asyncio.get_running_loop()
        if loop not in self._openings:
            self._openings[loop] = _Opening(self._opener)
            await self._close_orphans()
        return await self._openings[loop].storage()

    async def aclose(self) -> None:
        """Close the running loop's storage; the next call opens another one. Storages of loops in other threads stay open."""
        opening = self._openings.pop(asyncio.get_running_loop(), None)
        if opening is not None:
            await opening.aclose()
        await self._close_orphans()

    async def _close_orphans(self) -> None:
        for loop in [loop for loop in [*self._openings] if loop.is_closed()]:
            await self._openings.pop(loop).stack.aclose()


class _Opening:
    """One storage, opened once however many tasks ask for it at the same time."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._one_at_a_time = asyncio.Lock()
        self._storage: Storage | None = None
        self.stack: Final = AsyncExitStack()  #: what aclose() closes; by itself for a loop that ended in the middle of an opening

    async def storage(self) -> Storage:
        if self._storage is None:
            async with self._one_at_a_time:
                if self._storage is None:
                    self._storage = await self.stack.enter_async_context(self._opener())
        return self._storage

    async def aclose(self) -> None:
        async with self._one_at_a_time:
            await self.stack.aclose()
