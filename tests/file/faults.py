"""What a disk keeps after one of its syncs failed, and workloads that go on or stop there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import evolve, frozen

from deskstore.domain.errors import StorageUnavailable
from deskstore.testing.clock import ManualClock
from tests.crash import SYNCING, Fail, Mode, Operation, Run, State, Workload, states, trace
from tests.file.workload import Performer, Work, opened


@frozen(kw_only=True)
class StopAtRefusal(Work):
    """The workload of a process that is gone the moment a unit is refused: nothing is tried again, closed or made durable."""

    async def _until_done(self, performer: Performer, unit: int) -> None:
        try:
            await performer.carry_out(unit)
        except StorageUnavailable:
            os._exit(0)


@frozen(kw_only=True)
class TwoTakeTurns(Work):
    """The workload of two storages on one folder: each makes durable what both wrote."""

    async def _run(self, folder: Path, acknowledge: Callable[[int], None]) -> None:
        clock, tokens = ManualClock(), dict[str, str]()
        async with opened(self.adapter, folder, clock) as one, opened(self.adapter, folder, clock) as other:
            performers = [Performer(storage, clock, self.plan, tokens) for storage in (one, other)]
            for unit in range(1, self.plan.units + 1):
                await self._until_done(performers[unit % 2], unit)
                acknowledge(unit)


def after_a_failed_sync(run: Workload, errno: int, *, at: int, mode: Mode, every: int, first: int = 0, seed: int) -> Iterator[State]:
    """
    What a disk holds when the power is lost after one sync failed.

    The kernel reports a failed sync once, and takes for written what it could not write (measured for ext4, XFS and Btrfs in "Can
    applications recover from fsync failures?", USENIX ATC 2020): no later sync of the same file brings it to the disk.
    """
    with TemporaryDirectory(dir=_memory()) as folder:
        hurt = trace(run, Path(folder), fail=Fail(at=at, errno=errno, kinds=SYNCING), data=True)
    struck = hurt.struck
    if struck is not None:
        found = states(_forgetful(hurt), mode=mode, every=every, first=first, seed=seed, singles=0, randoms=0)
        yield from (state for state in found if state.at >= struck.number and state.what in ("all lost", "all kept"))


def _memory() -> Path | None:
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it; syncs cost nothing there
    return shared if shared.is_dir() else None


def _forgetful(run: Run) -> Run:
    """
    The run in which zeros reach the disk for whatever was written before a failed sync.

    A failed sync of the whole file system takes the records' files: what it lost of the log, the log's own next sync reports.
    """
    operations, unsynced, inodes = list(run.operations), dict[int, list[int]](), dict[str, int]()
    for index, operation in enumerate(operations):
        if operation.kind == "write" and operation.path and not operation.failed:
            inodes[operation.path] = operation.inode
            unsynced.setdefault(operation.inode, []).append(index)
        elif operation.kind == "rename" and operation.path and operation.target:
            inodes[operation.target] = inodes.pop(operation.path, 0)
        elif operation.kind in SYNCING:
            records = [inode for path, inode in inodes.items() if path.endswith(".json")]
            synced = records if operation.kind == "sync" else [inodes.get(operation.path or "", 0)]
            written = [number for inode in synced for number in unsynced.pop(inode, [])]
            for lost in written if operation.failed else ():
                operations[lost] = evolve(operations[lost], data=bytes(len(operations[lost].data)))
    return evolve(run, operations=tuple(operations))


def syncs(run: Workload) -> int:
    """How many syncs a workload makes when none fails."""
    with TemporaryDirectory(dir=_memory()) as folder:
        return sum(operation.kind in SYNCING for operation in trace(run, Path(folder)).operations)


def synced_again(run: Run) -> list[Operation]:
    """Syncs of a file that an earlier one had failed for and that was not written anew since: they prove nothing."""
    suspect, written, found = set[str](), set[str](), list[Operation]()
    for operation in run.operations:
        named = {place for place in (operation.path, operation.target) if place is not None and place.endswith(".json")}
        if operation.kind in SYNCING:
            synced = written | suspect if operation.kind == "sync" else named
            if operation.failed:
                suspect |= synced
            elif synced & suspect:
                found.append(operation)
            written -= synced
        elif operation.kind in ("rename", "unlink"):
            suspect -= named
            written = written | named if operation.kind == "rename" else written - named
    return found
