"""The database that the prototype kept, read in one transaction that sees it as it stood at one moment; nothing is changed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from deskstore.adapters.postgres.addresses import driven, named
from deskstore.adapters.postgres.errors import translated
from deskstore.domain.errors import ConfigurationError
from deskstore.formats.naive_rows import ArticleRow, ProgressRow, TicketRow

if TYPE_CHECKING:
    Driver = asyncpg.Connection[asyncpg.Record]

_CONNECT_S: Final = 10.0
_OPTION: Final = "--from-postgres"  #: what messages name
_AHEAD: Final = 100  #: rows that are fetched at a time
_TICKETS: Final = "tickets"
_ARTICLES: Final = "knowledge_base"
_PROGRESS: Final = "processing_progress"
_DATED: Final = ("company_id", "platform", "created_at", "updated_at", "raw_data", "id")
#: the tables of the prototype, with the columns that it gave them
COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    _TICKETS: frozenset({*_DATED, "ticket_id", "processed_data", "summary", "processing_status"}),
    _ARTICLES: frozenset({*_DATED, "article_id", "title", "content"}),
    _PROGRESS: frozenset(
        {"id", "company_id", "platform", "total_items", "processed_items", "failed_items", "progress_percentage", "last_updated"}
    ),
}
#: times without a zone were written in the session's own
_TICKET_ROWS: Final = """SELECT t.platform, t.ticket_id, t.raw_data::text, t.processed_data::text, t.summary::text, t.processing_status,
    t.created_at::timestamptz, t.updated_at::timestamptz
FROM tickets t WHERE t.company_id = $1 ORDER BY t.platform COLLATE "C", t.ticket_id COLLATE "C" """
_ARTICLE_ROWS: Final = """SELECT k.platform, k.article_id, k.title, k.content, k.raw_data::text, k.updated_at::timestamptz
FROM knowledge_base k WHERE k.company_id = $1 ORDER BY k.platform COLLATE "C", k.article_id COLLATE "C" """
_PROGRESS_ROWS: Final = """SELECT p.platform, p.total_items, p.processed_items, p.failed_items
FROM processing_progress p WHERE p.company_id = $1 ORDER BY p.platform COLLATE "C" """


class NaiveDatabase:
    """One such database, while it is open."""

    def __init__(self, driver: Driver, place: str, there: Mapping[str, frozenset[str]]) -> None:
        self._driver: Final = driver
        self._place: Final = place
        self._there: Final = there

    @property
    def strangers(self) -> Sequence[str]:
        """Columns that the prototype did not have, each as table.column."""
        return [f"{table}.{column}" for table, columns in sorted(self._there.items()) for column in sorted(columns - COLUMNS[table])]

    async def companies(self) -> Sequence[str]:
        """Every company that a table names, ascending."""
        union = " UNION ".join(f"SELECT o.company_id FROM {table} o" for table in sorted(self._there))  # noqa: S608 - names of ours
        with translated(self._place):
            return sorted(row[0] for row in await self._driver.fetch(union))

    async def tickets(self, company_id: str) -> AsyncIterator[TicketRow]:
        """A company's tickets, ascending by platform and id."""
        async for row in self._rows(_TICKETS, _TICKET_ROWS, company_id):
            platform, ticket_id, raw_data, processed_data, summary, status, created_at, updated_at = row
            yield TicketRow(
                platform=platform,
                ticket_id=ticket_id,
                raw_data=_bytes(raw_data) or b"",
                processed_data=_bytes(processed_data),
                summary=_bytes(summary),
                processing_status=status,
                created_at=created_at,
                updated_at=updated_at,
            )

    async def articles(self, company_id: str) -> AsyncIterator[ArticleRow]:
        """A company's articles, ascending by platform and id."""
        async for platform, article_id, title, content, raw_data, updated_at in self._rows(_ARTICLES, _ARTICLE_ROWS, company_id):
            yield ArticleRow(
                platform=platform,
                article_id=article_id,
                title=title,
                content=content,
                raw_data=_bytes(raw_data) or b"",
                updated_at=updated_at,
            )

    async def progress(self, company_id: str) -> Sequence[ProgressRow]:
        """What the database says of how far each platform's tickets have come."""
        found = [row async for row in self._rows(_PROGRESS, _PROGRESS_ROWS, company_id)]
        return [ProgressRow(platform=row[0], total=row[1], processed=row[2], failed=row[3]) for row in found]

    async def _rows(self, table: str, query: str, company_id: str) -> AsyncIterator[Any]:  # Any: rows of values of every type
        if table not in self._there:
            return
        with translated(self._place):
            async for row in self._driver.cursor(query, company_id, prefetch=_AHEAD):
                yield row


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[NaiveDatabase]:
    """
    Open such a database for reading, all of it as it stands at this moment.

    Raises:
        ConfigurationError: The address, the login or the tables are not those of such a database, or its policies hide rows from this
        login. StorageUnavailable: It cannot be reached.
    """
    address = driven(url, _OPTION)
    place = address.render_as_string(hide_password=True)
    with named(_OPTION), translated(place):
        driver = await asyncpg.connect(address.render_as_string(hide_password=False), timeout=_CONNECT_S)
    try:
        async with driver.transaction(isolation="repeatable_read", readonly=True):
            with named(_OPTION), translated(place):
                there = await _tables(driver)
            yield NaiveDatabase(driver, place, there)
    finally:
        await driver.close()


async def _tables(driver: Driver) -> dict[str, frozenset[str]]:
    there: dict[str, frozenset[str]] = {}
    for table, known in COLUMNS.items():
        found = await driver.fetch(
            "SELECT a.attname FROM pg_catalog.pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped",
            table,
        )
        columns = frozenset(row[0] for row in found)
        if columns and (missing := sorted(known - columns - {"id"})):
            raise ConfigurationError(f"{_OPTION}: the table {table} has no column {missing[0]}: it is none that the prototype made")
        if columns:
            there[table] = columns
            await _refuse_hidden_rows(driver, table)
    if _TICKETS not in there:
        raise ConfigurationError(f"{_OPTION}: the database has no table {_TICKETS}: name the one that the prototype kept")
    return there


async def _refuse_hidden_rows(driver: Driver, table: str) -> None:
    if await driver.fetchval("SELECT row_security_active(to_regclass($1))", table):
        raise ConfigurationError(
            f"{_OPTION}: row-level security hides rows of {table} from this login: take that of the tables' owner, or of a superuser"
        )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
