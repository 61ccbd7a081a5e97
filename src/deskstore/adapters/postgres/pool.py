"""Connections: SQLAlchemy keeps them, statements run on the driver's own beneath, and none goes back with a transaction open."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import asyncpg
import stamina
from attrs import frozen
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import greenlet_spawn

from deskstore.adapters.postgres.errors import FAMILIES, TRANSIENT, ConnectionLost, translated
from deskstore.domain.errors import StorageUnavailable

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.pool import PoolProxiedConnection

    from deskstore.adapters.postgres.rows import Found

    Driver = asyncpg.Connection[asyncpg.Record]

# says each attempt to whoever listens, and not to the terminal of somebody who never set logging up
logging.getLogger("stamina").addHandler(logging.NullHandler())

V = TypeVar("V")
_DIALECT: Final = "deskstore"
_STATEMENTS: Final = 200  #: kept prepared on each connection: more than there are
_BROKEN_OFF: Final = (
    "PostgreSQL breaks off each connection while it is made, as when it starts or stops: "
    "check the host and port in DATABASE_URL, then try again"
)
_ROLLBACK_S: Final = 5.0  #: how long a connection may take to come clean before it is thrown away


@frozen(kw_only=True)
class Limits:
    """How many connections there may be, and how long anything may take."""

    connections: int = 10
    wait_s: float = 10.0  #: for a connection to come free
    connect_s: float = 10.0
    answer_s: float = 30.0  #: for the answer to one statement
    lock_s: float = 5.0  #: for a lock that another session holds
    idle_s: float = 60.0  #: for the next statement of a transaction
    recycle_s: int = 1800
    retry_s: float = 10.0  #: for all attempts at one unit or read

    @classmethod
    def within(cls, seconds: float, *, connections: int) -> Limits:
        """Limits by which nothing but a statement that is being carried out takes longer."""
        return cls(connections=connections, wait_s=seconds, connect_s=seconds, answer_s=3 * seconds, lock_s=seconds / 2, retry_s=seconds)


class PayloadsAsBytes(PGDialect_asyncpg):
    """SQLAlchemy's dialect, but for JSON, which comes and goes as the bytes it is."""

    supports_statement_cache = True

    async def setup_asyncpg_json_codec(self, conn: Any) -> None:
        # Any: SQLAlchemy's adapter of the driver, whose type it keeps to itself
        driver: Driver = conn.driver_connection
        await driver.set_type_codec("json", schema="pg_catalog", encoder=_same, decoder=_same, format="binary")

    async def setup_asyncpg_jsonb_codec(self, conn: Any) -> None:
        # Any: as above
        """There is none to set up, which spares each new connection a trip."""


registry.register(f"postgresql.{_DIALECT}", __name__, PayloadsAsBytes.__name__)


class Session:
    """One connection while somebody has it; what the driver raises is translated."""

    def __init__(self, driver: Driver, place: str, company_id: str | None) -> None:
        self._driver: Final = driver
        self._place: Final = place
        self._company_id: Final = company_id

    async def rows(self, statement: str, *values: object) -> Found:
        """The rows a statement gives, in one trip once it is prepared."""
        with translated(self._place, self._company_id):
            return cast("Found", await self._driver.fetch(statement, *values))

    async def run(self, text: str) -> str:
        """What the server says to have done; takes no values, and any number of statements in one trip."""
        with translated(self._place, self._company_id):
            return await self._driver.execute(text)


