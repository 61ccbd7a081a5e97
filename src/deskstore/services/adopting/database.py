"""
Adopting: taking over the database that the prototype kept, without changing it.

Tickets and articles come first, summaries after them, so that what stood inside a ticket is its first summary. Every batch is one unit of
work, and all of it can be repeated: what is kept already is unchanged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Final, Protocol, TypeVar

from deskstore.domain import identifiers
from deskstore.domain.errors import ConfigurationError, InvalidRecord
from deskstore.domain.ports import Storage
from deskstore.formats.naive import FoundSummary
from deskstore.formats.naive_rows import ArticleRow, ProgressRow, TicketRow, read_article, read_summary, read_ticket
from deskstore.services.adopting.placing import ARTICLES, SUMMARIES, TICKETS, Done, Placing
from deskstore.services.adopting.records import FoundRecord
from deskstore.services.adopting.report import AdoptReport, Ledger
from deskstore.services.observing import use_case
from deskstore.services.receiving import BATCH_BYTES, BATCH_RECORDS

R = TypeVar("R", TicketRow, ArticleRow)
_STRANGER = "a column that the prototype did not have: what it holds is in the old database alone"
_PROGRESS = "progress"


class OldDatabase(Protocol):
    """What the prototype kept in PostgreSQL, as it stood at one moment."""

    @property
    def strangers(self) -> Sequence[str]:
        """Columns that the prototype did not have, each as table.column."""
        ...

    async def companies(self) -> Sequence[str]:
        """Every company that is named anywhere, ascending."""
        ...

    def tickets(self, company_id: str) -> AsyncIterator[TicketRow]:
        """A company's tickets."""
        ...

    def articles(self, company_id: str) -> AsyncIterator[ArticleRow]:
        """A company's articles."""
        ...

    async def progress(self, company_id: str) -> Sequence[ProgressRow]:
        """What it says of how far each platform's tickets have come."""
        ...


@use_case
async def adopt_database(
    storage: Storage,
    old: OldDatabase,
    *,
    companies: Collection[str] = (),
    dry_run: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> AdoptReport:
    """
    Take over a database that the prototype kept: tickets, articles, summaries and how far the processing had come.

    Args:
        old: The database; nothing in it is changed.
        companies: Those to take over; all where none is named.
        dry_run: Only say what would become of the rows.
        on_progress: Called with the number of rows done, after each batch.

    Raises:
        ConfigurationError: The database knows no company that was named.
    """
    ledger = Ledger()
    done = Done(on_progress)
    for stranger in old.strangers:
        ledger.leave("", "", "other", stranger, _STRANGER)
    for company_id in _chosen(await old.companies(), companies):
        await _Company(old=old, storage=storage, company_id=company_id, ledger=ledger, is_dry=dry_run, done=done).adopt()
    return ledger.report()


def _chosen(there: Sequence[str], companies: Collection[str]) -> Sequence[str]:
    if missing := sorted({*companies} - {*there}):
        raise ConfigurationError(f"the database knows no company {missing[0]!r}: name one that it has rows of")
    return [one for one in there if one in companies] if companies else there


async def _batches(rows: AsyncIterator[R]) -> AsyncIterator[list[R]]:
    batch: list[R] = []
    size_bytes = 0
    async for row in rows:
        batch.append(row)
        size_bytes += len(row.raw_data)
        if len(batch) == BATCH_RECORDS or size_bytes >= BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


class _Company:
    """One company on its way."""

    def __init__(self, *, old: OldDatabase, storage: Storage, company_id: str, ledger: Ledger, is_dry: bool, done: Done) -> None:
        self._old: Final = old
        self._company_id: Final = company_id
        self._done: Final = done
        self._here: Final[dict[str, tuple[str, str]]] = {}  #: what each place of the present batch is of
        self._placing: Final = Placing(storage=storage, company_id=company_id, ledger=ledger, is_dry=is_dry, where=self._here.__getitem__)

    async def adopt(self) -> None:
        """Keep all that can be placed, and name the rest."""
        try:
            identifiers.company_id(self._company_id)
        except InvalidRecord as error:
            await self._leave_all(str(error))
            return
        async for tickets in _batches(self._old.tickets(self._company_id)):
            await self._keep_tickets(tickets)
        async for articles in _batches(self._old.articles(self._company_id)):
            await self._keep_articles(articles)
        async for tickets in _batches(self._old.tickets(self._company_id)):
            await self._keep_summaries(tickets)
        for row in await self._old.progress(self._company_id):
            self._placing.compare(self._place(_PROGRESS, row.platform), row.platform, row.counts)

    async def _keep_tickets(self, batch: Sequence[TicketRow]) -> None:
        found: dict[str, FoundRecord] = {}
        for row in batch:
            place = self._place(TICKETS, row.platform, row.ticket_id)
            try:
                found[place] = read_ticket(row, self._company_id)
            except InvalidRecord as error:
                self._placing.leave(place, str(error))
        await self._keep(found, len(batch))

    async def _keep_articles(self, batch: Sequence[ArticleRow]) -> None:
        found: dict[str, FoundRecord] = {}
        for row in batch:
            place = self._place(ARTICLES, row.platform, row.article_id)
            try:
                found[place] = read_article(row, self._company_id)
            except InvalidRecord as error:
                self._placing.leave(place, str(error))
        await self._keep(found, len(batch))

    async def _keep(self, found: dict[str, FoundRecord], rows: int) -> None:
        await self._placing.keep_records(found)
        self._here.clear()
        self._done.add(rows)

    async def _keep_summaries(self, batch: Sequence[TicketRow]) -> None:
        found: dict[str, FoundSummary] = {}
        for row in batch:
            place = self._place(SUMMARIES, row.platform, row.ticket_id)
            try:
                if (summary := read_summary(row)) is not None:
                    found[place] = summary
            except InvalidRecord as error:
                self._placing.leave(place, str(error))
        await self._placing.keep_summaries(found)
        self._here.clear()

    async def _leave_all(self, reason: str) -> None:
        async for ticket in self._old.tickets(self._company_id):
            self._placing.leave(self._place(TICKETS, ticket.platform, ticket.ticket_id), reason)
        async for article in self._old.articles(self._company_id):
            self._placing.leave(self._place(ARTICLES, article.platform, article.article_id), reason)

    def _place(self, kind: str, *named: str) -> str:
        """How a row is named: what it holds, whose it is, and which one."""
        place = f"{kind}: {'/'.join((self._company_id, *named))}"
        self._here[place] = (named[0], kind)
        return place
