"""Whatever happens to the process, the disk or the power: what was acknowledged is there, and a unit is whole or absent."""

from __future__ import annotations

import errno
from pathlib import Path
from random import Random

import pytest
from attrs import evolve

from tests.crash import SPACE_TAKING, SYNCING, Fail, Kind, Mode, fail_sweep, kill_sweep, materialise, nested_sweep, power_sweep, trace
from tests.crash.powercut import State
from tests.file.cancelling import cancel_units, open_things
from tests.file.faults import StopAtRefusal, TwoTakeTurns, after_a_failed_sync, synced_again, syncs
from tests.file.mutants import Edit, Mutant
from tests.file.workload import Plan, Recovery, Verdict, Work

PLAN = Plan(units=4, companies=("acme",))
WORK = Work(plan=PLAN)
JUDGE = Verdict(plan=PLAN)
QUICK = Verdict(plan=PLAN, files_alone=False)
TOGETHER = Work(
    plan=PLAN,
    adapter=Mutant(name="a checkpoint that syncs all files at once, however few", edits=(Edit("tree", "_MANY = 64", "_MANY = 1"),)),
)
TRIES = 5


def test_a_kill_at_any_file_operation_leaves_whole_units() -> None:
    report = kill_sweep(WORK, QUICK, every=17)

    assert report.ok, report
    assert report.states > 30


@pytest.mark.parametrize("work", [WORK, TOGETHER], ids=["files synced one by one", "files synced together"])
@pytest.mark.parametrize("mode", ["strict", "ordered"])
def test_a_power_cut_leaves_whole_units(work: Work, mode: Mode, seed: int) -> None:
    report = power_sweep(work, QUICK, mode=mode, every=97, seed=seed, singles=2, randoms=2)

    assert report.ok, report
    assert report.states > 15


def test_a_kill_of_the_recovery_leaves_whole_units() -> None:
    report = nested_sweep(WORK, Recovery(plan=PLAN), QUICK, every=131, inner=23)

    assert report.ok, report


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EACCES])
def test_an_operation_that_fails_once_is_refused_or_survived(error: int) -> None:
    report = fail_sweep(WORK, QUICK, error, every=37)

    assert report.ok, report
    assert set(report.endings) == {"finished"}, report


@pytest.mark.parametrize(("error", "kinds"), [(errno.ENOSPC, SPACE_TAKING), (errno.EIO, SYNCING)])
def test_a_disk_that_stays_broken_breaks_no_unit(error: int, kinds: frozenset[Kind]) -> None:
    report = fail_sweep(WORK, QUICK, error, sticky=True, kinds=kinds, every=23)

    assert report.ok, report


@pytest.mark.parametrize(
    ("work", "at"), [*((WORK, at) for at in (16, 17, 25, -2, -1)), *((TOGETHER, at) for at in (16, 17, -2, -1))], ids=str
)
def test_what_a_failed_sync_lost_takes_no_later_unit_along(work: Work, at: int, tmp_path: Path, seed: int) -> None:
    found: list[State] = []
    for _ in range(TRIES):  # threads take turns, so that one run may make a sync less than another, and end before the last
        number_of_sync = at if at > 0 else syncs(work) + at
        found = list(after_a_failed_sync(work, errno.EIO, at=number_of_sync, mode="ordered", every=29, seed=seed))
        if found:
            break

    for number, state in enumerate(found):
        folder = tmp_path / str(number)
        folder.mkdir()
        materialise(state.tree, folder)
        assert QUICK(folder, state.acked, 1) is None, state.at
    assert found


@pytest.mark.parametrize(("error", "kinds", "every"), [(errno.EIO, SYNCING, 7), (errno.ENOSPC, SPACE_TAKING, 29)])
def test_a_unit_that_was_refused_is_not_there_after_a_crash(error: int, kinds: frozenset[Kind], every: int) -> None:
    stop = StopAtRefusal(plan=PLAN)

    report = fail_sweep(stop, QUICK, error, sticky=error == errno.ENOSPC, kinds=kinds, every=every, upto=0)

    assert report.ok, report


@pytest.mark.parametrize(
    "work",
    [WORK, TwoTakeTurns(plan=PLAN), TOGETHER, evolve(TwoTakeTurns(plan=PLAN), adapter=TOGETHER.adapter)],
    ids=["one process", "two checkpointers", "files synced together", "two that sync files together"],
)
def test_a_file_whose_sync_failed_is_written_anew_before_it_leaves_the_journal(work: Work, tmp_path: Path) -> None:
    for at in range(18, syncs(work), 17):
        folder = tmp_path / str(at)
        folder.mkdir()

        run = trace(work, folder, fail=Fail(at=at, errno=errno.EIO, kinds=SYNCING), data=True)

        assert synced_again(run) == []
        assert QUICK(folder, run.acked, 1) is None


async def test_a_unit_cancelled_at_any_moment_is_whole_or_absent_and_leaves_nothing_open(tmp_path: Path, seed: int) -> None:
    before = open_things()

    cancelled = await cancel_units(tmp_path, times=2_000, random=Random(seed))

    assert cancelled > 500
    assert open_things() == before
