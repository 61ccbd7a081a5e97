"""The hybrid storage keeps every promise on files and PostgreSQL, too."""

# ruff: noqa: F403 - the kit is imported as its users import it
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deskstore.adapters.file import FileStorage
from deskstore.adapters.hybrid import HybridStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract import *


@pytest.fixture
async def storage(tmp_path: Path, shared_postgres_url: str, clock: ManualClock) -> AsyncIterator[HybridStorage]:
    opened = HybridStorage(FileStorage(tmp_path, clock=clock), PostgresStorage(shared_postgres_url, clock=clock))
    yield opened
    await opened.aclose()
