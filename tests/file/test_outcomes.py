"""A commit that the disk failed is reported as it truly ended, or as unknown; whoever tries again never does it twice."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

from deskstore.adapters.file import FileStorage
from deskstore.domain.errors import CommitOutcomeUnknown, StorageError, StorageUnavailable
from deskstore.domain.identifiers import Key
from deskstore.domain.outcomes import UnitOutcome
from deskstore.domain.ports import Storage
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_checkpoint, a_summary, a_ticket
from tests.crash import SYNCING, Fail, materialise, trace
from tests.file.faults import after_a_failed_sync, syncs

KEY: Final[Key] = a_ticket().key
UNITS: Final = 6
TRIES: Final = 5


@frozen(kw_only=True)
class Once:
    """Units that each add one summary, which done twice would be two; one that failed is tried again if it was not kept."""

    asks: bool = True  #: whether it looks what has become of a unit whose outcome is unknown; if not, it ends there

    def __call__(self, folder: Path, acknowledge: Callable[[int], None]) -> None:
        asyncio.run(_add(folder, acknowledge, asks=self.asks))


async def _add(folder: Path, acknowledge: Callable[[int], None], *, asks: bool) -> None:
    storage = _opened(folder)
    try:
        for unit in range(await _last(storage) + 1, UNITS + 1):
            await _until_added(storage, unit, asks=asks)
            acknowledge(unit)
    finally:
        await storage.aclose()


async def _until_added(storage: Storage, unit: int, *, asks: bool) -> None:
    refusal: StorageError | None = None
    for _ in range(TRIES):
        uow = storage.unit_of_work("acme")
        try:
            async with uow:
                if unit == 1:
                    uow.tickets.save(a_ticket())
                uow.summaries.add(a_summary(KEY, content=b'{"unit": %d}' % unit))
                uow.progress.save_checkpoint(a_checkpoint(str(unit)))
                await uow.commit()
            return
        except CommitOutcomeUnknown as error:
            refusal = error
            if not asks:
                raise
            if await _last(storage) == unit:
                return
        except StorageUnavailable as error:
            refusal = error
        is_unknown = isinstance(refusal, CommitOutcomeUnknown)
        assert uow.outcome is (UnitOutcome.UNKNOWN if is_unknown else UnitOutcome.DISCARDED)
        assert await _last(storage) == unit - 1, f"unit {unit} is there, and was reported as {uow.outcome}"
    raise refusal or AssertionError("never tried")


async def _last(storage: Storage) -> int:
    """The last unit that was kept."""
    checkpoint = await Desk(storage, "acme").checkpoint()
    return int(checkpoint.cursor) if checkpoint else 0


def _opened(folder: Path) -> FileStorage:
    return FileStorage(folder / "data", clock=ManualClock(), checkpoint_rows=4)


def _units_in(folder: Path) -> list[object]:
    """The units whose summaries are there, in order."""

    async def look() -> list[object]:
        storage = _opened(folder)
        try:
            return [summary.data["unit"] for summary in await Desk(storage, "acme").history(KEY)]
        finally:
            await storage.aclose()

    return asyncio.run(look())


@pytest.fixture
def folders(tmp_path: Path) -> Callable[[], Path]:
    """Makes an empty folder at each call."""
    made: list[Path] = []

    def make() -> Path:
        made.append(tmp_path / str(len(made)))
        made[-1].mkdir()
        return made[-1]

    return make


def test_a_unit_whose_sync_failed_is_there_once_after_it_was_tried_again(folders: Callable[[], Path]) -> None:
    for at in range(8, syncs(Once()) + 1, 5):
        folder = folders()

        run = trace(Once(), folder, fail=Fail(at=at, errno=errno.EIO, kinds=SYNCING))

        assert (run.ending, run.acked) == ("finished", UNITS), (at, run.error)
        assert _units_in(folder) == [*range(1, UNITS + 1)], at


def test_a_unit_whose_outcome_is_unknown_is_there_once_after_another_process_tried_again(folders: Callable[[], Path]) -> None:
    unknown = 0
    for at in range(9, syncs(Once()) + 1, 6):
        folder = folders()

        run = trace(Once(asks=False), folder, fail=Fail(at=at, errno=errno.EIO, kinds=SYNCING, sticky=True))
        again = trace(Once(), folder)

        unknown += CommitOutcomeUnknown.__name__ in run.error
        assert (again.ending, again.acked) in (("finished", UNITS), ("finished", 0)), (at, again.error)
        assert _units_in(folder) == [*range(1, UNITS + 1)], at
    assert unknown


def test_a_unit_that_was_tried_again_is_there_once_after_a_power_cut(folders: Callable[[], Path], seed: int) -> None:
    found = 0
    for at in range(10, syncs(Once()), 11):
        for state in after_a_failed_sync(Once(), errno.EIO, at=at, mode="ordered", every=23, seed=seed):
            folder = folders()
            materialise(state.tree, folder)
            units = _units_in(folder)
            assert units == [*range(1, len(units) + 1)]
            assert state.acked <= len(units) <= state.acked + 1, (at, state.at, state.what)
            found += 1
    assert found
