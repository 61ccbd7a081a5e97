"""The file adapter keeps every promise."""

# ruff: noqa: F403 - the kit is imported as its users import it
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deskstore.adapters.file import FileStorage
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract import *
from deskstore.testing.contract.replica import *


@pytest.fixture
async def storage(tmp_path: Path, clock: ManualClock) -> AsyncIterator[FileStorage]:
    opened = FileStorage(tmp_path, clock=clock)
    yield opened
    await opened.aclose()
