"""
Peers on PostgreSQL: what others do to keep the same documents there, each with its connections open and its tables made beforehand.

No bars, for the same reason: none of them seals companies off by policies, compares what comes with what stands, or keeps a company's
records in step with its counts. Raw asyncpg is what is left without any of that.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib import import_module
from typing import Any, Final

import asyncpg
import orjson
from sqlalchemy import JSON, String, Text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import mapped_column

from bench import naive_postgres
from bench.databases import Bench, bench_server, opened
from bench.machine import release_of
from bench.measuring import Run, Subject, Trial, interleaved
from bench.peers import ONE_BY_ONE, READ, TOGETHER, Awaited, Comparison, Peer, comparison, one_by_one, reading, together
from bench.stores import find, save
from bench.tickets import COMPANY, PLATFORM, tickets
from deskstore.domain.records import Ticket
from tests.servers.databases import Database

ALCHEMY: Final = "advanced-alchemy"
_WHERE: Final = ", PostgreSQL"
_TABLE: Final = """CREATE TABLE document (
    company_id text, platform text, ticket_id text, status text, data json, PRIMARY KEY (company_id, platform, ticket_id)
)"""
_INSERT: Final = "INSERT INTO document VALUES ($1, $2, $3, $4, $5::json)"
_SELECT: Final = "SELECT data FROM document WHERE company_id = $1 AND platform = $2 AND ticket_id = $3"

Opening = Callable[[Database], AbstractAsyncContextManager[Peer]]
Fresh = Callable[[], AbstractAsyncContextManager[Peer]]


async def measure(run: Run) -> list[Comparison]:
    """The comparisons of the file storage's peers, on PostgreSQL."""
    batch = list(tickets(run.seed, run.sizes.peers))
    async with bench_server() as bench:
        work: Mapping[str, Callable[[Fresh], Subject]] = {
            ONE_BY_ONE: lambda fresh: _writing(fresh, batch, one_by_one),
            TOGETHER: lambda fresh: _writing(fresh, batch, together),
            READ: lambda fresh: reading(fresh, batch),
        }
        stores = {who: partial(_fresh, bench, opening) for who, opening in installed().items()}
        return [
            comparison(name + _WHERE, await interleaved({who: of(fresh) for who, fresh in stores.items()}, run.rounds), len(batch))
            for name, of in work.items()
        ]


def missing() -> list[str]:
    """The peers that are not installed."""
    return [] if release_of(ALCHEMY) else [ALCHEMY]


def installed() -> Mapping[str, Opening]:
    """The stores to compare, ours first, each with its release."""
    stores: dict[str, Opening] = {
        "deskstore": _deskstore,
        f"raw asyncpg {release_of('asyncpg')}": _asyncpg,
        "original": _original,
    }
    release = release_of(ALCHEMY)
    return stores | {f"{ALCHEMY} {release}": _alchemy} if release else stores


# -- the work ------------------------------------------------------------------------------------------------------------------------------


def _writing(fresh: Fresh, batch: Sequence[Ticket], work: Callable[[Peer, Sequence[Ticket]], Awaitable[None]]) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial, None]:
        async with fresh() as peer:
            yield lambda: work(peer, batch)

    return subject


@asynccontextmanager
async def _fresh(bench: Bench, opening: Opening) -> AsyncGenerator[Peer, None]:
    async with bench.fresh() as database, opening(database) as peer:
        yield peer


# -- the stores ----------------------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _deskstore(database: Database) -> AsyncGenerator[Peer, None]:
    async with opened(database) as storage:
        yield Awaited(
            lambda ticket: save(storage, [ticket]),
            lambda batch: save(storage, batch),
            lambda ticket_id: find(storage, COMPANY, ticket_id),
        )


@asynccontextmanager
async def _asyncpg(database: Database) -> AsyncGenerator[Peer, None]:
    connection = await asyncpg.connect(database.admin_url)
    try:
        await connection.execute(_TABLE)
        yield Awaited(
            lambda ticket: connection.execute(_INSERT, *_row(ticket)),
            lambda batch: connection.executemany(_INSERT, [_row(ticket) for ticket in batch]),
            lambda ticket_id: connection.fetchval(_SELECT, COMPANY, PLATFORM, ticket_id),
        )
    finally:
        await connection.close()


@asynccontextmanager
async def _original(database: Database) -> AsyncGenerator[Peer, None]:
    connection = await asyncpg.connect(database.admin_url)
    try:
        await connection.execute(naive_postgres.TABLE)
    finally:
        await connection.close()
    async with naive_postgres.opened(database.admin_url) as store:

        async def put_all(batch: Sequence[Ticket]) -> None:
            for ticket in batch:
                await store.put(ticket)

        yield Awaited(store.put, put_all, store.get)


@asynccontextmanager
async def _alchemy(database: Database) -> AsyncGenerator[Peer, None]:
    """A repository of its own over a session for each call, as its documentation has it for a request."""
    engine = create_async_engine(database.admin_url.replace("postgresql://", "postgresql+asyncpg://"))
    row, repository = _mapped()
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def put(ticket: Ticket) -> None:
        async with sessions() as session:
            await repository(session=session).add(row(**_columns(ticket)), auto_commit=True)

    async def put_all(batch: Sequence[Ticket]) -> None:
        async with sessions() as session:
            await repository(session=session).add_many([row(**_columns(ticket)) for ticket in batch], auto_commit=True)

    async def get(ticket_id: str) -> object:
        async with sessions() as session:
            return await repository(session=session).get_one(company_id=COMPANY, platform=PLATFORM, ticket_id=ticket_id)

    try:
        async with engine.begin() as connection:
            await connection.run_sync(row.metadata.create_all)
        yield Awaited(put, put_all, get)
    finally:
        await engine.dispose()


_known: list[tuple[Any, Any]] = []  # Any: classes of a package that need not be here; a table can be mapped once


def _mapped() -> tuple[Any, Any]:
    if not _known:
        base, repositories = import_module("advanced_alchemy.base"), import_module("advanced_alchemy.repository")
        columns = {
            "company_id": mapped_column(String(100), primary_key=True),
            "platform": mapped_column(String(50), primary_key=True),
            "ticket_id": mapped_column(String(255), primary_key=True),
            "status": mapped_column(Text),
            "data": mapped_column(JSON),
        }
        row = type("Row", (base.DefaultBase,), {"__tablename__": "peer_document", "__module__": __name__, **columns})
        _known.append((row, type("Rows", (repositories.SQLAlchemyAsyncRepository,), {"model_type": row})))
    return _known[0]


def _row(ticket: Ticket) -> tuple[str, str, str, str | None, str]:
    return COMPANY, PLATFORM, ticket.ticket_id, ticket.fields.status, ticket.payload.decode()


def _columns(ticket: Ticket) -> dict[str, Any]:  # Any: whatever a payload holds
    return {
        "company_id": COMPANY,
        "platform": PLATFORM,
        "ticket_id": ticket.ticket_id,
        "status": ticket.fields.status,
        "data": orjson.loads(ticket.payload),
    }
