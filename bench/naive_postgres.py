"""
The PostgreSQL storage of the document that deskstore started from, and its migration, repaired just enough to run.

One session, one upsert and one commit for each ticket; a migration first reads the files of all. Repaired: the company is set by
set_config, since SET takes no parameters; ids are text, and not the `ticket_id` that no platform sends; the payload is cast to JSON. Not
repaired: a migration takes no more than 10,000 tickets, and says that it is complete.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import orjson
from attrs import frozen
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from bench.original import OriginalStorage
from bench.tickets import COMPANY, PLATFORM
from deskstore.domain.records import Ticket

TABLE: Final = """
    CREATE TABLE tickets (
        id serial PRIMARY KEY, company_id varchar(100) NOT NULL, platform varchar(50) NOT NULL, ticket_id varchar(255) NOT NULL,
        status varchar(50), raw_data jsonb NOT NULL, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
        UNIQUE (company_id, platform, ticket_id)
    );
    CREATE INDEX tickets_company ON tickets (company_id, platform);
    CREATE INDEX tickets_status ON tickets (status);
    CREATE INDEX tickets_created ON tickets (created_at);
    ALTER TABLE tickets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY own ON tickets USING (company_id = current_setting('app.current_company_id', true));
"""
_COMPANY: Final = text("SELECT set_config('app.current_company_id', :company, true)")
_UPSERT: Final = text("""
    INSERT INTO tickets (company_id, platform, ticket_id, status, raw_data) VALUES (:company, :platform, :id, :status, cast(:data AS jsonb))
    ON CONFLICT (company_id, platform, ticket_id) DO UPDATE SET raw_data = excluded.raw_data, status = excluded.status, updated_at = now()
""")
_SELECT: Final = text("SELECT raw_data FROM tickets WHERE company_id = :company AND platform = :platform AND ticket_id = :id")


@frozen
class NaivePostgres:
    """The storage with its connections open."""

    _engine: AsyncEngine

    async def put(self, ticket: Ticket) -> None:
        """Keep one ticket."""
        await _upsert(self._engine, ticket.ticket_id, ticket.fields.status, ticket.payload)

    async def get(self, ticket_id: str) -> object:
        """Read one ticket."""
        async with AsyncSession(self._engine) as session:
            await session.execute(_COMPANY, {"company": COMPANY})
            found = await session.execute(_SELECT, {"company": COMPANY, "platform": PLATFORM, "id": ticket_id})
            return found.scalar_one_or_none()


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[NaivePostgres]:
    """The storage, closed behind the block."""
    engine = _engine(url)
    try:
        yield NaivePostgres(engine)
    finally:
        await engine.dispose()


async def save_one_by_one(url: str, tickets: Iterable[Ticket]) -> None:
    """Keep tickets as the original does."""
    engine = _engine(url)
    for ticket in tickets:
        await _upsert(engine, ticket.ticket_id, ticket.fields.status, ticket.payload)
    await engine.dispose()


async def migrate_data(files: Path, url: str) -> None:
    """Move the tickets below a directory as the original does."""
    engine = _engine(url)
    for ticket in await OriginalStorage(files).list_tickets(COMPANY, PLATFORM, limit=10_000):
        await _upsert(engine, str(ticket["id"]), str(ticket["status"]), orjson.dumps(ticket))
    await engine.dispose()


def _engine(url: str) -> AsyncEngine:
    return create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))


async def _upsert(engine: AsyncEngine, ticket_id: str, status: str | None, payload: bytes) -> None:
    async with AsyncSession(engine) as session:
        await session.execute(_COMPANY, {"company": COMPANY})
        values = {"company": COMPANY, "platform": PLATFORM, "id": ticket_id, "status": status}
        await session.execute(_UPSERT, {**values, "data": payload.decode()})
        await session.commit()
