"""The hybrid storage: two storages, in which a company's primary takes the writes and its mirror follows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from attrs import astuple, frozen

from deskstore.adapters.hybrid.company import HybridCompany, Memory, Where, other
from deskstore.adapters.hybrid.draining import Drainer
from deskstore.adapters.hybrid.reads import HybridArticles, HybridProgress, HybridSummaries, HybridSuppressions, HybridTickets
from deskstore.adapters.hybrid.replica import HybridReplica
from deskstore.domain import identifiers
from deskstore.domain.changes import Changes, Committed
from deskstore.domain.commits import decide
from deskstore.domain.draining import drain
from deskstore.domain.erasures import Erasure
from deskstore.domain.errors import CompanyErased, CompanyMoved, MigrationError
from deskstore.domain.healing import heal
from deskstore.domain.mirror import MIRROR, CompanyState
from deskstore.domain.ports import BeforeCommit, Buffer, Health, Measured, ServingUnits, Storage, Warming
from deskstore.domain.processing import Processing
from deskstore.domain.sides import Sides
from deskstore.domain.swapping import PATIENCE_S, settle
from deskstore.domain.unit import BufferedUnit

if TYPE_CHECKING:
    from deskstore.adapters.hybrid.inspecting import HybridInspection

logger: Final = logging.getLogger("deskstore")
_LOOK_AGAIN_S: Final = 0.02


@frozen(kw_only=True)
class Lag:
    """How far a mirror is behind its primary."""

    debts: int  #: things it has yet to be given; at most 10,000 are counted
    is_mirror_down: bool  #: whether the last try to reach it failed


class HybridStorage:
    """
    Companies in two storages, either of which may be any company's primary.

    Args:
        near: Used by the processes of one host.
        far: Shared by all hosts; a new company is known there before anything is kept of it.
        prefers_far: Whether a new company lives in the far storage, and reads of the others go there where it is as new as the near one.
        patience_s: After how long a swap that holds the company up is taken for one that was left behind, and ended.
        names: What people call the two.
    """

    MOST_LAG: Final = 10_000  #: things that are counted

    def __init__(
        self,
        near: Storage,
        far: Storage,
        *,
        prefers_far: bool = False,
        patience_s: float = PATIENCE_S,
        names: tuple[str, str] = ("near side", "far side"),
    ) -> None:
        self.near: Final = near
        self.far: Final = far
        self.names: Final[dict[Where, str]] = {"near": names[0], "far": names[1]}
        self._storages: Final[dict[Where, Storage]] = {"near": near, "far": far}
        self._prefers_far: Final = prefers_far
        self._patience_s: Final = patience_s
        self._memory: Final = Memory()
        self._drainer: Final = Drainer(self._visit, self._known)
        self._held_up: Final[dict[str, tuple[int, float]]] = {}
        self.writers: Final = Writers()
        self._warm: Final[dict[Where, int]] = {}  #: for how many writers at once a mirror is ready

    def unit_of_work(self, company_id: str) -> BufferedUnit:
        """A unit of work of one company."""
        backend = self.backend(company_id)
        unit = BufferedUnit(backend)
        backend.serve(unit)
        return unit

    def backend(self, company_id: str) -> HybridBackend:
        """What the company's units of work stand on."""
        return HybridBackend(self, self.company(company_id))

    def replica(self, company_id: str) -> HybridReplica:
        """The company as raw copies, at its primary."""
        return HybridReplica(self.company(company_id))

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        """Take up to n tickets for a worker, at the primary."""
        company = self.company(company_id)

        async def at(where: Where) -> Sequence[Processing]:
            return await self._storages[where].claim(company_id, platform, n, worker=worker, lease=lease)

        taken = await company.write(at, lambda: at(company.birthplace))
        if taken:
            self.note_commit(company_id)
        return taken

    async def companies(self) -> Sequence[str]:
        """Every company that either side knows, ascending."""
        near, far = await asyncio.gather(self.near.companies(), self.far.companies())
        return sorted({*near, *far})

    async def erase(self, company_id: str) -> Erasure | None:
        """
        Remove a company from both sides: first it parts from its mirror, which goes first, so that nothing left over can ever come back.

        Done again it goes on where it was interrupted.
        """
        self._memory.forget(company_id)
        primary = await self.company(company_id).part_from_mirror()
        before = await self._storages[other(primary)].erase(company_id)
        erased = await self._storages[primary].erase(company_id)
        self._memory.forget(company_id)
        return erased or before

    async def erasures(self) -> Sequence[Erasure]:
        """What stays of all companies that were erased, ascending by time: one line of each, however many sides it had."""
        near, far = await asyncio.gather(self.near.erasures(), self.far.erasures())
        found: dict[tuple[str, int], Erasure] = {}
        for one in sorted([*near, *far], key=_amount):  # the primary's last: no mirror holds more
            found[one.company_hash, one.epoch] = one
        return sorted(found.values(), key=lambda one: one.erased_at)

    async def health(self) -> Health:
        """How both sides are doing."""
        near, far = await asyncio.gather(self.near.health(), self.far.health())
        return Health(adapter="hybrid", place=f"{near.place} and {far.place}", companies=len(await self.companies()), cache=far.cache)

    def figures(self) -> dict[str, float]:
        """How far mirrors are behind what was written here, and what both sides tell."""
        sides = [side.figures() for side in (self.near, self.far) if isinstance(side, Measured)]
        return {name: value for one in (*sides, self._drainer.figures()) for name, value in one.items()}

    def inspection(self) -> HybridInspection:
        """A look through both sides, for who looks for damage."""
        from deskstore.adapters.hybrid.inspecting import HybridInspection  # for the doctor alone

        return HybridInspection(self)

    def clock(self) -> datetime:
        """The present moment."""
        return self.near.clock()

    async def aclose(self) -> None:
        """Finish what is under way, and close both sides."""
        await self._drainer.aclose(for_good=True)
        await asyncio.gather(self.near.aclose(), self.far.aclose())

    # -- what only two sides have --------------------------------------------------------------------------------------------------------

    def start_draining(self) -> None:
        """Follow whatever is written, also by others; a process that writes begins with it by itself."""
        self._drainer.start()

    async def stop_draining(self) -> None:
        """Follow nothing any more, until somebody writes."""
        await self._drainer.aclose()

    async def drained(self, company_id: str) -> None:
        """
        Wait until the company's mirror has all that was committed before.

        Raises:
            MigrationError: Something cannot be copied.
            StorageUnavailable: The mirror does not answer.
        """
        company = self.company(company_id)
        while (found := await company.locate()).state is not None and found.primary is not None:
            sides = company.sides(found.primary)
            if found.state.mirror is None or await self._is_drained(company_id, sides):
                return
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def lag(self, company_id: str) -> Lag:
        """How far the company's mirror is behind."""
        debts = await self.replica(company_id).outbox(MIRROR, self.MOST_LAG)
        return Lag(debts=len(debts), is_mirror_down=self._drainer.breaker.is_tripped)

    def note_commit(self, company_id: str) -> None:
        """Have the company's mirror follow soon; does not wait."""
        if self._memory.found(company_id).state is not None:
            self._drainer.wake(company_id)

    def company(self, company_id: str) -> HybridCompany:
        """A company, as each unit of work has one of its own."""
        return HybridCompany(
            identifiers.company_id(company_id),
            self._storages,
            self._memory,
            prefers_far=self._prefers_far,
            patience_s=self._patience_s,
        )

    async def _known(self) -> Collection[str]:
        """The companies that may have a side here: the near storage knows them, or they were used by this process."""
        return sorted({*await self.near.companies(), *self._memory.companies()})

    async def _is_drained(self, company_id: str, sides: Sides) -> bool:
        try:
            drained = await drain(sides)
        except (CompanyMoved, CompanyErased):
            await settle(sides, patience_s=self._patience_s)
            return False
        if drained.refusals:
            first = drained.refusals[0]
            raise MigrationError(f"the mirror of company {company_id!r} cannot be given {' '.join(map(str, first.thing))}: {first.reason}")
        return not await sides.primary.outbox(MIRROR, 1)

    async def _visit(self, company_id: str) -> None:
        """Bring one mirror up to date."""
        company = self.company(company_id)
        found = await company.locate()
        if found.primary is None or found.state is None or found.state.mirror is None:
            return
        sides = company.sides(found.primary)
        if found.is_held_up:
            await self._end_if_left(company_id, found.state, sides)
        elif await sides.primary.outbox(MIRROR, 1):
            await self._drain(company_id, sides)
        if found.has_verified_mirror and not found.is_held_up:
            await self._warm_up(company_id, other(found.primary))

    async def _warm_up(self, company_id: str, where: Where) -> None:
        """Make a mirror that may become the primary at any moment ready for as many writers as there were here at once."""
        storage, most = self._storages[where], self.writers.most
        if most > self._warm.get(where, 0) and isinstance(storage, Warming):
            await storage.warm_up(company_id, most)
            self._warm[where] = most

    async def _drain(self, company_id: str, sides: Sides) -> None:
        try:
            await drain(sides)
        except (CompanyMoved, CompanyErased):
            # the two tell different things of the company: it has moved, or one of them was not told; a swap under way is let be
            await settle(sides, patience_s=None)
            self._drainer.wake(company_id)

    async def _end_if_left(self, company_id: str, state: CompanyState, sides: Sides) -> None:
        """End a swap that was left behind, once whoever is at it has had the time; heal a primary that lost its database at once."""
        if state.swapping_to == state.primary:
            healed = await heal(sides)
            logger.warning(
                "a primary that lost its database took %d things from its mirror and gave it %d; verify before the sides change places",
                healed.pulled,
                healed.pushed,
                extra={"company_id": company_id, "operation": "heal"},
            )
            return
        now_s = asyncio.get_running_loop().time()
        epoch, since_s = self._held_up.get(company_id, (0, now_s))
        if epoch != state.epoch:
            self._held_up[company_id] = (state.epoch, now_s)
        elif now_s - since_s > self._patience_s:
            del self._held_up[company_id]
            await settle(sides)


