"""Databases for the bench: on a server of its own, each with deskstore's tables, reached as the application role that owns nothing."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager

import asyncpg
from attrs import frozen

from bench.tickets import COMPANY
from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.postgres.routines import columns
from deskstore.adapters.postgres.rows import record_row, state_row
from deskstore.domain import times
from deskstore.domain.processing import fresh
from deskstore.domain.records import Ticket
from tests.postgres.preparing import prepare
from tests.servers.choosing import postgres
from tests.servers.databases import Database, Databases, databases_on

SCHEMA = "deskstore"
NOW_US = 1_795_000_000_000_000


@frozen(kw_only=True)
class Bench:
    """A server, and the database that all others are made after."""

    databases: Databases
    template: str

    @asynccontextmanager
    async def fresh(self) -> AsyncGenerator[Database]:
        """A database with empty tables."""
        async with self.databases.fresh(self.template) as database:
            yield database


@asynccontextmanager
async def bench_server() -> AsyncGenerator[Bench]:
    """The server that TEST_DATABASE_URL names, or else the newest one here, with durable settings."""
    with postgres() as server:
        async with databases_on(server) as databases:
            yield Bench(databases=databases, template=await databases.template(prepare))


@asynccontextmanager
async def opened(database: Database) -> AsyncGenerator[PostgresStorage]:
    """A storage of the application role, with its first connection open."""
    storage = PostgresStorage(database.app_url)
    await storage.companies()
    try:
        yield storage
    finally:
        await storage.aclose()


@asynccontextmanager
async def admin(database: Database) -> AsyncGenerator[asyncpg.Connection]:
    """A superuser, whom no policy binds; counts are told what time it is."""
    connection = await asyncpg.connect(database.admin_url)
    await connection.execute(f"SET app.now_us = '{NOW_US}'")
    try:
        yield connection
    finally:
        await connection.close()


def ready_files(tickets: Iterable[Ticket]) -> tuple[bytes, bytes]:
    """The rows of tickets and of their processing as COPY reads them."""
    kept = list(tickets)
    states = (state_row(fresh(one.key, now=one.saved_at, version=1), times.microseconds(one.fields.created_at)) for one in kept)
    return _lines((record_row(one) for one in kept), "ticket"), _lines(states, "ticket_state")


async def copy_in(connection: asyncpg.Connection, files: tuple[bytes, bytes]) -> None:
    """Plain COPY of ready files into the same tables, with their indexes and triggers, in one transaction."""
    async with connection.transaction():
        for table, file in zip(("ticket", "ticket_state"), files, strict=True):
            names = ["company_id", *columns(table)]
            await connection.copy_to_table(table, schema_name=SCHEMA, source=io.BytesIO(file), columns=names)


def _lines(rows: Iterable[Sequence[object]], table: str) -> bytes:
    payload = len(columns(table)) - 1 if table == "ticket" else None
    return "".join(_line(row, payload) for row in rows).encode()


def _line(row: Sequence[object], payload: int | None) -> str:
    return "\t".join([COMPANY, *(_cell(cell, is_text=place == payload) for place, cell in enumerate(row))]) + "\n"


def _cell(cell: object, *, is_text: bool) -> str:
    if cell is None:
        return "\\N"
    if isinstance(cell, bytes) and not is_text:
        return f"\\\\x{cell.hex()}"
    text = cell.decode() if isinstance(cell, bytes) else str(cell)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
