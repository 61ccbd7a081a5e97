"""The file storage under every crash, fault and race we know of."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from deskstore.adapters.file import FileStorage
from tests.chaos.filling import fill_the_disk
from tests.chaos.imports import interrupted_import
from tests.chaos.naming import keep_hostile_names
from tests.chaos.parts import Finding, Orders, Part
from tests.chaos.planting import live_among_strangers
from tests.crash import SPACE_TAKING, SYNCING, Kind, Mode, fail_sweep, kill_sweep, materialise, nested_sweep, power_sweep
from tests.crash.judging import judged
from tests.file.cancelling import cancel_units, open_things
from tests.file.catalogue import CASES, Case
from tests.file.faults import StopAtRefusal, TwoTakeTurns, after_a_failed_sync, syncs
from tests.file.searches import found_by_races
from tests.file.workers import Group, come_and_go, count, counted, opened
from tests.file.workload import Plan, Recovery, Verdict, Work

PLAN: Final = Plan(units=8)
WORK: Final = Work(plan=PLAN)
JUDGE: Final = Verdict(plan=PLAN)


#: every so many operations of a workload; so many rounds go to all of them
KILLED: Final = 5
CUT: Final = 19
REFUSED: Final = 9
NESTED: Final = (83, 7)  #: and every so many operations of the recovery
STOPPED: Final = 3
UNSYNCED: Final = (3, 31)  #: syncs, and operations after each of them


def _kill(orders: Orders) -> Finding:
    return Finding.of(kill_sweep(WORK, JUDGE, every=KILLED, first=orders.round % KILLED))


def _power(mode: Mode, orders: Orders) -> Finding:
    return Finding.of(power_sweep(WORK, JUDGE, mode=mode, every=CUT, first=orders.round % CUT, seed=orders.seed))


def _fail(error: int, sticky: bool, kinds: frozenset[Kind] | None, orders: Orders) -> Finding:
    return Finding.of(fail_sweep(WORK, JUDGE, error, sticky=sticky, kinds=kinds, every=REFUSED, first=orders.round % REFUSED))


def _nested(orders: Orders) -> Finding:
    every, inner = NESTED
    first = orders.round % (every * inner)
    return Finding.of(nested_sweep(WORK, Recovery(plan=PLAN), JUDGE, every=every, inner=inner, first=first, torn=True))


def _refused(orders: Orders) -> Finding:
    work, first = StopAtRefusal(plan=PLAN), orders.round % STOPPED
    return Finding.of(fail_sweep(work, JUDGE, errno.EIO, kinds=SYNCING, every=STOPPED, first=first, upto=0))


def _failed_syncs(work: Work, mode: Mode, orders: Orders) -> Finding:
    """Power cuts after a sync that failed, whose data the kernel has given up."""
    failures, judge, tried = list[str](), Verdict(plan=work.plan, files_alone=False), 0
    every, later = UNSYNCED
    for at in range(1 + orders.round % every, syncs(work) + 1, every):
        first = orders.round // every % later
        for state in after_a_failed_sync(work, errno.EIO, at=at, mode=mode, every=later, first=first, seed=orders.seed):
            tried += 1
            with _folder() as folder:
                materialise(state.tree, folder)
                said = judged(judge, folder, state.acked, 1, deadline_s=60.0)
            if said is not None:
                failures.append(f"sync {at} failed, {state.what} after operation {state.at}: {said}")
    return Finding(states=tried, failures=failures)


def _mutant(case: Case, orders: Orders) -> Finding:
    said = case.search(case.mutant, orders.seed)
    return Finding(states=1, failures=() if said else ("nobody found it out",))


def _races(orders: Orders) -> Finding:
    said = found_by_races(FileStorage, orders.seed)
    return Finding(states=1, failures=(said,) if said else ())


def _cancel(orders: Orders) -> Finding:
    times, before = 10_000, open_things()
    with _folder() as folder:
        asyncio.run(cancel_units(folder, times=times, random=Random(orders.seed)))
    after = open_things()
    return Finding(states=times, failures=() if after <= before else (f"threads and descriptors: {before} before, {after} after",))


def _processes(orders: Orders) -> Finding:
    """Four processes that count, one that comes and goes, and a victim that is killed again and again."""
    random, last, kills = Random(orders.seed), time.monotonic() + 60 * orders.minutes, 0
    with _folder() as folder:
        group = Group(folder)
        while time.monotonic() < last:
            for worker in range(3):
                group.start(f"w{kills}-{worker}", count, 10)
            group.start(f"c{kills}", come_and_go, 5)
            for _ in range(4):
                group.start(f"v{kills}", count, 10_000)
                time.sleep(1.0 + random.random())
                group.kill(f"v{kills}")
                kills += 1
            codes = group.join()
            if set(codes.values()) - {0}:
                return Finding(states=kills, failures=(f"a process ended with {codes}",))
        return _counted(folder, group, kills)


def _random_kills(orders: Orders) -> Finding:
    """One process after the other, each killed after a random time and often in its first moments."""
    random, last, kills = Random(orders.seed), time.monotonic() + 60 * orders.minutes, 0
    with _folder() as folder:
        group = Group(folder)
        while time.monotonic() < last:
            name = f"k{kills}"
            group.start(name, random.choice((count, come_and_go)), 10_000)
            group.wait_for_an_acknowledgement_of(name, random.random() * 2.0)
            time.sleep(random.random() / 5)
            group.kill(name)
            kills += 1
            found = _counted(folder, group, kills)
            if found.failures:
                return found
        return _counted(folder, group, kills)


def _counted(folder: Path, group: Group, kills: int) -> Finding:
    async def look() -> tuple[int, set[str]]:
        storage = opened(folder)
        try:
            return await counted(storage)
        finally:
            await storage.aclose()

    counter, tickets = asyncio.run(look())
    acked = set(group.acked())
    failures = list[str]()
    if acked - tickets:
        failures.append(f"acknowledged and lost: {sorted(acked - tickets)[:5]}")
    if counter != len(tickets):
        failures.append(f"the counter says {counter}, there are {len(tickets)} tickets")
    if len(tickets - acked) > kills:
        failures.append(f"{len(tickets - acked)} tickets that nobody was told of, and {kills} kills")
    return Finding(states=kills + len(tickets), failures=failures)


@contextmanager
def _folder() -> Generator[Path]:
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it; syncs cost nothing there
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


def _in_a_folder(run: Callable[[Path, Orders], Finding], orders: Orders) -> Finding:
    with _folder() as folder:
        return run(folder, orders)


def _import(folder: Path, orders: Orders) -> Finding:
    run = interrupted_import(folder, records=1_000_000 if orders.is_nightly else 20_000, kills=3, seed=orders.seed)
    return Finding(states=run.records, failures=(str(run),) if run.wrong else ())


_TWO: Final = TwoTakeTurns(plan=Plan(units=4, companies=("acme",)))

_NESTED_ROUNDS: Final = NESTED[0] * NESTED[1]
_UNSYNCED_ROUNDS: Final = UNSYNCED[0] * UNSYNCED[1]

PARTS: Final = [
    Part("killed before and in the middle of operations", _kill, rounds=KILLED),
    Part("power cut, each name by itself", partial(_power, "strict"), rounds=CUT),
    Part("power cut, names in order", partial(_power, "ordered"), rounds=CUT),
    Part("recovery killed", _nested, rounds=_NESTED_ROUNDS),
    Part("an operation fails: EIO", partial(_fail, errno.EIO, False, None), rounds=REFUSED),
    Part("an operation fails: ENOSPC", partial(_fail, errno.ENOSPC, False, None), rounds=REFUSED),
    Part("an operation fails: EACCES", partial(_fail, errno.EACCES, False, None), rounds=REFUSED),
    Part("the disk stays full", partial(_fail, errno.ENOSPC, True, SPACE_TAKING), rounds=REFUSED),
    Part("no sync succeeds any more", partial(_fail, errno.EIO, True, SYNCING), rounds=REFUSED),
    Part("a refused unit, then a crash", _refused, rounds=STOPPED),
    Part("a failed sync, then a power cut", partial(_failed_syncs, Work(plan=_TWO.plan), "ordered"), rounds=_UNSYNCED_ROUNDS),
    Part("a failed sync in one of two, then a power cut", partial(_failed_syncs, _TWO, "strict"), rounds=_UNSYNCED_ROUNDS),
    Part("four processes and victims", _processes, rounds=10),
    Part("kill -9 at random moments", _random_kills, rounds=10),
    Part("three storages replace one ticket", _races, rounds=10),
    Part("units cancelled at random moments", _cancel, rounds=10),
    Part("hostile names", partial(_in_a_folder, keep_hostile_names), rounds=100),
    Part("an import killed again and again", partial(_in_a_folder, _import)),
    Part("links, pipes and directories planted", partial(_in_a_folder, live_among_strangers), rounds=10),
    Part("a full disk", partial(_in_a_folder, fill_the_disk)),
    *(Part(f"mutant: {case.mutant.name}"[:52], partial(_mutant, case)) for case in CASES),
]
