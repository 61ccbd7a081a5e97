"""
What the driver and the pool raise, as errors of deskstore: by SQLSTATE where the server answered, else by what became of the connection.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import asyncpg
from sqlalchemy import exc as pool_errors
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi

from deskstore.adapters.postgres.addresses import BEFORE_UPGRADE
from deskstore.domain.errors import (
    CompanyErased,
    CompanyMoved,
    ConfigurationError,
    InvalidRecord,
    StorageBusy,
    StorageError,
    StorageUnavailable,
    StoreReplaced,
)


class ConnectionLost(StorageUnavailable):
    """A connection broke; nothing of what it was about to do was kept, and another one may do it."""


class Overtaken(StorageBusy):
    """Somebody else committed first, so that the unit has to be decided anew; nothing of it was kept."""


_ADAPTED: Final = AsyncAdapt_asyncpg_dbapi.Error  #: what SQLAlchemy makes of the driver's errors while it connects
FAMILIES: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    pool_errors.SQLAlchemyError,
    _ADAPTED,
    OSError,
)
TRANSIENT: Final = (ConnectionLost, Overtaken)

_GONE: Final = "the connection to PostgreSQL was lost: nothing that was not acknowledged was kept; try again"
_MISSING: Final = "the database has no deskstore schema, or an older one: run `deskstore db upgrade` as its owner"
_REFUSED: Final = "the database refuses this role what deskstore needs: run `deskstore doctor`, which prints the SQL that mends it"
_LOGIN: Final = f"PostgreSQL refuses the login: check the user, the password and the database's name in DATABASE_URL{BEFORE_UPGRADE}"

_OF_COMPANY: Final = ("DS001", "DS002", "DS005")  #: what the functions in sql/entering.sql raise
#: by SQLSTATE, or its class of two characters
_BY_STATE: Final[dict[str, tuple[type[StorageError], str]]] = {
    "DS004": (Overtaken, "somebody else saved records of this unit at the same moment: try again"),
    "23505": (Overtaken, "somebody else added records of this unit at the same moment: try again"),
    "40": (Overtaken, "PostgreSQL ended the transaction in favour of another one: try again"),
    "55P03": (StorageBusy, "another session holds a lock for longer than the time limit: nothing was written, try again"),
    "57014": (StorageBusy, "PostgreSQL ended a statement that took longer than the time limit: nothing was written, try again"),
    "08": (ConnectionLost, _GONE),
    "57P": (ConnectionLost, _GONE),
    "25P03": (ConnectionLost, "PostgreSQL ended a transaction that waited for too long: nothing of it was written, try again"),
    "25P04": (ConnectionLost, "PostgreSQL ended a transaction that took too long: nothing of it was written, try again"),
    "53300": (StorageBusy, "PostgreSQL has no connection to spare: try again, or raise its max_connections"),
    "53": (StorageUnavailable, "PostgreSQL is out of disk space or memory: nothing was written; make room, then try again"),
    "58": (StorageUnavailable, "PostgreSQL cannot read or write its files: nothing was written; look into its log"),
    "25006": (StorageUnavailable, "this PostgreSQL is a standby, which only reads: let DATABASE_URL name the primary"),
    "28": (ConfigurationError, _LOGIN),
    "3D000": (ConfigurationError, _LOGIN),
    "3F000": (ConfigurationError, _MISSING),
    "42883": (ConfigurationError, _MISSING),
    "42P01": (ConfigurationError, _MISSING),
    "42501": (ConfigurationError, _REFUSED),
    "22003": (InvalidRecord, "a number is too large for PostgreSQL: nothing was written"),
    "22P02": (InvalidRecord, "a payload or a summary is not JSON that PostgreSQL keeps: nothing was written"),
    "54": (InvalidRecord, "a record is too large or too deep for PostgreSQL: nothing was written"),
}


#: what is no answer of the server, the first that fits
_BY_FAMILY: Final[tuple[tuple[type[Exception], tuple[type[StorageError], str]], ...]] = (
    (asyncpg.ClientConfigurationError, (ConfigurationError, "DATABASE_URL cannot be used: {}")),
    (asyncpg.DataError, (InvalidRecord, "a value has no place in PostgreSQL: {}; nothing was written")),
    (asyncpg.InterfaceError, (ConnectionLost, _GONE)),
    (asyncpg.InternalClientError, (ConnectionLost, _GONE)),
    (
        pool_errors.TimeoutError,
        (StorageBusy, "every connection of the pool is in use, and none came free in time: try again, or raise DESKSTORE_POOL_SIZE"),
    ),
    (ConnectionRefusedError, (StorageUnavailable, "PostgreSQL refuses the connection: is it running where DATABASE_URL says?")),
    (ConnectionError, (ConnectionLost, _GONE)),
    (TimeoutError, (StorageUnavailable, "PostgreSQL did not answer in time: nothing that was not acknowledged was kept")),
    (OSError, (StorageUnavailable, "PostgreSQL cannot be reached: {}; check the host and port in DATABASE_URL")),
)


@contextmanager
def translated(place: str, company_id: str | None = None) -> Generator[None, None, None]:
    """Turn whatever the driver or the pool raises inside into an error of deskstore; to be put around their calls only."""
    try:
        yield
    except FAMILIES as error:
        raise translation(error, place, company_id) from error


def translation(error: Exception, place: str, company_id: str | None = None) -> StorageError:
    """The error of deskstore that an error of the driver or of the pool stands for."""
    if isinstance(beneath := error.__cause__, FAMILIES) and isinstance(error, pool_errors.DBAPIError | _ADAPTED):
        return translation(beneath, place, company_id)
    if isinstance(error, asyncpg.PostgresError):
        return _of_state(error, place, company_id)
    other = (StorageUnavailable, "the connection pool failed: {}")
    kind, message = next((says for family, says in _BY_FAMILY if isinstance(error, family)), other)
    return kind(message.format(_first_line(error)))


def _of_state(error: asyncpg.PostgresError, place: str, company_id: str | None) -> StorageError:
    state = error.sqlstate or ""
    if state in _OF_COMPANY:
        return _of_company(error, company_id or "", place)
    for known in (state, state[:3], state[:2]):
        if known in _BY_STATE:
            kind, message = _BY_STATE[known]
            return kind(message)
    return StorageUnavailable(f"PostgreSQL says: {_first_line(error)} ({state}); nothing that was not acknowledged was kept")


def _of_company(error: asyncpg.PostgresError, company_id: str, place: str) -> StorageError:
    match error.sqlstate:
        case "DS001":
            return CompanyErased(company_id)
        case "DS002":
            state = json.loads(error.detail or "{}")
            return CompanyMoved(company_id, primary=state.get("primary"), epoch=state.get("epoch"), swapping_to=state.get("swapping_to"))
        case _:
            return StoreReplaced(company_id, place)


def _first_line(error: Exception) -> str:
    """The message without its details, which may tell what is none of the caller's business."""
    return (str(error).splitlines() or [type(error).__name__])[0]
