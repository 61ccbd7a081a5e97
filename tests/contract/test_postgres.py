"""The PostgreSQL adapter keeps every promise, as an application role that owns nothing, behind forced row-level security."""

# ruff: noqa: F403 - the kit is imported as its users import it
from collections.abc import AsyncIterator

import pytest

from deskstore.adapters.postgres import PostgresStorage
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract import *
from deskstore.testing.contract.replica import *


@pytest.fixture
async def storage(postgres_url: str, clock: ManualClock) -> AsyncIterator[PostgresStorage]:
    opened = PostgresStorage(postgres_url, clock=clock)
    yield opened
    await opened.aclose()
