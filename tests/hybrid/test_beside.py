"""A database that is used alone does not begin a company that lives in the files beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deskstore.adapters.beside import BesideFiles
from deskstore.adapters.file import FileStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import MigrationError
from deskstore.services.migrating import cut_over, start_migration, verify_migration
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket


async def test_a_company_of_the_files_is_refused_until_it_has_moved(tmp_path: Path) -> None:
    files, database, company_id = FileStorage(tmp_path), MemoryStorage(), a_new_company()
    await Desk(files, company_id).keep(a_ticket("1"))
    alone = Desk(BesideFiles(database, files), company_id)

    for write in (lambda: alone.keep(a_ticket("2")), alone.claim):
        with pytest.raises(MigrationError, match="deskstore migrate start"):
            await write()
    assert await database.companies() == []

    await start_migration(files, database, company_id)
    assert (await verify_migration(files, database, company_id)).is_verified
    await cut_over(files, database, company_id)
    await alone.keep(a_ticket("2"))
    assert len(await alone.claim(5)) == 2
    await alone.storage.aclose()


async def test_companies_that_the_files_do_not_know_are_no_concern_of_theirs(tmp_path: Path) -> None:
    files, company_id = FileStorage(tmp_path), a_new_company()
    alone = Desk(BesideFiles(MemoryStorage(), files), company_id)

    await alone.keep(a_ticket())

    assert await files.companies() == []
    await alone.storage.aclose()
