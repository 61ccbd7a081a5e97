"""What was erased is deleted to the last file, or whoever erased is told; and nothing else is ever deleted."""

from __future__ import annotations

import logging
import os
import resource
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest

from deskstore.adapters.file import FileStorage, erasing, layout
from deskstore.adapters.file.tree import Tree
from deskstore.domain.errors import StorageUnavailable
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket
from tests.crash import kill_sweep, power_sweep
from tests.file.removals import Removals, RemovalsJudge
from tests.file.trees import tree_of
from tests.privileges import without_privileges


@contextmanager
def few_descriptors() -> Generator[None, None, None]:
    """Let this process open no more than thirty files in the block."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 30, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_nothing_is_deleted_through_a_link(storage: FileStorage, base: Path, outside: Path) -> None:
    (outside / "photographs").mkdir()
    (outside / "photographs" / "1.jpg").touch()
    before = tree_of(outside)
    await Desk(storage, "acme").keep(a_ticket())
    (base / erasing.DOOMED).symlink_to(outside, target_is_directory=True)

    await Desk(storage, "other").keep(a_ticket())
    with pytest.raises(StorageUnavailable, match="move it away"):
        await storage.erase("acme")

    assert tree_of(outside) == before


async def test_what_was_erased_is_deleted_even_where_its_rights_were_taken_away() -> None:
    with without_privileges(), TemporaryDirectory() as folder:
        company = Path(folder, "acme")
        (company / "tickets" / "below").mkdir(parents=True)
        (company / "tickets" / "below" / "42.json").touch()
        (company / "tickets" / "below").chmod(0)
        (company / "tickets").chmod(0o500)

        with closing(Tree.open(company)) as tree:
            erasing.remove(company, tree)

        assert [*tree_of(Path(folder))] == [erasing.DOOMED]


async def test_an_erasure_that_cannot_delete_everything_says_so_until_it_can(
    storage: FileStorage, base: Path, new_storage: Callable[[], FileStorage], caplog: pytest.LogCaptureFixture
) -> None:
    await Desk(storage, "acme").keep(a_ticket())
    (base / "acme" / Path(*"abcdefgh" * 8)).mkdir(parents=True)

    with few_descriptors():
        for _ in range(2):
            with pytest.raises(StorageUnavailable, match=r"cannot be deleted.*erase once more"):
                await storage.erase("acme")
        with caplog.at_level(logging.ERROR, "deskstore"):
            await Desk(new_storage(), "other").keep(a_ticket())
    await storage.erase("acme")

    assert "cannot be deleted" in caplog.text
    assert [*(base / erasing.DOOMED).iterdir()] == []
    assert await storage.companies() == ["other"]


async def test_the_epoch_of_an_erasure_is_kept_without_the_name(desk: Desk, base: Path, new_storage: Callable[[], FileStorage]) -> None:
    await desk.keep(a_ticket())
    before = await desk.replica().state()
    await desk.storage.erase("acme")
    await desk.storage.aclose()

    again = Desk(new_storage(), "acme")
    await again.keep(a_ticket())
    after = await again.replica().state()

    assert before is not None
    assert after is not None
    assert after.epoch > before.epoch + 1
    assert [Path(name).name for name in tree_of(base / erasing.ERASED)] == [f"{sha256(b'acme').hexdigest()}.json"]


async def test_an_erasure_that_another_process_finishes_keeps_its_epoch(
    desk: Desk, base: Path, new_storage: Callable[[], FileStorage]
) -> None:
    await desk.keep(a_ticket())
    await desk.storage.aclose()
    path = base / "acme" / layout.COMPANY_FILE
    said = orjson.loads(path.read_bytes())
    path.write_bytes(orjson.dumps(said | {"state": said["state"] | {"erased": True, "epoch": 7}}))

    again = Desk(new_storage(), "acme")
    await again.keep(a_ticket())

    state = await again.replica().state()
    assert state is not None
    assert state.epoch == 8


async def test_an_epoch_that_cannot_be_read_is_named(storage: FileStorage, base: Path) -> None:
    await Desk(storage, "acme").keep(a_ticket())
    await storage.erase("acme")
    (mark,) = (base / erasing.ERASED).iterdir()
    mark.write_bytes(b"{}")

    with pytest.raises(StorageUnavailable, match=mark.name):
        await Desk(storage, "acme").keep(a_ticket())


def test_an_erasure_killed_at_any_file_operation_is_ended_later_and_leaves_its_line() -> None:
    report = kill_sweep(Removals(), RemovalsJudge(), every=41)

    assert report.ok, report
    assert report.states > 15


def test_a_power_cut_brings_nobody_back_who_was_erased(seed: int) -> None:
    report = power_sweep(Removals(), RemovalsJudge(), mode="strict", every=113, seed=seed, singles=2, randoms=2)

    assert report.ok, report
    assert report.states > 15


async def test_an_audit_line_that_cannot_be_read_is_named(storage: FileStorage, base: Path) -> None:
    await Desk(storage, "acme").keep(a_ticket())
    await storage.erase("acme")
    (mark,) = (base / erasing.ERASED).iterdir()
    mark.write_bytes(mark.read_bytes().replace(b"erased_at", b"erased_in"))

    with pytest.raises(StorageUnavailable, match=mark.name):
        await storage.erasures()