class Pool:
    """The connections of one storage."""

    def __init__(self, url: URL, limits: Limits, admit: Callable[[Driver], Awaitable[None]], *, has_pooler: bool = False) -> None:
        async def connect() -> Driver:
            with translated(self.place):
                connecting = asyncpg.connect(
                    url.render_as_string(hide_password=False),
                    timeout=limits.connect_s,
                    command_timeout=limits.answer_s,
                    statement_cache_size=0 if has_pooler else _STATEMENTS,
                )
                driver = await _made(connecting)
                await self._look_at(driver)
                return driver

        self.limits: Final = limits
        self.place: Final = url.render_as_string(hide_password=True)
        self._engine: Final = create_async_engine(
            f"postgresql+{_DIALECT}://",
            async_creator=connect,
            pool_size=limits.connections,
            max_overflow=0,
            pool_timeout=limits.wait_s,
            pool_recycle=limits.recycle_s,
            pool_reset_on_return=None,  # see _clean
        )
        self._admit: Final = admit
        self._is_admitted = False
        self._process: Final = os.getpid()
        self._closed = False
        self._in_use = 0
        self._retries = 0
        self._all_back: Final = asyncio.Event()
        self._cleaning: Final = set[asyncio.Task[None]]()

    @asynccontextmanager
    async def session(self, company_id: str | None = None) -> AsyncGenerator[Session]:
        """A connection of one's own, which goes back as clean as it came, however the block ends."""
        self._check_open()
        self._in_use += 1
        try:
            lent, driver = await self._lend(company_id)
            try:
                yield Session(driver, self.place, company_id)
            except BaseException:
                await self._take_back(lent, driver, in_doubt=True)
                raise
            await self._take_back(lent, driver, in_doubt=False)
        finally:
            self._in_use -= 1
            if not self._in_use:
                self._all_back.set()

    async def persistently(self, work: Callable[[], Awaitable[V]]) -> V:
        """What the work gives, tried again from its beginning while only a lost connection or another writer was in its way."""
        try:
            return await work()
        except TRANSIENT:
            pass
        again = stamina.retry_context(
            on=TRANSIENT, attempts=None, timeout=self.limits.retry_s, wait_initial=0.01, wait_jitter=0.05, wait_max=0.5
        )
        async for attempt in again:
            self._retries += 1
            with attempt:
                return await work()
        raise AssertionError("the last attempt raises")

    def figures(self) -> dict[str, float]:
        """How many connections are used or waited for, of how many, and how often something was tried again."""
        return {"pool.in_use": self._in_use, "pool.limit": self.limits.connections, "retries": self._retries}

    async def aclose(self) -> None:
        """Let what is under way finish, then close every connection."""
        self._closed = True
        if os.getpid() != self._process:
            return  # what a fork inherits is its parent's to close
        while self._in_use:
            self._all_back.clear()
            await self._all_back.wait()
        with translated(self.place):
            await self._engine.dispose()

    async def _look_at(self, driver: Driver) -> None:
        """Let nobody work with a database that is not fit for it; looks once, at the first connection that is let in."""
        if self._is_admitted:
            return
        try:
            await self._admit(driver)
            self._is_admitted = True
        finally:
            if not self._is_admitted:
                driver.terminate()

    def _check_open(self) -> None:
        if os.getpid() != self._process:
            raise StorageUnavailable("this storage was opened before a fork: open another one in this process")
        if self._closed:
            raise StorageUnavailable("this storage is closed: open another one with open_storage()")

    async def _lend(self, company_id: str | None) -> tuple[PoolProxiedConnection, Driver]:
        for _ in range(self.limits.connections + 1):
            with translated(self.place, company_id):
                lent = await greenlet_spawn(self._engine.sync_engine.raw_connection)
            driver = cast("Driver", lent.driver_connection)
            if not driver.is_closed():
                return lent, driver
            await _throw_away(lent)  # the server closed it while nobody looked
        raise ConnectionLost("PostgreSQL closes every connection at once: look into its log")

    async def _take_back(self, lent: PoolProxiedConnection, driver: Driver, *, in_doubt: bool) -> None:
        if not in_doubt and not driver.is_in_transaction():
            lent.close()
            return
        # a task of its own: a second cancellation must not leave the connection half cleaned
        cleaning = asyncio.ensure_future(_clean(lent, driver))
        self._cleaning.add(cleaning)
        cleaning.add_done_callback(self._cleaning.discard)
        await asyncio.shield(cleaning)


async def _made(connecting: Awaitable[Driver]) -> Driver:
    """A new connection; raises ConnectionLost where somebody takes it and ends it at once, as a server does that starts or stops."""
    try:
        return await connecting
    except ConnectionRefusedError:
        raise  # nobody is there
    except (ConnectionError, asyncpg.CannotConnectNowError) as error:
        raise ConnectionLost(_BROKEN_OFF) from error


async def _clean(lent: PoolProxiedConnection, driver: Driver) -> None:
    """
    Give a connection back, rolled back; or close it for good when that cannot be done.

    SQLAlchemy would not do it: its pool rolls back transactions that it began itself. Whether one is open the driver may not know, since a
    BEGIN that was cancelled can have taken place.
    """
    try:
        if driver.is_closed():
            raise ConnectionLost("closed")
        await asyncio.wait_for(driver.execute("ROLLBACK"), _ROLLBACK_S)
    except (*FAMILIES, ConnectionLost):
        await _throw_away(lent)
    else:
        lent.close()


async def _throw_away(lent: PoolProxiedConnection) -> None:
    await greenlet_spawn(lent.invalidate)
    lent.close()


def _same(value: bytes) -> bytes:
    return value
