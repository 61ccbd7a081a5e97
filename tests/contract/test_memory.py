"""The memory adapter keeps every promise."""

# ruff: noqa: F403 - the kit is imported as its users import it
from collections.abc import AsyncIterator

import pytest

from deskstore.adapters.memory import MemoryStorage
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract import *
from deskstore.testing.contract.replica import *


@pytest.fixture
async def storage(clock: ManualClock) -> AsyncIterator[MemoryStorage]:
    opened = MemoryStorage(clock)
    yield opened
    await opened.aclose()
