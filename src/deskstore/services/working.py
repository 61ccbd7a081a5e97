"""
Working through the tickets of a platform: taken one after another or several at once, their leases renewed in the background.

    async with aclosing(claims(storage, "acme", "freshdesk")) as line:
        async for claim in line:
            async with claim:
                await claim.complete(await summarise(claim.ticket))

    await work_off(storage, "acme", "freshdesk", summarise, concurrency=8)
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from inspect import isawaitable
from typing import TYPE_CHECKING, Final

from attrs import frozen

from deskstore.domain.claims import MOST_AT_ONCE
from deskstore.domain.errors import InvalidRecord
from deskstore.services.holding import Ending, HeldClaim, Retry
from deskstore.services.observing import endless_use_case
from deskstore.services.processing import LEASE
from deskstore.services.summaries import SummaryDraft
from deskstore.services.taking import Line, Orders

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage

POLL: Final = timedelta(seconds=1)  #: between two looks for tickets, where there are none; half as much to half as much again
BATCH: Final = 8  #: tickets that claims() takes at once
CONCURRENCY: Final = 8
RETRY: Final = Retry()

Handler = Callable[[HeldClaim], "Awaitable[SummaryDraft | None]"]
"""Works on one ticket, and gives the summary to complete it with, if any."""


@frozen(kw_only=True)
class Worked:
    """How the tickets ended that a worker was given."""

    completed: int = 0  #: those among them whose text changed meanwhile are pending again
    failed: int = 0
    released: int = 0
    lost: int = 0  #: to another worker, or deleted

    @property
    def total(self) -> int:
        """All tickets the worker was given."""
        return self.completed + self.failed + self.released + self.lost


async def claims(
    storage: Storage,
    company_id: str,
    platform: str,
    *,
    worker: str | None = None,
    lease: timedelta = LEASE,
    batch: int = BATCH,
    until_done: bool = False,
    stop: asyncio.Event | None = None,
    poll: timedelta = POLL,
    retry: Retry = RETRY,
) -> AsyncGenerator[HeldClaim]:
    """
    Tickets to work on, one after another, for as long as there is no end to it.

    Their leases are renewed in the background until each is settled: as an `async with` block, or by complete(), fail() or release(). What
    is not settled is given back when the loop comes to its end, and at once where it is left early (`break`, an error, a cancellation)
    inside `async with aclosing(claims(...))`; without that Python closes the loop some time later or never, and the rest of the batch stays
    taken until its lease is over. A ticket that was deleted meanwhile is passed over, one that is damaged fails for good, and so does one
    that was taken more often than `retry` allows and never came to an end.

    Args:
        worker: Who takes them, as others are shown it, and as an operator takes tickets back from it: give each process a name of its own.
            The machine's name and the process's number, unless said.
        lease: For how long a ticket stays with a worker that died, at most 15 minutes; renewed three times while it lasts.
        batch: How many tickets are taken at once; those that were not begun are given back at the end.
        until_done: End once nothing is pending, and nobody works on anything any more; failed tickets are not waited for, not even
            those that are to be tried again.
        stop: Once it is set, no other ticket is begun.
        poll: How often to look, where there is nothing to do.
        retry: When a ticket is tried again whose block ended with an error.

    Raises:
        StorageUnavailable: The storage does not work any more.
    """
    line = _line(storage, company_id, platform, worker, lease=lease, batch=batch, until_done=until_done, stop=stop, poll=poll, retry=retry)
    try:
        while (claim := await line.following()) is not None:
            yield claim
    finally:
        await line.aclose()


@endless_use_case
async def work_off(
    storage: Storage,
    company_id: str,
    platform: str,
    handler: Handler,
    *,
    concurrency: int = CONCURRENCY,
    worker: str | None = None,
    lease: timedelta = LEASE,
    until_done: bool = False,
    stop: asyncio.Event | None = None,
    poll: timedelta = POLL,
    retry: Retry = RETRY,
) -> Worked:
    """
    Let a coroutine work on several tickets at once, each completed with the summary that it gives, and say how they ended.

    A ticket whose handler raises fails with that reason and is tried again as `retry` says; the others go on. Where a claim is lost, its
    handler is cancelled. After `stop` is set no other ticket is begun, and those begun are worked to their end; when this call is
    cancelled they are given back. The other arguments are those of claims().

    Raises:
        StorageUnavailable: The storage does not work any more; all handlers were cancelled.
        InvalidRecord: The handler is no coroutine function: the ticket that it was called with is pending again.
    """
    if concurrency < 1:
        raise InvalidRecord(f"concurrency is {concurrency}: work on at least one ticket at once")
    batch = min(concurrency, MOST_AT_ONCE)
    line = _line(storage, company_id, platform, worker, lease=lease, batch=batch, until_done=until_done, stop=stop, poll=poll, retry=retry)
    workers = [asyncio.ensure_future(_work(line, handler)) for _ in range(concurrency)]
    try:
        endings = Counter(ending for endings in await asyncio.gather(*workers) for ending in endings.elements())
    finally:
        for one in workers:
            one.cancel()
        await asyncio.wait(workers)
        await line.aclose()
    return Worked(**{ending.value: count for ending, count in endings.items() if ending is not Ending.HELD})


def _line(
    storage: Storage,
    company_id: str,
    platform: str,
    worker: str | None,
    *,
    lease: timedelta,
    batch: int,
    until_done: bool,
    stop: asyncio.Event | None,
    poll: timedelta,
    retry: Retry,
) -> Line:
    return Line(
        Orders(
            storage=storage,
            company_id=company_id,
            platform=platform,
            worker=worker or _this_process(),
            lease=lease,
            batch=batch,
            until_done=until_done,
            stop=stop or asyncio.Event(),
            poll=poll,
            retry=retry,
        )
    )


async def _work(line: Line, handler: Handler) -> Counter[Ending]:
    endings = Counter[Ending]()
    while (claim := await line.following()) is not None:
        is_coroutine = True
        async with claim:
            is_coroutine = await _handle(claim, handler)
        if not is_coroutine:
            raise InvalidRecord(
                "the handler must be `async def`: what it gave cannot be awaited; call code that blocks with asyncio.to_thread()"
            )
        endings[claim.ending] += 1
    return endings


async def _handle(claim: HeldClaim, handler: Handler) -> bool:
    """Let the handler work on a ticket, and complete it unless the handler settled it; False where it is no coroutine function."""
    given: object = handler(claim)
    if not isawaitable(given):
        await claim.release()
        return False
    summary: object = await given
    if claim.ending is Ending.HELD:
        await claim.complete(_checked(summary))
    return True


def _checked(summary: object) -> SummaryDraft | None:
    if summary is None or isinstance(summary, SummaryDraft):
        return summary
    raise InvalidRecord(f"the handler gave a {type(summary).__name__}: return a SummaryDraft or None")


def _this_process() -> str:
    return f"{socket.gethostname() or 'worker'}-{os.getpid()}"
