"""The task that copies to the mirrors what they are owed: woken by commits of this process, and looking around else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from contextvars import Context
from time import monotonic
from typing import Final

from deskstore.domain.errors import StorageError, StorageUnavailable

logger: Final = logging.getLogger("deskstore")
LOOK_AROUND_S: Final = 1.0  #: between two looks at companies that nobody here wrote to
LONGEST_PAUSE_S: Final = 30.0  #: between two tries to reach a mirror that is down
_IDLE_SHARE: Final = 4  #: a look around that takes long is followed by a pause so many times as long
_LAST_S: Final = 2.0  #: for what was written just before the storage is closed


class Breaker:
    """Spares a mirror that is down: each failure makes the pause before the next try longer."""

    def __init__(self) -> None:
        self._pause_s = 0.0
        self._closed_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it is not worth trying yet."""
        return monotonic() < self._closed_until

    @property
    def is_tripped(self) -> bool:
        """Whether the last try failed."""
        return self._pause_s > 0

    def trip(self) -> None:
        """A try failed."""
        self._pause_s = min(max(LOOK_AROUND_S, 2 * self._pause_s), LONGEST_PAUSE_S)
        self._closed_until = monotonic() + self._pause_s

    def reset(self) -> None:
        """A try succeeded."""
        self._pause_s = self._closed_until = 0.0


class Drainer:
    """
    One task a process.

    Args:
        visit: Copies what a company's mirror is owed; raises StorageUnavailable when it does not answer.
        companies: Those to look at when nobody wrote.
    """

    def __init__(self, visit: Callable[[str], Awaitable[None]], companies: Callable[[], Awaitable[Collection[str]]]) -> None:
        self._visit: Final = visit
        self._companies: Final = companies
        self._woken: dict[str, None] = {}  # in the order in which they were written to
        self._is_needed: Final = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_over = False
        self._next_look_s = 0.0
        self._complaints: Final[dict[str, str]] = {}
        self._waiting_since_s: Final[dict[str, float]] = {}
        self.breaker: Final = Breaker()

    def start(self) -> None:
        """Begin, unless it has begun; needs a running loop."""
        if self._task is None and not self._is_over:
            # in a context of its own: what it does for all companies is no part of what one writer was about
            self._task = asyncio.create_task(self._run(), name="deskstore drainer", context=Context())

    def wake(self, company_id: str) -> None:
        """A company was written to."""
        self.start()
        self._waiting_since_s.setdefault(company_id, monotonic())
        self._woken[company_id] = None
        self._is_needed.set()

    def figures(self) -> dict[str, float]:
        """How many companies wait for their mirrors to follow, since when, and whether that is because no mirror answers."""
        since_s, now_s = [*self._waiting_since_s.values()], monotonic()
        return {
            "mirror.waiting": len(since_s),
            "mirror.lag_s": now_s - min(since_s, default=now_s),
            "mirror.is_down": float(self.breaker.is_tripped),
        }

    async def aclose(self, *, for_good: bool = False) -> None:
        """Stop, after a last try for what was written here; for good: also a commit that ends later starts nothing any more."""
        self._is_over = for_good
        if self._task is None:
            return
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_S):
                await self._drain_woken()

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AROUND_S):
                    await self._is_needed.wait()
            self._is_needed.clear()
            await self._drain_woken()
            if monotonic() >= self._next_look_s:
                await self._look_around()

    async def _drain_woken(self) -> None:
        woken, self._woken = self._woken, {}
        for company_id in woken:
            if not await self._seen_to(company_id):
                self._woken.setdefault(company_id)

    async def _look_around(self) -> None:
        began_s = monotonic()
        try:
            companies = await self._companies()
        except StorageError as error:
            logger.debug("companies cannot be listed: %s", error, extra={"operation": "drain"})
            companies = ()
        for company_id in companies:
            await self._seen_to(company_id)
        self._next_look_s = monotonic() + max(LOOK_AROUND_S, _IDLE_SHARE * (monotonic() - began_s))

    async def _seen_to(self, company_id: str) -> bool:
        """Visit a company, and say whether that was worth it; no mistake with one holds the others up."""
        if self.breaker.is_open:
            return False
        try:
            await self._visit(company_id)
        except StorageUnavailable as error:
            self._waiting_since_s.setdefault(company_id, monotonic())
            if not self.breaker.is_tripped:
                logger.warning("a mirror is down, writes go on: %s", error, extra={"company_id": company_id, "operation": "drain"})
            self.breaker.trip()
            return False
        except StorageError as error:
            self._waiting_since_s.setdefault(company_id, monotonic())
            self._complain(company_id, str(error))
            return True
        self._note_visit(company_id)
        if self.breaker.is_tripped:
            logger.info("the mirror is back", extra={"company_id": company_id, "operation": "drain"})
        self._complaints.pop(company_id, None)
        self.breaker.reset()
        return True

    def _note_visit(self, company_id: str) -> None:
        """Its mirror has all that was written before the visit; what was written since has waited for no longer than that."""
        self._waiting_since_s.pop(company_id, None)
        if company_id in self._woken:
            self._waiting_since_s[company_id] = monotonic()

    def _complain(self, company_id: str, why: str) -> None:
        """Say once what keeps a mirror from following."""
        if self._complaints.get(company_id) != why:
            logger.warning("a mirror does not follow: %s", why, extra={"company_id": company_id, "operation": "drain"})
        self._complaints[company_id] = why
