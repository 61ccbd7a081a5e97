"""Which server a test run uses."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import pytest
from attrs import frozen

from deskstore.adapters.embedded.postgres import PostgresServer
from deskstore.adapters.embedded.redis import RedisServer
from deskstore.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator

POSTGRES = "TEST_DATABASE_URL"
REDIS = "TEST_REDIS_URL"


class Server(Protocol):
    """What every server has; one that must be killed or restarted is started by the test itself."""

    @property
    def url(self) -> str:
        """Where it is, for somebody who may do everything."""
        ...


@frozen
class GivenServer:
    """A server that was there before, and may serve others as well."""

    url: str


@contextmanager
def postgres(major: int | None = None) -> Generator[Server]:
    """The PostgreSQL that was named, else the newest one here; where a version is asked for, always one of our own."""
    named = None if major else os.environ.get(POSTGRES)
    if named:
        yield GivenServer(named)
    else:
        with _failing_in_a_line(), PostgresServer(major=major) as server:
            yield server


@contextmanager
def redis() -> Generator[Server]:
    """The Redis that was named, else one of our own."""
    if named := os.environ.get(REDIS):
        yield GivenServer(named)
    else:
        with _failing_in_a_line(), RedisServer() as server:
            yield server


@contextmanager
def _failing_in_a_line() -> Generator[None]:
    """A machine without servers fails the tests that need one, and says in one line what to do."""
    try:
        yield
    except ConfigurationError as error:
        pytest.fail(f"{error}; or set {POSTGRES} and {REDIS}", pytrace=False)
