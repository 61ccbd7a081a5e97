"""What every promise is tested with; the one fixture a storage's author brings is `storage`."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from deskstore.domain.ports import Storage
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk

#: for promises that are tested with random examples: each works in a company of its own, so that sharing the storage is no fault
PROPERTY: Final = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
)


def a_new_company() -> str:
    """A company id that nobody used before, with characters that a careless storage stumbles over."""
    return f"Acme's 회사/{uuid.uuid4()}"


@pytest.fixture
def clock() -> ManualClock:
    """The clock that `storage` must have been given; override it with a wider scope when the storage is shared by tests."""
    return ManualClock()


@pytest.fixture
def own_storage(storage: Storage) -> Storage:
    """A storage that a test may close; override it when `storage` is shared by tests."""
    return storage


@pytest.fixture
def new_desk(storage: Storage) -> Callable[[], Desk]:
    """Makes a company at each call."""
    return lambda: Desk(storage, a_new_company())


@pytest.fixture
def desk(new_desk: Callable[[], Desk]) -> Desk:
    """A company that holds nothing yet."""
    return new_desk()


@pytest.fixture
def other_desk(new_desk: Callable[[], Desk]) -> Desk:
    """Another company in the same storage."""
    return new_desk()


@pytest.fixture
def company_id(desk: Desk) -> str:
    """The id of the company that holds nothing yet."""
    return desk.company_id
