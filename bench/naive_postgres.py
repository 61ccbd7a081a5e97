"""
The PostgreSQL storage of the document that deskstore started from, repaired just enough to run.

One session, one upsert and one commit for each ticket. Repaired: the company is set by set_config, since SET takes no parameters; ids are
text; the payload is cast to JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from bench.tickets import COMPANY
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


async def save_one_by_one(url: str, tickets: Iterable[Ticket]) -> None:
    """Keep tickets as the original does."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    for ticket in tickets:
        async with AsyncSession(engine) as session:
            await session.execute(_COMPANY, {"company": COMPANY})
            values = {"company": COMPANY, "platform": ticket.platform, "id": ticket.ticket_id, "status": ticket.fields.status}
            await session.execute(_UPSERT, {**values, "data": ticket.payload.decode()})
            await session.commit()
    await engine.dispose()
