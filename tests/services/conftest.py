"""A storage for use cases: memory, which passes the same contract as all others; its clock is the test's."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from deskstore.adapters.memory import MemoryStorage


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def storage(clock: Clock) -> AsyncIterator[MemoryStorage]:
    storage = MemoryStorage(clock)
    yield storage
    await storage.aclose()
