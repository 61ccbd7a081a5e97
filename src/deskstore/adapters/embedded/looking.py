"""What the tables of a server hold, asked in SQL past the storage that keeps them: to see from outside whether it is so."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncpg

    Driver = asyncpg.Connection[asyncpg.Record]

_RECORDS: Final = """
    SELECT company_id, platform, ticket_id, '', payload::text FROM deskstore.ticket
    UNION ALL SELECT company_id, platform, article_id, locale, payload::text FROM deskstore.article
"""


async def payloads(owner_url: str) -> Sequence[tuple[str, str, str, str, str]]:
    """Company, platform, id, locale (empty for a ticket) and payload of every record, as the owner sees them, whom no policy binds."""
    async with _connected(owner_url) as connection:
        rows = await connection.fetch(_RECORDS)
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


async def counted(owner_url: str, company_id: str) -> int:
    """How many tickets of a company the tables hold."""
    async with _connected(owner_url) as connection:
        return int(await connection.fetchval("SELECT count(*) FROM deskstore.ticket WHERE company_id = $1", company_id))


async def seen_by(app_url: str, company_id: str) -> tuple[int, int]:
    """How many tickets of its own, and of others, the application finds in SQL of its own; an empty name: bound to no company."""
    async with _connected(app_url) as connection, connection.transaction():
        await connection.execute("SELECT set_config('app.current_company_id', $1, true)", company_id)
        own = await connection.fetchval("SELECT count(*) FROM deskstore.ticket WHERE company_id = $1", company_id)
        return int(own), int(await connection.fetchval("SELECT count(*) FROM deskstore.ticket")) - int(own)


async def spoil(owner_url: str, company_id: str, platform: str, ticket_id: str) -> None:
    """Change a ticket in the tables past everybody, as no application can."""
    statement = "UPDATE deskstore.ticket SET payload = '{}' WHERE (company_id, platform, ticket_id) = ($1, $2, $3)"
    async with _connected(owner_url) as connection:
        await connection.execute(statement, company_id, platform, ticket_id)


@asynccontextmanager
async def _connected(url: str) -> AsyncGenerator[Driver]:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
