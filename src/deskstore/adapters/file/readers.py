"""The threads that read: a call goes to one of them and comes back to its event loop, with nothing in between."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from deskstore.domain.errors import StorageUnavailable

V = TypeVar("V")


class Readers:
    """
    A few threads that make calls for event loops, started when they are needed.

    As a ThreadPoolExecutor does at half the price: that makes two futures of each call, tied to one another, with a lock and a condition.
    A read of one record takes hardly longer than its way to the thread and back.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most: Final = most
        self._name: Final = name
        self._calls: Final = SimpleQueue[_Call | None]()
        self._guard: Final = threading.Lock()
        self._threads: Final[list[threading.Thread]] = []
        self._idle = 0
        self._is_closed = False

    async def run(self, look: Callable[[], V]) -> V:
        """What a call returns that a thread makes; raises what it raises."""
        call = _Call(look)
        self._hand_over(call)
        result: V = await call.done
        return result

    def shutdown(self) -> None:
        """Let the threads make the calls they were given, and end."""
        with self._guard:
            self._is_closed = True
            threads = list(self._threads)
            for _ in threads:
                self._calls.put(None)
        for thread in threads:
            thread.join()

    def _hand_over(self, call: _Call) -> None:
        with self._guard:
            if self._is_closed:
                raise StorageUnavailable("this storage is closed: open another one with open_storage()")
            self._calls.put(call)
            if self._idle:
                self._idle -= 1
            elif len(self._threads) < self._most:
                self._start()

    def _start(self) -> None:
        # who never closes a storage is not kept from ending: there is nothing that a reader could leave half done
        thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call.make()
            with self._guard:
                self._idle += 1  # before anybody is told: who comes back at once is to find this thread, and not to start another
            call.tell()
            del call  # or what it holds would live until the next one comes


class _Call:
    """Something to call, and where its outcome goes."""

    __slots__ = ("_look", "_loop", "_outcome", "_settle", "done")

    def __init__(self, look: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._look = look
        self.done: asyncio.Future[Any] = self._loop.create_future()  # Any: each call has a result of its own kind
        self._settle: Callable[[Any], None] = self.done.set_result
        self._outcome: object = None

    def make(self) -> None:
        """Call it in this thread, unless nobody waits any more."""
        if self.done.cancelled():
            return
        try:
            self._outcome = self._look()
        except BaseException as error:  # noqa: BLE001 - whatever a call raises is its caller's, and the thread lives on
            self._settle, self._outcome = self.done.set_exception, error

    def tell(self) -> None:
        """Have the loop tell whoever waits."""
        with suppress(RuntimeError):  # the loop ended under the call: nobody waits any more
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        if not self.done.cancelled():
            self._settle(self._outcome)
