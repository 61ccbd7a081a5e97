"""A storage that is observed keeps every promise of the one beneath."""

# ruff: noqa: F403 - the kit is imported as its users import it
from collections.abc import AsyncIterator

import pytest

from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.observing import ObservedStorage
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract import *
from deskstore.testing.contract.replica import *
from tests.otel.seeing import Seen


@pytest.fixture
async def storage(clock: ManualClock) -> AsyncIterator[ObservedStorage]:
    opened = ObservedStorage(MemoryStorage(clock), Seen().observer, adapter="memory")
    yield opened
    await opened.aclose()
