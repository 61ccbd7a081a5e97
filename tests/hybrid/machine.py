"""
Any steps in several companies that move between two storages meanwhile, against a model made of plain dictionaries.

The steps of the storage itself, and the model, are those of deskstore.testing.machine: whatever happens to the sides, the company must be
what the model says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from copy import deepcopy
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Final, cast

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_steps  # pyright: ignore[reportUnknownVariableType] - untyped there

from deskstore.adapters.hybrid import HybridStorage
from deskstore.domain.comparing import CURSOR, Depth, compare
from deskstore.domain.draining import drain
from deskstore.domain.errors import StorageError
from deskstore.domain.filling import Batch
from deskstore.domain.mirror import Copy
from deskstore.domain.ports import Storage
from deskstore.domain.sides import Sides
from deskstore.domain.swapping import Step, settle, swap
from deskstore.services.backup import create_backup, restore_backup
from deskstore.services.migrating import cut_over, finish_migration, migration_status, roll_back, start_migration, verify_migration
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.machine import COMPANIES, DeskMachine
from deskstore.testing.model import Model
from tests.hybrid.pairs import Deaths, Killed, MortalReplica, MortalStorage, everything_in
from tests.hybrid.switches import Switch

_A_COMPANY: Final = st.sampled_from([0, 0, 0, 1, 2])
_COMMANDS: Final = st.sampled_from(["verify", "start", "start back", "finish"])
_STEPS: Final = st.sampled_from(["drain", "fence", "drain the rest", "flip", "mark"])
OpenSides = Callable[[ManualClock], tuple[Storage, Storage]]


class MigrationMachine(DeskMachine):
    """The desk's own steps, those of a migration, processes that end anywhere, and a mirror that goes down."""

    open_sides: ClassVar[OpenSides]
    prefers_far: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[HybridStorage] = []
        self.backups: list[tuple[int, Path, Model]] = []
        self._folder = TemporaryDirectory(prefix="deskstore-machine-")
        self._numbers = count()

    def teardown(self) -> None:
        with self._folder:
            super().teardown()

    async def _opened(self) -> Storage:
        near, far = type(self).open_sides(self.clock)
        self.near, self.far = Switch(near), Switch(far)
        self.processes = [HybridStorage(self.near, self.far, prefers_far=type(self).prefers_far, patience_s=0.05) for _ in range(2)]
        for process in self.processes:
            process.start_draining()
        return self.processes[0]

    async def _closed(self) -> None:
        self._switch_on()
        try:
            for model in self.models:
                await self._sides_agree(model.desk.company_id)
        finally:
            for process in self.processes[1:]:
                await process.stop_draining()
            await super()._closed()

    async def _sides_agree(self, company_id: str) -> None:
        """Bring a mirror up to date, and see that it holds what its primary holds, by a look of our own at both."""
        found = await self._settled(company_id)
        if found is None:
            return
        drained = await drain(found)
        assert drained.refusals == ()
        if await self._is_filled(company_id):
            near, far = [await self._copies(storage, company_id) for storage in (self.near, self.far)]
            assert near == far
            assert (await compare(found, depth=Depth.CONTENT)).differences == []

    async def _copies(self, storage: Storage, company_id: str) -> list[Copy]:
        return [copy for copy in await everything_in(Desk(storage, company_id)) if copy.thing != CURSOR]

    async def _is_filled(self, company_id: str) -> bool:
        status = await migration_status(self.near, self.far, company_id)
        return status.is_filled or status.mirror == "verified"

    async def _settled(self, company_id: str) -> Sides | None:
        """The sides of a company that has a mirror, once they agree."""
        near = Sides(company_id, primary=self.near.replica(company_id), mirror=self.far.replica(company_id))
        state = await settle(near)
        if state is None or state.mirror is None:
            return None
        return near if state.primary == await near.primary.store_id() else near.reversed()

    def _switch_on(self) -> None:
        self.near.is_off = self.far.is_off = False

    def _company(self, company: int) -> str:
        return self.models[company].desk.company_id

    # -- steps of a migration ----------------------------------------------------------------------------------------------------------

    @rule(company=_A_COMPANY, process=st.integers(0, 1))
    def go_on_in_another_process(self, company: int, process: int) -> None:
        self.models[company].desk = Desk(self.processes[process], self._company(company))

    @rule(company=_A_COMPANY, killed_at=st.sampled_from([None, None, 1, 2, 3]))
    def start(self, company: int, killed_at: int | None) -> None:
        self._switch_on()
        batches: list[Batch] = []

        async def pace(batch: Batch) -> None:
            batches.append(batch)
            if len(batches) == killed_at:
                raise Killed

        self.run(self._settled(self._company(company)))  # else it waits for a swap that nobody is at
        with suppress(StorageError, Killed):
            status = self.run(migration_status(self.near, self.far, self._company(company)))
            source, target = (self.far, self.near) if status.lives_in == "target" else (self.near, self.far)
            self.run(start_migration(source, target, self._company(company), replace_target=True, pace=pace))

    @rule(company=_A_COMPANY)
    def verify(self, company: int) -> None:
        self._switch_on()
        self.run(self._settled(self._company(company)))
        if self.run(self._is_filled(self._company(company))):
            report = self.run(verify_migration(self.near, self.far, self._company(company)))
            assert report.is_verified, report.differences

    @rule(company=_A_COMPANY, to=st.sampled_from(["far", "near"]))
    def swap_sides(self, company: int, to: str) -> None:
        self._switch_on()
        self.run(self._settled(self._company(company)))
        with suppress(StorageError):
            self.run((cut_over if to == "far" else roll_back)(self.near, self.far, self._company(company)))

    @rule(company=_A_COMPANY, step=_STEPS)
    def end_in_the_middle_of_a_swap(self, company: int, step: Step) -> None:
        self._switch_on()

        async def reached(at: Step) -> None:
            if at == step:
                raise Killed

        with suppress(StorageError, Killed):
            self.run(self._swap(company, reached))

    @rule(company=_A_COMPANY, work=st.sampled_from([drain, swap, swap]), call=st.integers(1, 30), after=st.booleans())
    def end_at_any_call_of_a_drain_or_a_swap(
        self, company: int, work: Callable[[Sides], Awaitable[object]], call: int, after: bool
    ) -> None:
        self._switch_on()
        deaths = Deaths(call, after=after)

        async def end() -> None:
            if (sides := await self._settled(self._company(company))) is not None:
                primary, mirror = (MortalReplica(replica, deaths) for replica in (sides.primary, sides.mirror))
                await work(Sides(sides.company_id, primary=primary, mirror=mirror))

        with suppress(StorageError, Killed):
            self.run(end())

    @rule(company=_A_COMPANY, what=_COMMANDS, call=st.integers(1, 40), after=st.booleans())
    def end_at_any_call_of_a_command(self, company: int, what: str, call: int, after: bool) -> None:
        self._switch_on()
        self.run(self._settled(self._company(company)))
        deaths = Deaths(call, after=after)
        source, target = MortalStorage(self.near, deaths), MortalStorage(self.far, deaths)
        with suppress(StorageError, Killed):
            self.run(_command(what, source, target, self._company(company)))

    async def _swap(self, company: int, reached: Callable[[Step], Any]) -> None:  # Any: a coroutine that gives nothing
        if (sides := await self._settled(self._company(company))) is not None:
            await swap(sides, reached=reached)

    @rule(company=_A_COMPANY, delete=st.booleans(), really=st.sampled_from([False, False, True]))
    def finish(self, company: int, delete: bool, really: bool) -> None:
        self._switch_on()
        if really:
            self.run(self._settled(self._company(company)))
            with suppress(StorageError):
                self.run(finish_migration(self.near, self.far, self._company(company), delete=delete))

    @rule(company=_A_COMPANY)
    def sides_agree(self, company: int) -> None:
        self._switch_on()
        self.run(self._sides_agree(self._company(company)))

    # -- backups -----------------------------------------------------------------------------------------------------------------------

    @rule(company=_A_COMPANY)
    def back_up(self, company: int) -> None:
        self._switch_on()
        model, path = self.models[company], self._a_file()
        with suppress(StorageError):  # it is moving, or there is none
            self.run(create_backup(model.desk.storage, model.desk.company_id, path))
            self.backups.append((company, path, Model(model.desk, deepcopy(model.kept), cursor=model.cursor)))

    @precondition(lambda self: bool(self.backups))
    @rule(data=st.data(), really=st.sampled_from([False, True]))
    def restore(self, data: st.DataObject, really: bool) -> None:
        company, path, before = data.draw(st.sampled_from(self.backups))
        if not really:
            return
        self._switch_on()
        self.run(self._settled(self._company(company)))
        desk = self.models[company].desk
        self.run(restore_backup(desk.storage, desk.company_id, path, mode="replace", keep=self._a_file()))
        newest = {key: one.version for key, one in before.kept.items()}
        self.models[company] = Model(desk, deepcopy(before.kept), newest, before.cursor)
        self.claims = [(self.models[company] if model.desk.company_id == desk.company_id else model, one) for model, one in self.claims]
        self.agree(company)

    def _a_file(self) -> Path:
        return Path(self._folder.name) / f"{next(self._numbers)}.tar"

    # -- sides that are not there ------------------------------------------------------------------------------------------------------

    @rule(side=st.sampled_from(["near", "far"]))
    def switch_off(self, side: str) -> None:
        self._switch_on()
        if self.run(self._is_nobodys_primary(side)):
            (self.near if side == "near" else self.far).is_off = True

    async def _is_nobodys_primary(self, side: str) -> bool:
        for company in range(COMPANIES):
            status = await migration_status(self.near, self.far, self._company(company))
            if status.lives_in != ("target" if side == "near" else "source") or status.is_held_up:
                return False
            for process in self.processes:  # who has found it once asks the other side no more
                await process.company(self._company(company)).locate()
        return True

    @rule()
    def switch_on(self) -> None:
        self._switch_on()

    @rule(company=_A_COMPANY, really=st.sampled_from([False] * 9 + [True]))
    def erase(self, company: int, really: bool) -> None:
        self._switch_on()
        if really:
            cast("Any", DeskMachine.erase).__wrapped__(self, company, really)  # Any: the rule hides the step it was made of


async def _command(what: str, source: Storage, target: Storage, company_id: str) -> None:
    match what:
        case "verify":
            await verify_migration(source, target, company_id)
        case "start":
            await start_migration(source, target, company_id)
        case "start back":
            await start_migration(target, source, company_id)
        case _:
            await finish_migration(source, target, company_id)


def take_any_steps_between(open_sides: OpenSides, *, prefers_far: bool = False, share: int = 5, few: bool = False) -> None:
    """
    Take any steps, and raise where the companies are not what the model says, or a mirror not what its primary is.

    Args:
        open_sides: Gives the near and the far storage.
        prefers_far: As HybridStorage takes it.
        share: What part of the examples that Hypothesis is set to are taken.
        few: The same few steps each time, for what is known to be broken.
    """
    members = {"open_sides": staticmethod(open_sides), "prefers_far": prefers_far}
    machine = type("Steps", (MigrationMachine,), members)
    asked = cast("Any", settings()).max_examples  # Any: Hypothesis leaves the type of its numbers open
    bounds = settings(
        max_examples=200 if few else max(3, asked // share),
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    if few:
        bounds = settings(bounds, derandomize=True, database=None, phases=[Phase.generate])
    run_steps(machine, settings=bounds)