class Writers:
    """How many tasks of this process write at once."""

    def __init__(self) -> None:
        self._now = 0
        self.most = 0  #: so far

    @contextmanager
    def one_more(self) -> Generator[None]:
        """For as long as one of them does."""
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            yield
        finally:
            self._now -= 1


def _amount(erasure: Erasure) -> tuple[int, datetime]:
    """By how much was removed, and then by when."""
    return sum(astuple(erasure.removed)), erasure.erased_at


class HybridBackend:
    """One company in two storages."""

    def __init__(self, storage: HybridStorage, company: HybridCompany) -> None:
        self._storage: Final = storage
        self._company: Final = company
        self.company_id: Final = company.company_id
        self.tickets: Final = HybridTickets(company)
        self.articles: Final = HybridArticles(company)
        self.summaries: Final = HybridSummaries(company)
        self.progress: Final = HybridProgress(company)
        self.suppressions: Final = HybridSuppressions(company)

    def serve(self, unit: Buffer, /) -> None:
        """Let both sides, of which one may stand behind a cache, know the unit of work that stands on them."""
        for side in self._company.backends.values():
            if isinstance(side, ServingUnits):
                side.serve(unit)

    async def apply(self, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        """Check every guard and keep all changes at the primary, or raise and keep none."""
        asked = before_commit

        async def at(where: Where) -> Committed:
            return await self._company.backends[where].apply(changes, asked)

        async def first() -> Committed | None:
            # whatever would be refused is refused before the company begins, and nothing begins for nothing
            nonlocal asked
            decision = decide(changes, {}, checkpoints={}, floor=0, now=self._storage.clock())
            if asked is not None:
                await asked(changes)
                asked = None
            if not decision.copies:
                return decision.committed
            await self._company.begin()
            return None

        with self._storage.writers.one_more():
            committed = await self._company.write(at, first)
        self._storage.note_commit(self.company_id)
        return committed
