"""
Exchanging the primary of a company and its mirror, and bringing two stores to agree after whatever went wrong.

A swap is a row of durable steps, each of which anybody may find done and the next one not:

1. drain       the mirror gets what it is owed, until little is left
2. fence       the primary's state says `swapping_to`, one epoch on: from here no commit passes, in any process
3. drain       the mirror gets the rest, each thing read back and compared
4. flip        the mirror's state says that it is the primary, two epochs on: this is the commit point
5. mark        the old primary's state says so too

Between 2 and 4 the mirror's state decides, since whoever wants to end the swap has to change it first, in one atomic step: to the flipped
state, or to that of a swap given up. Both are of the same epoch, so only one of them is ever found there, and a swap that was given up
cannot flip any more, however late it wakes up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, Literal

from attrs import evolve, frozen

from deskstore.domain.draining import BATCH, Drained, drain, drain_within
from deskstore.domain.errors import MigrationError, StorageBusy, StorageError
from deskstore.domain.mirror import MIRROR
from deskstore.domain.ports import Replica
from deskstore.domain.sides import Sides, Standing
from deskstore.domain.things import CompanyState, MirrorStatus

Step = Literal["drain", "fence", "drain the rest", "flip", "mark"]
Reached = Callable[[Step], Awaitable[None]]
FEW: Final = 1_000  #: debts that may be left when the company is fenced
HARDLY_ANY: Final = 40  #: that are left where the mirror can keep up: each of them is copied while writers wait
FENCED_S: Final = 4.0  #: how long it may be: writers wait a little longer before they give the swap up
_ROUNDS: Final = 100
_FINE_ROUNDS: Final = 10  #: in which it may come down to hardly any
_LOOKS: Final = 20
_LOOK_AGAIN_S: Final = 0.02
PATIENCE_S: Final = 5.0  #: after which a swap that holds a company up was left behind: longer than one that is under way takes


async def _unseen(step: Step) -> None:
    """Nobody is told of the step."""


@frozen(kw_only=True)
class _Change:
    """One step towards agreement: the store that is to take another state."""

    replica: Replica
    expected: CompanyState | None
    wanted: CompanyState
    gives_up: bool = False  #: a swap that may still be under way


async def swap(sides: Sides, *, reached: Reached = _unseen, fenced_s: float = FENCED_S) -> CompanyState:
    """
    Make the mirror the primary, and the primary its mirror, without losing or repeating a commit; says where the company lives then.

    Args:
        reached: Awaited before each step.
        fenced_s: How long writers may be held up; a swap that takes longer is given up, and changed nothing.

    Raises:
        MigrationError: The mirror is not verified, or cannot take something; both sides are as before.
        StorageUnavailable: One side does not answer. The swap is given up or, after its commit point, done, by whoever comes next.
    """
    state, followed = await _ready(sides)
    await reached("drain")
    await _drain_most(sides)
    mirror_id = await sides.mirror.store_id()
    await reached("fence")
    fenced = evolve(state, swapping_to=mirror_id, epoch=state.epoch + 1)
    if not await sides.primary.compare_and_set_state(state, fenced):
        raise StorageBusy(f"company {sides.company_id!r} changed its state meanwhile: nothing was done, try again")
    try:
        async with asyncio.timeout(fenced_s):
            await reached("drain the rest")
            rest = await drain_within(sides, fenced.epoch, followed.epoch, at_once=BATCH)
            _check_drained(sides, rest, bool(await sides.primary.outbox(MIRROR, 1)))
            await reached("flip")
            was_flipped = await sides.mirror.compare_and_set_state(followed, flipped(fenced))
    except (StorageError, TimeoutError) as error:
        return await _ended(sides, mirror_id, error)
    await reached("mark")
    if was_flipped and await sides.primary.compare_and_set_state(fenced, flipped(fenced)):
        return flipped(fenced)
    return await _ended(sides, mirror_id, None)


def flipped(fenced: CompanyState) -> CompanyState:
    """The state at the commit point of a swap."""
    return evolve(fenced, primary=str(fenced.swapping_to), mirror=fenced.primary, swapping_to=None, epoch=fenced.epoch + 1)


def given_up(fenced: CompanyState, followed: CompanyState) -> CompanyState:
    """
    The state after a swap that did not come to its commit point, of what the primary and the mirror told.

    A swap begins only with a verified mirror. Whichever side tells of another one has lost its database since: if that was the primary, it
    stays held up until it has asked the mirror.
    """
    held_up_by = None if fenced.mirror_status is MirrorStatus.VERIFIED else fenced.primary
    status = fenced.mirror_status if held_up_by else followed.mirror_status
    return evolve(fenced, swapping_to=held_up_by, mirror_status=status, epoch=fenced.epoch + 1)


async def settle(sides: Sides, *, patience_s: float | None = 0.0) -> CompanyState | None:
    """
    Bring both stores to agree where the company lives, and say where: None when neither knows it. It does not matter which is which.

    A swap that somebody left behind is finished if it came to its commit point, else given up. Where the stores tell different states,
    that of the later epoch is right, and of one epoch what the primary tells. It may run any number of times at once.

    Args:
        patience_s: How long a swap that may be under way is left alone before it is given up; None: for ever.

    Raises:
        MigrationError: They hold two companies of one name, or one of them lost the company.
        StorageUnavailable: One of them does not answer.
    """
    patient_until = monotonic() + (patience_s or 0.0)
    looks = 0
    while looks < _LOOKS:
        one, other = await sides.standings()
        change = _next_change(sides.company_id, one, other)
        if change is None or (change.gives_up and patience_s is None):
            return max((one, other), key=_authority).state
        if change.gives_up and monotonic() < patient_until:
            await asyncio.sleep(_LOOK_AGAIN_S)
            continue
        looks += 1
        await change.replica.compare_and_set_state(change.expected, change.wanted)
    raise StorageBusy(f"company {sides.company_id!r} keeps changing its state: nothing was done, try again")


def _next_change(company_id: str, one: Standing, other: Standing) -> _Change | None:
    """What brings the two a step nearer; None when they agree."""
    for fenced, decides in ((one, other), (other, one)):
        if fenced.state is not None and fenced.is_held_up and fenced.state.swapping_to == decides.store_id:
            return _end_of_swap(company_id, fenced, fenced.state, decides)
    if one.state == other.state:
        return None
    older, newer = sorted((one, other), key=_authority)
    if older.state is None and newer.state is not None and older.store_id not in (newer.state.primary, newer.state.mirror):
        return None  # it has nothing to do with the company
    adopted = _adopted(company_id, older, newer)
    if older.state is not None and older.state.epoch == adopted.epoch:
        if adopted.is_restored:
            return None  # it counts on its epoch, and ends as the other one tells
        return _Change(replica=newer.replica, expected=adopted, wanted=evolve(adopted, epoch=adopted.epoch + 1))
    return _Change(replica=older.replica, expected=older.state, wanted=adopted)


def _end_of_swap(company_id: str, fenced: Standing, state: CompanyState, decides: Standing) -> _Change:
    if decides.state is None or decides.state.erased:
        raise MigrationError(
            f"company {company_id!r} was on its way to the store {decides.store_id}, which does not know it any more: "
            "restore that store, or erase the company on both sides"
        )
    if decides.state.epoch > state.epoch:
        return _Change(replica=fenced.replica, expected=state, wanted=_after_loss(state, decides.state))
    return _Change(replica=decides.replica, expected=decides.state, wanted=given_up(state, decides.state), gives_up=True)


def _after_loss(fenced: CompanyState, decided: CompanyState) -> CompanyState:
    """What was decided, unless the fenced store has lost its database since: then it holds less than its state says."""
    if fenced.mirror_status is MirrorStatus.VERIFIED or decided.mirror_status is not MirrorStatus.VERIFIED:
        return decided
    return evolve(decided, mirror_status=MirrorStatus.FILLING, epoch=decided.epoch + 1)


def _authority(side: Standing) -> tuple[int, bool]:
    """By what a store's word counts: the epoch, and with equal ones whether it takes the writes."""
    state = side.state
    return (0, False) if state is None else (state.epoch, state.primary == side.store_id)


