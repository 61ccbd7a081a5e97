"""The tickets that one worker takes and has not yet brought to an end: taken a batch at a time, and their leases renewed."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from deskstore.domain import identifiers
from deskstore.domain.errors import ClaimLost, CorruptRecord, StorageBusy, StorageError
from deskstore.services.holding import Ending, HeldClaim, Retry, logger, positive
from deskstore.services.processing import claim_tickets, fail, get_processing_progress, give_back, renew_claims
from deskstore.services.tickets import find_ticket

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from deskstore.domain.identifiers import Key
    from deskstore.domain.ports import Storage
    from deskstore.domain.processing import Processing
    from deskstore.domain.records import Ticket

RENEWALS: Final = 3  #: of a lease before it ends: two of them may fail


@frozen(kw_only=True)
class Orders:
    """What a worker is to take, and how."""

    storage: Storage
    company_id: str
    platform: str = field(converter=identifiers.platform)
    worker: str = field(converter=identifiers.worker)
    lease: timedelta
    batch: int  #: tickets that are taken at once
    until_done: bool  #: end once nothing is pending or in processing
    stop: asyncio.Event
    poll: timedelta = field(validator=positive)
    retry: Retry


class Line:
    """What a worker took, in the order in which it waited; any number of tasks may ask for the next one."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._turn = asyncio.Lock()
        self._waiting = deque["Processing"]()
        self._begun: list[HeldClaim] = []
        self._keeper: asyncio.Task[None] | None = None
        self._has_looked = False  #: how many tickets there are, when there was none to take

    async def following(self) -> HeldClaim | None:
        """The next ticket, waited for where there is none; None once it is time to stop, or everything is done."""
        async with self._turn:
            while not self._orders.stop.is_set():
                try:
                    if self._waiting or await self._take():
                        if (claim := await self._begin()) is not None:
                            return claim
                    elif await self._is_over():
                        return None
                    else:
                        await self._pause()
                except StorageBusy:  # others hold the store for long: they will let go of it
                    await self._pause()
            await self._let_go(self._waiting)
            self._waiting.clear()
            return None

    async def aclose(self) -> None:
        """Give everything back that is not settled, and renew nothing any more."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        await self._let_go(self._in_hand())
        for claim in self._begun:
            claim.taken_back()

    async def _take(self) -> bool:
        orders = self._orders
        taken = await claim_tickets(
            orders.storage, orders.company_id, orders.platform, orders.batch, worker=orders.worker, lease=orders.lease
        )
        self._waiting.extend(taken)
        if self._keeper is None and taken:
            self._keeper = asyncio.ensure_future(self._keep())
        return bool(taken)

    async def _begin(self) -> HeldClaim | None:
        """Hand over the first of those that wait; None where it is gone, another's by now, or no worker should have it as it is."""
        if self._has_run_out(self._waiting[0]):  # this process stood still: see what others took meanwhile, before it is paid for twice
            await self._renew()
            if not self._waiting:
                return None
        claimed = self._waiting[0]
        ticket = await self._read(claimed)
        if not self._waiting or self._waiting[0].key != claimed.key:
            return None  # lost while it was read
        claimed = self._waiting.popleft()
        if ticket is None:
            return None
        orders = self._orders
        claim = HeldClaim(orders.storage, orders.company_id, claimed, ticket, retry=orders.retry)
        self._begun = [*(one for one in self._begun if one.ending is Ending.HELD), claim]
        return claim

    async def _read(self, claimed: Processing) -> Ticket | None:
        orders, key = self._orders, claimed.key
        with suppress(ClaimLost):
            if claimed.attempts > orders.retry.attempts:
                await fail(orders.storage, orders.company_id, claimed, f"taken {claimed.attempts} times, and never brought to an end")
                return None
            try:
                ticket = await find_ticket(orders.storage, orders.company_id, key.platform, key.id)
            except CorruptRecord as error:
                await fail(orders.storage, orders.company_id, claimed, str(error))
                return None
            if ticket is None or (claimed.claim and ticket.fields.text_digest == claimed.claim.text_digest):
                return ticket
            await give_back(orders.storage, orders.company_id, [claimed])  # its text changed: a summary of it would be stale at once
        return None

    async def _is_over(self) -> bool:
        """Whether there is nothing to wait for; looks whenever that matters, and the first time to warn of a name that may be wrong."""
        if self._has_looked and not self._orders.until_done:
            return False
        progress = await get_processing_progress(self._orders.storage, self._orders.company_id, self._orders.platform)
        if not self._has_looked and not progress.total:
            self._warn_of_nothing()
        self._has_looked = True
        return self._orders.until_done and not progress.pending and not progress.processing

    def _warn_of_nothing(self) -> None:
        company_id, platform = self._orders.company_id, self._orders.platform
        extra = {"company_id": company_id, "platform": platform, "operation": "claim"}
        logger.warning("company %r has no ticket at all on %r: are both names right?", company_id, platform, extra=extra)

    async def _pause(self) -> None:
        """Wait for some time, or until it is time to stop; workers that look alike would only look at the same moment."""
        pause_s = self._orders.poll.total_seconds() * random.uniform(0.5, 1.5)  # noqa: S311 - it keeps workers apart, and no secret
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._orders.stop.wait()

    async def _let_go(self, claimed: Iterable[Processing]) -> None:
        with suppress(StorageError):  # where that fails, they are handed out again once the lease has run out
            await give_back(self._orders.storage, self._orders.company_id, [*claimed])

    # -- renewing --------------------------------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._orders.lease.total_seconds() / RENEWALS)
            await self._renew()

    async def _renew(self) -> None:
        wanted = {one.key: one for one in self._in_hand()}
        while wanted:
            try:
                self._note(await renew_claims(self._orders.storage, self._orders.company_id, wanted.values(), lease=self._orders.lease))
                return
            except ClaimLost as lost:
                for key in lost.keys:
                    self._lose(wanted.pop(key))
            except StorageError as error:
                self._note_failure(wanted, error)
                return

    def _in_hand(self) -> list[Processing]:
        return [*self._waiting, *(one.processing for one in self._begun if one.is_to_renew)]

    def _note(self, renewed: Mapping[Key, Processing]) -> None:
        self._waiting = deque(_newer(one, renewed) for one in self._waiting)
        for claim in self._begun:
            claim.renewed(_newer(claim.processing, renewed))

    def _lose(self, lost: Processing) -> None:
        self._waiting = deque(one for one in self._waiting if one.claim != lost.claim)
        for claim in self._begun:
            if claim.processing.claim == lost.claim:
                claim.lose()

    def _note_failure(self, held: Mapping[Key, Processing], error: StorageError) -> None:
        """Nobody can tell whether a claim lives that could not be renewed until its lease ended: it counts as lost."""
        extra = {"company_id": self._orders.company_id, "platform": self._orders.platform, "operation": "renew"}
        logger.warning("could not renew %d claims: %s", len(held), type(error).__name__, extra=extra)
        for one in held.values():
            if self._has_run_out(one):
                self._lose(one)

    def _has_run_out(self, one: Processing) -> bool:
        return one.claim is not None and one.claim.lease_until <= self._orders.storage.clock()


def _newer(one: Processing, renewed: Mapping[Key, Processing]) -> Processing:
    """The same claim as it was renewed, if it was."""
    found = renewed.get(one.key)
    is_same = found is not None and found.claim is not None and one.claim is not None and found.claim.token == one.claim.token
    return found if found is not None and is_same else one
