"""The hybrid storage keeps every promise, whichever storages it joins, and whichever of them a company begins in."""

# ruff: noqa: F403 - the kit is imported as its users import it
from collections.abc import AsyncIterator

import pytest

from deskstore.adapters.hybrid import HybridStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract import *


@pytest.fixture(params=["near", "far"])
async def storage(request: pytest.FixtureRequest, clock: ManualClock) -> AsyncIterator[HybridStorage]:
    opened = HybridStorage(MemoryStorage(clock), MemoryStorage(clock), prefers_far=request.param == "far")
    yield opened
    await opened.aclose()
