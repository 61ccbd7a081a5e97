"""A company moves from files to SQLite while it is in use, and back, with everything that was written on either side."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from deskstore_sqlite import SqliteStorage

import deskstore
from deskstore import Depth, Settings, Storage, VerifyReport
from deskstore.domain.tallies import Totals, totals_of
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_summary, a_ticket

COMPANY = "acme"


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[Storage]:
    async with deskstore.open_storage(Settings(data_path=tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Storage]:
    opened = SqliteStorage(tmp_path / "deskstore.sqlite3")
    yield opened
    await opened.aclose()


async def moved(source: Storage, target: Storage) -> VerifyReport:
    """Let a company live in another storage, and let go of the one that it came from."""
    report = await deskstore.start_migration(source, target, COMPANY)
    assert report.is_complete
    verified = await deskstore.verify_migration(source, target, COMPANY, depth=Depth.CONTENT)
    await deskstore.cut_over(source, target, COMPANY)
    return verified


async def all_of(storage: Storage) -> Totals:
    """How much there is of each part, and what it amounts to, versions included."""
    return await totals_of(storage.replica(COMPANY))


async def test_a_company_goes_to_sqlite_and_back_to_files_with_nothing_lost(files: Storage, sqlite: Storage) -> None:
    await Desk(files, COMPANY).fill("안녕 🙂")
    before = await all_of(files)

    there = await moved(files, sqlite)
    in_sqlite = await all_of(sqlite)
    await Desk(sqlite, COMPANY).keep(a_ticket("4", text="written in SQLite"))
    await Desk(sqlite, COMPANY).summarise(a_summary(a_ticket("4").key, "in SQLite, too"))
    written = await all_of(sqlite)
    back = await deskstore.roll_back(files, sqlite, COMPANY)
    again = await deskstore.verify_migration(files, sqlite, COMPANY, depth=Depth.CONTENT)
    await deskstore.finish_migration(files, sqlite, COMPANY, delete=True)

    assert there.is_verified
    assert in_sqlite == before
    assert written.counts["ticket"] == before.counts["ticket"] + 1
    assert back.lives_in == "source"
    assert again.is_verified
    assert await all_of(files) == written
    assert await sqlite.companies() == []


async def test_a_company_that_was_born_in_sqlite_may_leave_it_for_files(files: Storage, sqlite: Storage) -> None:
    await Desk(sqlite, COMPANY).fill("born here")
    before = await all_of(sqlite)

    await moved(sqlite, files)
    await deskstore.finish_migration(sqlite, files, COMPANY, delete=True)

    assert await all_of(files) == before
    assert await sqlite.companies() == []


async def test_a_backup_of_files_is_restored_into_sqlite(files: Storage, sqlite: Storage, tmp_path: Path) -> None:
    await Desk(files, COMPANY).fill("kept")
    await deskstore.create_backup(files, COMPANY, tmp_path / "acme.tar")

    await deskstore.restore_backup(sqlite, COMPANY, tmp_path / "acme.tar")

    assert await all_of(sqlite) == await all_of(files)
