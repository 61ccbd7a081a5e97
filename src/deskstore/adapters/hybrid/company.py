"""One company in two storages: where it lives at this moment, and how to reach it there."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Final, Literal, TypeVar
from weakref import WeakValueDictionary

from attrs import evolve, frozen

from deskstore.domain.beginning import begin
from deskstore.domain.errors import CompanyErased, CompanyMoved, MigrationError, StorageUnavailable
from deskstore.domain.mirror import MIRROR
from deskstore.domain.ports import Backend, Replica, Storage
from deskstore.domain.sides import Sides, Standing, standing
from deskstore.domain.swapping import settle
from deskstore.domain.things import CompanyState, MirrorStatus

T = TypeVar("T")
Where = Literal["near", "far"]
FRESH_S: Final = 1.0  #: how long a writer may go by where the company was found last: the commit itself refuses when that is wrong
_LOOK_AGAIN_S: Final = 0.01
_LOOKS: Final = 20
_MOST_REMEMBERED: Final = 10_000


def other(where: Where) -> Where:
    """The other one of the two."""
    return "far" if where == "near" else "near"


@frozen(kw_only=True)
class Whereabouts:
    """Where a company lives."""

    primary: Where | None  #: None: nobody knows the company
    state: CompanyState | None = None  #: as its primary tells it
    is_held_up: bool = False  #: no commit passes at this moment

    @property
    def has_verified_mirror(self) -> bool:
        """Whether the other side holds the same, but for what it is owed."""
        return self.state is not None and self.state.mirror is not None and self.state.mirror_status is MirrorStatus.VERIFIED


UNKNOWN: Final = Whereabouts(primary=None)


class Memory:
    """Where companies were found last, and the ids of their stores: to ask the right side first, and never to be relied on."""

    def __init__(self) -> None:
        self._found: Final[OrderedDict[str, tuple[Whereabouts, float]]] = OrderedDict()
        self._ids: Final[dict[tuple[str, Where], str]] = {}
        self._turns: Final[WeakValueDictionary[str, asyncio.Lock]] = WeakValueDictionary()

    def found(self, company_id: str) -> Whereabouts:
        """Where a company was found last."""
        return self._found.get(company_id, (UNKNOWN, 0.0))[0]

    def found_just_now(self, company_id: str) -> Whereabouts:
        """The same, if that is not long ago."""
        found, at_s = self._found.get(company_id, (UNKNOWN, 0.0))
        return found if monotonic() - at_s < FRESH_S else UNKNOWN

    def found_since(self, company_id: str, moment_s: float) -> Whereabouts:
        """The same, if that is not longer ago than the moment."""
        found, at_s = self._found.get(company_id, (UNKNOWN, 0.0))
        return found if at_s > moment_s else UNKNOWN

    def turn(self, company_id: str) -> asyncio.Lock:
        """What one of all who look for a company holds, while the others wait for what it finds."""
        return self._turns.setdefault(company_id, asyncio.Lock())

    def note(self, company_id: str, found: Whereabouts) -> None:
        """Remember where a company was found."""
        self._found[company_id] = (found, monotonic())
        self._found.move_to_end(company_id)
        while len(self._found) > _MOST_REMEMBERED:
            gone, _ = self._found.popitem(last=False)
            self._forget_ids(gone)

    def forget(self, company_id: str) -> None:
        """Ask anew."""
        self._found.pop(company_id, None)
        self._forget_ids(company_id)

    def store_id(self, company_id: str, where: Where) -> str | None:
        """The id that the store had."""
        return self._ids.get((company_id, where))

    def note_store_id(self, company_id: str, where: Where, store_id: str) -> None:
        """Remember the id of a store."""
        self._ids[company_id, where] = store_id

    def companies(self) -> list[str]:
        """Those that were found."""
        return list(self._found)

    def _forget_ids(self, company_id: str) -> None:
        for where in ("near", "far"):
            self._ids.pop((company_id, where), None)


class HybridCompany:
    """
    One company as a unit of work of the hybrid storage uses it.

    Args:
        storages: The near one and the far one.
        prefers_far: Whether a new company lives in the far storage, and reads go there as long as it is verified and owed nothing.
        patience_s: How long a writer waits for a swap before it ends it.
    """

    def __init__(self, company_id: str, storages: dict[Where, Storage], memory: Memory, *, prefers_far: bool, patience_s: float) -> None:
        self.company_id: Final = company_id
        self.backends: Final[dict[Where, Backend]] = {where: storage.backend(company_id) for where, storage in storages.items()}
        self.replicas: Final[dict[Where, Replica]] = {where: storage.replica(company_id) for where, storage in storages.items()}
        self.birthplace: Final[Where] = "far" if prefers_far else "near"
        self.memory: Final = memory
        self._prefers_far: Final = prefers_far
        self._patience_s: Final = patience_s
        self._was_seen = False

    def sides(self, primary: Where) -> Sides:
        """Both sides, of which that one is the primary."""
        return Sides(self.company_id, primary=self.replicas[primary], mirror=self.replicas[other(primary)])

    async def locate(self) -> Whereabouts:
        """
        Where the company lives at this moment: what is read there afterwards is as new as all that was committed before.

        Raises:
            CompanyMoved: It lives in a store that is neither of these, or its mirror is in one.
            CompanyErased: It is being erased, or was since this unit of work saw it.
            StorageUnavailable: The side that could tell does not answer.
        """
        for _ in range(_LOOKS):
            if found := await self._look():
                self.memory.note(self.company_id, found)
                self._see(found)
                return found
            await asyncio.sleep(_LOOK_AGAIN_S)
        raise StorageUnavailable(f"where company {self.company_id!r} lives keeps changing: nothing was done, try again")

    async def read(self, look: Callable[[Backend], Awaitable[T]]) -> T:
        """What a look at the company gives."""
        for _ in range(_LOOKS):
            with suppress(CompanyMoved):  # it changed places between the two questions
                return await self._read_at(await self.locate(), look)
        return await self._read_at(await self.locate(), look)

    async def write(self, work: Callable[[Where], Awaitable[T]], unknown: Callable[[], Awaitable[T | None]]) -> T:
        """
        What some work gives at the primary, wherever that is by then; while the company is held up it waits, and then ends the swap.

        Args:
            unknown: What to do where nobody knows the company; what it gives is the answer, unless that is None.
        """
        patient_until = monotonic() + self._patience_s
        found = self.memory.found_just_now(self.company_id)
        while True:
            if found.primary is None:
                found = await self.locate()
            if found.primary is None:
                if (answer := await unknown()) is not None:
                    return answer
                found = await self.locate()
            try:
                return await self._work_at(found, work)
            except CompanyMoved:
                refused_s = monotonic()
                if refused_s > patient_until + self._patience_s:
                    raise
            found = await self._found_again(refused_s, patient_until)

    async def begin(self) -> None:
        """Let the company begin here, known to the far side before anybody is told that something was kept."""
        await begin(self.sides(self.birthplace), first=self.replicas["far"])

    async def part_from_mirror(self) -> Where:
        """Let the company live in its primary alone, so that it can be erased; says where that is, or was likely to be."""
        while True:
            try:
                found = await self.locate()
            except CompanyErased:  # somebody began to erase it, and did not come to the end
                return self.birthplace
            if found.primary is None or found.state is None or found.state.mirror is None:
                return found.primary or self.birthplace
            await self.replicas[other(found.primary)].state()  # while it does not answer they stay together
            alone = evolve(found.state, mirror=None, mirror_status=MirrorStatus.NONE, swapping_to=None, epoch=found.state.epoch + 1)
            if await self.replicas[found.primary].compare_and_set_state(found.state, alone):
                await settle(self.sides(found.primary))  # so that both are erased in one epoch
                return found.primary

    async def _read_at(self, found: Whereabouts, look: Callable[[Backend], Awaitable[T]]) -> T:
        if await self._may_read_far(found):
            with suppress(StorageUnavailable, CompanyMoved):  # the primary is never behind its mirror
                return await look(self.backends["far"])
        return await look(self.backends[found.primary or self.birthplace])

    async def _work_at(self, found: Whereabouts, work: Callable[[Where], Awaitable[T]]) -> T:
        if found.primary is None or found.is_held_up:
            state = found.state
            moving = (state.primary, state.epoch, state.swapping_to) if state else (None, None, None)
            raise CompanyMoved(self.company_id, primary=moving[0], epoch=moving[1], swapping_to=moving[2])
        result = await work(found.primary)
        self._was_seen = True
        return result

    async def _found_again(self, refused_s: float, patient_until: float) -> Whereabouts:
        """Where the company lives now that it was not where it was looked for; one writer looks, and the others go by what it found."""
        async with self.memory.turn(self.company_id):
            found = self.memory.found_since(self.company_id, refused_s)
            if found.primary is None or found.is_held_up:
                found = await self._after_a_while(patient_until)
        await asyncio.sleep(0)  # others have to get on, so that it ends
        return found

    async def _after_a_while(self, patient_until: float) -> Whereabouts:
        """Where the company lives once nothing holds it up any more, or nobody's patience lasts."""
        found = await self.locate()
        while found.is_held_up and found.primary is not None and monotonic() < patient_until + self._patience_s:
            if monotonic() > patient_until:
                await settle(self.sides(found.primary))
            await asyncio.sleep(_LOOK_AGAIN_S)
            found = await self.locate()
        return found

    async def _may_read_far(self, found: Whereabouts) -> bool:
        if not self._prefers_far or found.primary != "near" or found.is_held_up or not found.has_verified_mirror:
            return False
        return not await self.replicas["near"].outbox(MIRROR, 1)

    def _see(self, found: Whereabouts) -> None:
        if found.state is not None and found.state.erased:
            raise CompanyErased(self.company_id)
        if found.primary is None and self._was_seen:
            raise CompanyErased(self.company_id)
        self._was_seen = found.primary is not None

    async def _look(self) -> Whereabouts | None:
        """Where the company lives; None when it was on its way while one side after the other was asked."""
        first = self.memory.found(self.company_id).primary or "near"
        one = await self._ask(first)
        if isinstance(one, Standing) and one.is_primary:
            return await self._found(first, one)
        another = await self._ask(other(first))
        if isinstance(another, Standing) and another.is_primary:
            return await self._found(other(first), another)
        for answer in (one, another):
            if isinstance(answer, StorageUnavailable):
                raise answer
        if isinstance(one, Standing) and isinstance(another, Standing):
            return await self._found_nowhere({first: one, other(first): another})
        return None

    async def _ask(self, where: Where) -> Standing | StorageUnavailable:
        try:
            return await self._standing(where)
        except StorageUnavailable as error:
            return error

    async def _standing(self, where: Where) -> Standing:
        replica = self.replicas[where]
        state = await replica.state()
        if state is None:
            return Standing(replica=replica, store_id="", state=None)  # not asked for its id: it would be given a place
        store_id = self.memory.store_id(self.company_id, where)
        if store_id is None or store_id not in (state.primary, state.mirror):
            store_id = await replica.store_id()
            self.memory.note_store_id(self.company_id, where, store_id)
        return Standing(replica=replica, store_id=store_id, state=state)

    async def _found(self, where: Where, side: Standing) -> Whereabouts:
        if side.state != self.memory.found(self.company_id).state:
            await self._check_other_side(where, side)
        return Whereabouts(primary=where, state=side.state)

    async def _check_other_side(self, where: Where, side: Standing) -> None:
        """Raise when the other storage is not the one that the company's state is about, or holds another company of the name."""
        state = side.state
        asked = await self._ask(other(where)) if state is not None and state.mirror is None else None
        if isinstance(asked, Standing) and asked.is_primary:
            raise MigrationError(
                f"company {self.company_id!r} is in the store {side.store_id} and, as another one, in the store {asked.store_id}: "
                "erase one of them there, or name the one to keep with `deskstore migrate start --replace-target`"
            )
        if state is not None and state.mirror is not None:
            try:
                store_id = await self.replicas[other(where)].store_id()
            except StorageUnavailable:
                return  # the primary does without; whoever copies to the mirror looks again
            if store_id != state.mirror:
                raise self._belongs_elsewhere(state, store_id)

    async def _found_nowhere(self, standings: dict[Where, Standing]) -> Whereabouts | None:
        """What to make of two sides, neither of which takes writes."""
        known: list[tuple[Where, Standing]] = [(where, side) for where, side in standings.items() if side.state is not None]
        if not known:
            return UNKNOWN
        for where, side in known:
            if side.state is not None and side.state.erased:
                raise CompanyErased(self.company_id)
            if side.is_held_up:
                return await self._found_held_up(where, side, standings[other(where)])
        return await self._found_by_one(*known[0], standings[other(known[0][0])])

    async def _found_held_up(self, where: Where, side: Standing, decides: Standing) -> Whereabouts | None:
        if decides.state is not None and side.state is not None and decides.state.epoch > side.state.epoch:
            await settle(self.sides(where))
            return None
        return Whereabouts(primary=where, state=side.state, is_held_up=True)

    async def _found_by_one(self, where: Where, side: Standing, asked: Standing) -> Whereabouts | None:
        """One side tells of another primary: of the other one here, which does not know it yet, or of a stranger."""
        there = asked if asked.state is not None else await standing(self.replicas[other(where)])
        state = side.state
        if state is None or state.primary != there.store_id:
            raise self._belongs_elsewhere(state, there.store_id)
        await settle(self.sides(where), patience_s=self._patience_s)
        return None

    def _belongs_elsewhere(self, state: CompanyState | None, store_id: str) -> CompanyMoved:
        return CompanyMoved(self.company_id, primary=state.primary if state else None, epoch=state.epoch if state else None)
