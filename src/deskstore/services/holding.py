"""A ticket in the hands of a worker: what the worker is given, and what becomes of the ticket once the worker is done with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from attrs import field, frozen

from deskstore.domain.errors import (
    ClaimLost,
    CommitOutcomeUnknown,
    CompanyErased,
    CompanyMoved,
    InvalidRecord,
    StorageBusy,
    StorageError,
    StorageUnavailable,
    StoreReplaced,
    UnitOfWorkMisuse,
)
from deskstore.domain.processing import span
from deskstore.services import processing
from deskstore.services.attempts import pause
from deskstore.services.observing import claim_in_hand
from deskstore.services.summaries import SummaryDraft

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from attrs import Attribute

    from deskstore.domain.identifiers import Key
    from deskstore.domain.observing import Sight
    from deskstore.domain.ports import Storage
    from deskstore.domain.processing import Processing
    from deskstore.domain.records import Ticket

logger: Final = logging.getLogger("deskstore")
MOST_DOUBLINGS: Final = 20  #: of a pause, so that no number of attempts makes it longer than a timedelta can be
#: errors that are no fault of a ticket: with these the store itself is gone, and no other ticket would fare better
ENDS_ALL_WORK: Final = (StorageUnavailable, StoreReplaced, CompanyErased, CompanyMoved, CommitOutcomeUnknown)
Settle = Callable[[], Awaitable["Processing"]]
"""One attempt to bring a claim to its end."""


def positive(_: object, attribute: Attribute[timedelta], value: timedelta) -> None:
    """See that a time is longer than nothing; raises InvalidRecord."""
    if span(attribute.name, value) <= timedelta(0):
        raise InvalidRecord(f"{attribute.name} is {value}: give a time longer than nothing")


@frozen(kw_only=True)
class Retry:
    """How long a ticket that failed is left alone: twice as long each time, and after so many attempts until somebody requeues it."""

    first: timedelta = field(default=timedelta(seconds=30), validator=positive)  #: after the first attempt
    longest: timedelta = field(default=timedelta(hours=1), validator=positive)
    attempts: int = 5  #: how often a worker takes a ticket at all

    def pause(self, attempts: int) -> timedelta | None:
        """How long to leave a ticket alone that failed at so many attempts; None = for good."""
        if attempts >= self.attempts:
            return None
        return min(self.first * (1 << min(attempts - 1, MOST_DOUBLINGS)), self.longest)


class Ending(StrEnum):
    """What has become of a claim."""

    HELD = "held"
    COMPLETED = "completed"
    FAILED = "failed"
    RELEASED = "released"
    LOST = "lost"


class HeldClaim:
    """
    A ticket that nobody else works on, and whose lease is renewed until it is settled or lost.

    As an `async with` block it settles by itself: the end of the block completes the ticket, an error in it fails the ticket with that
    reason, and a cancellation gives it back. Where the claim is lost the block is cancelled, and what follows it goes on.
    """

    def __init__(self, storage: Storage, company_id: str, claimed: Processing, ticket: Ticket, *, retry: Retry) -> None:
        self.company_id: Final = company_id
        self.ticket: Final = ticket  #: as it was when it was handed over
        self._storage = storage
        self._retry = retry
        self._claimed = claimed
        self._ending = Ending.HELD
        self._is_settling = False
        self._task: asyncio.Task[object] | None = None
        self._cancellations = 0  #: of the task, when the block began
        self._is_cancelled_by_us = False
        self._watched: tuple[AbstractContextManager[Sight], Sight] | None = None  #: the block, where somebody watches

    @property
    def key(self) -> Key:
        """The ticket's."""
        return self._claimed.key

    @property
    def processing(self) -> Processing:
        """How far the ticket has come, with the claim as it was renewed last, or as it was settled."""
        return self._claimed

    @property
    def attempts(self) -> int:
        """How often a worker took the ticket since its text last changed, this time included."""
        return self._claimed.attempts

    @property
    def ending(self) -> Ending:
        """What has become of the claim: `held`, until it is settled or lost."""
        return self._ending

    @property
    def is_lost(self) -> bool:
        """Whether another worker has the ticket by now, or it is gone: whatever is done for it is in vain."""
        return self._ending is Ending.LOST

    @property
    def is_to_renew(self) -> bool:
        """Whether the lease has to be looked after."""
        return self._ending is Ending.HELD and not self._is_settling

    async def complete(self, summary: SummaryDraft | None = None) -> Processing:
        """
        Finish the ticket, with its summary if there is one: both or neither.

        A ticket whose text changed meanwhile keeps the summary and returns to pending.

        Raises:
            ClaimLost: Another worker took the ticket over, or it is gone; nothing was changed.
            UnitOfWorkMisuse: The claim was settled already; nothing was changed.
        """
        return await self._settled(
            lambda: processing.complete(self._storage, self.company_id, self._claimed, summary=summary), Ending.COMPLETED
        )

    async def fail(self, reason: str, *, retry_in: timedelta | None = None) -> Processing:
        """
        Give the ticket up, for a while or, without retry_in, until somebody requeues it.

        Raises:
            ClaimLost: Another worker took the ticket over, or it is gone.
            UnitOfWorkMisuse: The claim was settled already.
        """
        return await self._settled(
            lambda: processing.fail(self._storage, self.company_id, self._claimed, reason, retry_in=retry_in), Ending.FAILED
        )

    async def release(self) -> None:
        """
        Give the ticket back as if nobody had taken it; this attempt does not count.

        Raises:
            ClaimLost: Another worker took the ticket over, or it is gone.
            UnitOfWorkMisuse: The claim was settled already.
        """
        await self._settled(self._given_back, Ending.RELEASED)

    def renewed(self, claimed: Processing) -> None:
        """Note a longer lease."""
        if self.is_to_renew:
            self._claimed = claimed

    def lose(self) -> None:
        """Note that the claim is another's by now, and stop the block that works on it."""
        if self.is_to_renew:
            extra = {"company_id": self.company_id, "platform": self.key.platform, "operation": "renew"}
            logger.warning("lost the claim on %s", self.key, extra=extra)
            self._stop(Ending.LOST)

    def taken_back(self) -> None:
        """Note that the ticket was given back by whoever handed it over, and stop the block that works on it."""
        if self.is_to_renew:
            self._stop(Ending.RELEASED)

    def _stop(self, ending: Ending) -> None:
        self._ending = ending
        if self._task is not None:
            self._is_cancelled_by_us = True
            self._task.cancel()

    async def __aenter__(self) -> Self:
        self._check_unsettled()
        if self._ending is not Ending.HELD:
            raise ClaimLost([self.key])
        self._task = asyncio.current_task()
        self._cancellations = self._task.cancelling() if self._task else 0
        if (watched := claim_in_hand(self._storage, self.company_id)) is not None:
            self._watched = watched, watched.__enter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /) -> bool:
        try:
            return await self._left(kind, error)
        finally:
            if self._watched is not None:
                watched, sight = self._watched
                sight.tell({"outcome": self._ending, "attempts": self.attempts}, platform=self.key.platform)
                watched.__exit__(kind, error, traceback)

    async def _left(self, kind: type[BaseException] | None, error: BaseException | None) -> bool:
        """Bring the ticket to its end behind the block; whether the block's error ends here."""
        task, self._task = self._task, None
        if self._is_cancelled_by_us and task is not None:
            is_only_ours = task.uncancel() <= self._cancellations
            return kind is None or issubclass(kind, Exception) or (issubclass(kind, asyncio.CancelledError) and is_only_ours)
        if self._ending is Ending.HELD:
            return await self._end(error)
        return isinstance(error, Exception) and self._is_passed_over(error)

    async def _end(self, error: BaseException | None) -> bool:
        """Settle what the block left unsettled; whether its error ends here."""
        if _ends_all_work(error):
            return False  # the claim runs out, or whoever handed it over gives it back
        if error is not None and not isinstance(error, Exception):
            with suppress(StorageError):  # where that fails, the lease runs out
                await self._settled_once(self._given_back, Ending.RELEASED)
            return False
        with suppress(ClaimLost):
            await (self.complete() if error is None else self._failed(error))
        return True

    def _is_passed_over(self, error: Exception) -> bool:
        """Whether an error ends here that came after the claim was settled or lost: it is no other ticket's."""
        if _ends_all_work(error):
            return False
        if not (self.is_lost and isinstance(error, ClaimLost)):
            self._tell(error, self._ending)
        return True

    async def _failed(self, error: Exception) -> None:
        self._tell(error, Ending.FAILED)
        await self.fail(_reason(error), retry_in=self._retry.pause(self.attempts))

    def _tell(self, error: Exception, ending: Ending) -> None:
        extra = {"company_id": self.company_id, "platform": self.key.platform, "operation": "fail"}
        logger.warning("work on %s ended with %s (the ticket is %s)", self.key, _reason(error), ending, extra=extra)
        logger.debug("work on %s came to its error so", self.key, exc_info=error, extra=extra)

    def _check_unsettled(self) -> None:
        if self._claimed.claim is None:
            raise UnitOfWorkMisuse(f"the claim on {self.key} was {self._ending} already: settle each claim once; nothing was changed")

    async def _given_back(self) -> Processing:
        given_back = await processing.give_back(self._storage, self.company_id, [self._claimed])
        if not given_back:
            raise ClaimLost([self.key])
        return given_back[0]

    async def _settled(self, settle: Settle, ending: Ending) -> Processing:
        """Settle the claim, tried again for as long as it lives where others hold the store for too long: the work on it was paid for."""
        self._check_unsettled()
        attempts = 0
        while True:
            try:
                return await self._settled_once(settle, ending)
            except StorageBusy:
                await pause(attempts)
                attempts += 1

    async def _settled_once(self, settle: Settle, ending: Ending) -> Processing:
        self._is_settling = True
        try:
            settled = await settle()
        except ClaimLost:
            if self._ending is Ending.HELD:
                self._ending = Ending.LOST
            raise
        finally:
            self._is_settling = False
        self._claimed, self._ending = settled, ending
        return settled


def _ends_all_work(error: BaseException | None) -> bool:
    return isinstance(error, ENDS_ALL_WORK) and not isinstance(error, StorageBusy)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
