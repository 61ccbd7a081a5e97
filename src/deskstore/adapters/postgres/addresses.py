"""Where a database is, as it is written and as the driver takes it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from deskstore.domain.errors import ConfigurationError, StorageUnavailable

if TYPE_CHECKING:
    from sqlalchemy import URL

BEFORE_UPGRADE: Final = ", and that `deskstore db upgrade` was run"  #: of no use to the owner, who is about to run it
_LAST_PORT: Final = 65_535


def driven(written: str, variable: str = "DATABASE_URL") -> URL:
    """The address as the driver takes it; raises ConfigurationError for one of something else."""
    try:
        url = make_url(written)
    except (ArgumentError, ValueError) as error:  # a port that is no number is told in another way
        raise ConfigurationError(f"{variable} is not an address: write it as postgresql://user:password@host/name") from error
    if url.drivername not in ("postgresql", "postgres", "postgresql+asyncpg"):
        raise ConfigurationError(f"{variable} names {url.drivername}: write it as postgresql://user:password@host/name")
    if "@" in (url.host or ""):  # the host may end a password, so it is not shown
        raise ConfigurationError(f"{variable} holds a second @ before the host: write an @ in the user or the password as %40")
    if url.port is not None and not 1 <= url.port <= _LAST_PORT:
        raise ConfigurationError(f"{variable} names the port {url.port}, which no host has: the last one is {_LAST_PORT}")
    return url.set(drivername="postgresql")


@contextmanager
def named(variable: str) -> Generator[None, None, None]:
    """Let messages name the setting that an address came from, where that is not DATABASE_URL."""
    try:
        yield
    except (ConfigurationError, StorageUnavailable) as error:
        if "DATABASE_URL" not in str(error):
            raise
        raise type(error)(str(error).replace(BEFORE_UPGRADE, "").replace("DATABASE_URL", variable)) from error
