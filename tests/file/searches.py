"""How a mutant of the file adapter is found out: each search says what is wrong with an adapter, or None."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, aclosing
from errno import EIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from deskstore.domain import times
from deskstore.domain.errors import CorruptRecord
from deskstore.domain.identifiers import ticket_key
from deskstore.domain.ports import Storage
from tests.crash import SYNCING, Fail, State, WorkloadBroken, fail_sweep, kill_sweep, materialise, states, trace
from tests.crash.interpreter import single_threaded
from tests.crash.judging import judged
from tests.file.faults import StopAtRefusal, synced_again
from tests.file.workload import HOT, PLATFORM, Adapter, Plan, Verdict, Work, save

PLAN: Final = Plan(units=4, companies=("acme",))
_RACES: Final = 24  #: each finds the mutant in three of four runs
_MOST: Final = 150  #: states that are judged before a mutant counts as not found


def found_by_power_cuts(mutant: Adapter, seed: int, *, every: int = 13) -> str | None:
    """What the judge says about the first state that a power cut should never leave."""
    return single_threaded(_first_wrong_state, mutant, seed, every)


def _first_wrong_state(mutant: Adapter, seed: int, every: int) -> str | None:
    judge = Verdict(plan=PLAN, adapter=mutant, files_alone=False)
    with TemporaryDirectory() as folder:
        run = trace(Work(plan=PLAN, adapter=mutant), Path(folder), data=True)
        said = run.error or judged(judge, Path(folder), run.acked, 0, deadline_s=60.0)
    if said is not None:
        return f"without any fault: {said}"
    moments = list(states(run, mode="strict", every=every, seed=seed, singles=2, randoms=1))
    random.Random(seed).shuffle(moments)
    return next((f"{state.what} after {state.at}: {said}" for state in moments[:_MOST] if (said := _judged(judge, state))), None)


def _judged(judge: Verdict, state: State) -> str | None:
    with TemporaryDirectory() as folder:
        materialise(state.tree, Path(folder))
        return judged(judge, Path(folder), state.acked, 1, deadline_s=60.0)


def found_by_kills(mutant: Adapter, seed: int) -> str | None:
    """What a sweep of kills reports."""
    del seed
    try:
        report = kill_sweep(Work(plan=PLAN, adapter=mutant), Verdict(plan=PLAN, adapter=mutant, files_alone=False), every=29, torn=False)
    except WorkloadBroken as broken:
        return str(broken)
    return None if report.ok else str(report)


def found_by_refusals(mutant: Adapter, seed: int) -> str | None:
    """What the judge says where a unit that was refused is there after a crash."""
    del seed
    stop = StopAtRefusal(plan=PLAN, adapter=mutant)
    report = fail_sweep(stop, Verdict(plan=PLAN, adapter=mutant, files_alone=False), EIO, kinds={"fdatasync"}, every=3, upto=0)
    return None if report.ok else str(report)


def found_by_failed_syncs(mutant: Adapter, seed: int) -> str | None:
    """Which file was synced again after a failure, as if that made it durable."""
    del seed
    work = Work(plan=PLAN, adapter=mutant)
    for at in range(17, 30, 2):
        with TemporaryDirectory() as folder:
            if again := synced_again(trace(work, Path(folder), fail=Fail(at=at, errno=EIO, kinds=SYNCING), data=True)):
                return f"{again[0]}"
    return None


def found_by_names(mutant: Adapter, seed: int) -> str | None:
    """What goes wrong when ids that differ in case alone are saved side by side."""
    del seed
    with TemporaryDirectory() as folder:
        return asyncio.run(_save_both(mutant, Path(folder)))


async def _save_both(mutant: Adapter, folder: Path) -> str | None:
    storage = mutant(folder / "data", clock=times.now, checkpoint_rows=1_000)
    both = [ticket_key(PLATFORM, "a1"), ticket_key(PLATFORM, "A1")]
    try:
        for number, key in enumerate(both):
            async with storage.unit_of_work("acme") as uow:
                await save(uow, key, number, times.now())
                await uow.commit()
        async with storage.unit_of_work("acme") as uow:
            found = await uow.tickets.find_many(both)
        return None if [found[key].data["unit"] for key in both] == [0, 1] else f"they hold {found}"
    except CorruptRecord as error:
        return str(error)
    finally:
        await storage.aclose()


def found_by_races(mutant: Adapter, seed: int) -> str | None:
    """What goes wrong when two storages replace one ticket again and again."""
    del seed
    for _ in range(_RACES):
        with TemporaryDirectory() as folder:
            try:
                asyncio.run(_race(mutant, Path(folder)))
            except CorruptRecord as error:
                return str(error)
    return None


async def _race(mutant: Adapter, folder: Path) -> None:
    async with AsyncExitStack() as stack:
        made = (mutant(folder / "data", clock=times.now, checkpoint_rows=1_000) for _ in range(3))
        sides = [await stack.enter_async_context(aclosing(side)) for side in made]
        for number in range(60):
            for side in sides:  # a commit is acknowledged before its files are written, so that those of the next one come at the same time
                await _replace(side, number)
            if number % 4 == 0:
                await asyncio.sleep(0.03)
                await _read(sides[0])


async def _read(side: Storage) -> None:
    async with side.unit_of_work("acme") as uow:
        await uow.tickets.find(PLATFORM, HOT.id)


async def _replace(side: Storage, number: int) -> None:
    async with side.unit_of_work("acme") as uow:
        await save(uow, HOT, number, times.now())
        await uow.commit()