def _adopted(company_id: str, older: Standing, newer: Standing) -> CompanyState:
    """The state of the newer store, fit for the older one; raises MigrationError when it was never about that one."""
    state = newer.state
    if state is None:
        raise ValueError("a store that does not know the company is never the newer one")
    concerns = older.store_id in (state.primary, state.mirror)
    was_there = older.state is not None and newer.store_id in (older.state.primary, older.state.mirror)
    are_both_primary = older.is_primary and newer.is_primary and older.state is not None and older.state.epoch == state.epoch
    if state.erased or are_both_primary or not (concerns or was_there):
        raise MigrationError(
            f"company {company_id!r} is in the store {newer.store_id} and, as another one, in the store {older.store_id}: "
            "erase one of them there, or name the one to keep with `deskstore migrate start --replace-target`"
        )
    return state


async def _ready(sides: Sides) -> tuple[CompanyState, CompanyState]:
    """The states of both, which agree that the company can be swapped."""
    await settle(sides, patience_s=PATIENCE_S)
    state, followed = await sides.checked()
    if state.is_restored:
        raise StorageBusy(f"a backup is being restored into company {sides.company_id!r}: wait until it is whole; nothing was changed")
    if state.swapping_to is not None:
        raise MigrationError(f"company {sides.company_id!r} is held up: run `deskstore migrate repair` first; nothing was changed")
    if state.mirror_status is not MirrorStatus.VERIFIED:
        raise MigrationError(
            f"the mirror of company {sides.company_id!r} is {state.mirror_status}, not verified: "
            "run `deskstore migrate verify` first; nothing was changed"
        )
    if state.backups:
        raise StorageBusy(
            f"a backup of company {sides.company_id!r} is under way: wait until it is done, or run `deskstore backup forget` "
            "if it was killed; nothing was changed"
        )
    return state, followed


async def _drain_most(sides: Sides) -> None:
    for number in range(_ROUNDS):
        drained = await drain(sides)
        left = len(await sides.primary.outbox(MIRROR, FEW))
        _check_drained(sides, drained, is_left=False)
        if left < (HARDLY_ANY if number < _FINE_ROUNDS else FEW):
            return
    raise StorageBusy(f"company {sides.company_id!r} is written faster than its mirror follows: try again when less is written")


def _check_drained(sides: Sides, drained: Drained, is_left: bool) -> None:
    if drained.refusals:
        first = drained.refusals[0]
        raise MigrationError(
            f"{len(drained.refusals)} things of company {sides.company_id!r} cannot be copied to the mirror; the first is "
            f"{' '.join(map(str, first.thing))}: {first.reason}. Run `deskstore migrate verify`; the primary is as it was"
        )
    if is_left:
        raise StorageBusy(f"the mirror of company {sides.company_id!r} is still owed something; the swap is given up, try again")


async def _ended(sides: Sides, mirror_id: str, error: BaseException | None) -> CompanyState:
    """Where the company lives after a swap; raises what stopped it, if it did not come to its commit point."""
    state = await settle(sides)
    if state is not None and state.primary == mirror_id:
        return state
    if isinstance(error, StorageError):
        raise error
    raise StorageBusy(f"the swap of company {sides.company_id!r} took too long and was given up: nothing was changed, try again") from error
