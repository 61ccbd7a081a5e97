"""The SQLite storage keeps every promise of deskstore's contract, those of a side of a migration among them."""

# ruff: noqa: F403 - the kit is imported whole
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from deskstore_sqlite import SqliteStorage

from deskstore.testing.clock import ManualClock
from deskstore.testing.contract import *
from deskstore.testing.contract.replica import *


@pytest.fixture
async def storage(tmp_path: Path, clock: ManualClock) -> AsyncIterator[SqliteStorage]:
    opened = SqliteStorage(tmp_path / "deskstore.sqlite3", clock=clock)
    yield opened
    await opened.aclose()
