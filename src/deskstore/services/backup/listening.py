"""Listening to what changes while a backup is taken: a consumer of the outbox, under a name of its own."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from attrs import evolve, frozen

from deskstore.domain import identifiers
from deskstore.domain.errors import BackupError, CompanyErased, CompanyMoved, CorruptRecord, StorageError
from deskstore.domain.mirror import Copy, Debt
from deskstore.domain.ports import Replica, Storage
from deskstore.domain.things import CompanyState
from deskstore.services.backup.losses import Losses

logger: Final = logging.getLogger("deskstore")
LOT: Final = 500  #: things at once
LONGEST: Final = timedelta(hours=12)  #: that a backup may take; one that began earlier was killed
_STAMP: Final = "%Y-%m-%dT%H:%M:%SZ"
_TRIES: Final = 100


@frozen(kw_only=True)
class RunningBackup:
    """A backup that is being taken, or was killed: nobody can tell from elsewhere."""

    name: str  #: under which changes are noted for it
    began_at: datetime | None  #: None: another release named it


class Lot(NamedTuple):
    """Some of what changed."""

    copies: Sequence[Copy]
    is_all: bool  #: with these the backup holds the company as it is


class Listener:
    """Is told of every change since it was registered."""

    def __init__(self, replica: Replica, company_id: str, name: str, state: CompanyState, losses: Losses) -> None:
        self._replica: Final = replica
        self._company_id: Final = company_id
        self._name: Final = name
        self._state: Final = state
        self._losses: Final = losses

    async def some(self) -> Lot:
        """
        Some of what changed and was not told yet; all of it, as of one moment, once little is left.

        Raises:
            BackupError, CompanyMoved, CompanyErased: The company is not what it was when the backup began.
        """
        debts = await self._replica.outbox(self._name, LOT)
        try:
            if len(debts) < LOT:
                owed = await self._replica.owed(self._name, LOT)
                self._check(owed.state)
                return Lot(owed.copies, owed.is_all)
            return Lot(await self._replica.read([debt.thing for debt in debts]), is_all=False)
        except CorruptRecord:
            return Lot(await self._sound(debts), is_all=False)

    async def forget(self, copies: Sequence[Copy]) -> None:
        """Be told no more of what was written down."""
        told = [Debt(copy.thing, copy.version) for copy in copies]
        await self._replica.acknowledge(self._name, told, epoch=self._state.epoch)

    async def _sound(self, debts: Sequence[Debt]) -> list[Copy]:
        """Those of the things that can be trusted; of the others nothing more is to be told."""
        found: list[Copy] = []
        for debt in debts:
            try:
                found += await self._replica.read([debt.thing])
            except CorruptRecord as error:
                self._losses.note(error, debt.thing)
                await self._replica.acknowledge(self._name, [debt], epoch=self._state.epoch)
        return found

    def _check(self, state: CompanyState | None) -> None:
        if state is None or state.erased:
            raise CompanyErased(self._company_id)
        if state.primary != self._state.primary or state.epoch != self._state.epoch:
            raise CompanyMoved(
                self._company_id, primary=state.primary, epoch=state.epoch, swapping_to=state.swapping_to, expected_epoch=self._state.epoch
            )
        if self._name not in state.backups:
            raise BackupError(
                f"the backup of company {self._company_id!r} took longer than {LONGEST}, or somebody said that it was killed: "
                "nothing was kept; take it anew"
            )


async def living_here(replica: Replica, company_id: str) -> CompanyState:
    """
    The state of a company that can be backed up from this store: the one that takes its writes.

    Raises:
        BackupError: The store does not know the company.
        CompanyMoved: It lives elsewhere, is on its way, or is being restored.
    """
    state = await replica.state()
    if state is None or state.erased:
        raise BackupError(f"no company {company_id!r} is kept here: there is nothing to back up (deskstore company list)")
    if state.primary != await replica.store_id() or state.swapping_to is not None:
        raise CompanyMoved(company_id, primary=state.primary, epoch=state.epoch, swapping_to=state.swapping_to)
    return state


async def running_backups(storage: Storage, company_id: str) -> Sequence[RunningBackup]:
    """The backups of a company that have begun and not ended, ascending; as long as there is one, commits note what they change for it."""
    state = await storage.replica(company_id).state()
    return [RunningBackup(name=name, began_at=_began_at(name)) for name in (state.backups if state else ())]


async def forget_backups(storage: Storage, company_id: str) -> Sequence[RunningBackup]:
    """
    Let a company note nothing more for backups that were killed, and say which those are; one that still runs fails, and keeps nothing.

    Raises:
        BackupError: The company keeps changing its state.
        CompanyMoved: It lives elsewhere.
    """
    named = identifiers.company_id(company_id)
    replica = storage.replica(named)
    for _ in range(_TRIES):
        state = await living_here(replica, named)
        found = await running_backups(storage, named)
        if not found or await replica.compare_and_set_state(state, evolve(state, backups=())):
            return found
    raise BackupError(f"company {named!r} keeps changing its state: nothing was done, try again")


@asynccontextmanager
async def listening(replica: Replica, company_id: str, losses: Losses, now: datetime) -> AsyncGenerator[Listener]:
    """Be told of every change from here to the end of the block; what killed backups left registered is cleared away."""
    name = f"backup {now.strftime(_STAMP)} {secrets.token_hex(4)}"
    state = await _registered(replica, company_id, name, now)
    try:
        yield Listener(replica, company_id, name, state, losses)
    finally:
        await _unregister(replica, company_id, name)


async def _registered(replica: Replica, company_id: str, name: str, now: datetime) -> CompanyState:
    for _ in range(_TRIES):
        state = await living_here(replica, company_id)
        wanted = evolve(state, backups=(name, *(one for one in state.backups if not _is_over(one, now))))
        if await replica.compare_and_set_state(state, wanted):
            return wanted
    raise BackupError(f"company {company_id!r} keeps changing its state: nothing was done, try again")


async def _unregister(replica: Replica, company_id: str, name: str) -> None:
    try:
        for _ in range(_TRIES):
            state = await replica.state()
            if state is None or state.erased or name not in state.backups:
                return
            if await replica.compare_and_set_state(state, evolve(state, backups=tuple(one for one in state.backups if one != name))):
                return
    except StorageError as error:
        logger.warning(
            "a backup is over and could not say so: what changes is noted for it until another backup begins in %s (%s)",
            LONGEST,
            type(error).__name__,
            extra={"company_id": company_id, "operation": "backup"},
        )


def _is_over(name: str, now: datetime) -> bool:
    """Whether a backup of that name must have been killed."""
    began_at = _began_at(name)
    return began_at is not None and began_at + LONGEST < now


def _began_at(name: str) -> datetime | None:
    with suppress(ValueError, IndexError):
        return datetime.strptime(f"{name.split()[1]}+0000", f"{_STAMP}%z")
    return None
