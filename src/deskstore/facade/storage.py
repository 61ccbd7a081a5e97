"""The nine operations over any storage, and the one storage that the environment asks for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from deskstore.bootstrap import Settings, StorageType, open_storage
from deskstore.domain import identifiers
from deskstore.domain.errors import ArticleNotFound, InvalidRecord, TicketNotFound
from deskstore.domain.identifiers import record_id, ticket_key
from deskstore.facade import dicts
from deskstore.facade.opening import StoragePerLoop
from deskstore.facade.turns import Turns
from deskstore.services import companies

if TYPE_CHECKING:
    from deskstore.domain.payloads import Parsed
    from deskstore.domain.ports import Storage, UnitOfWork
    from deskstore.domain.records import Article, Incoming, Ticket


class DictStorage:
    """
    The nine operations on plain dicts.

    Dicts are never changed. A ticket is given as its payload's own keys, and under `_deskstore` what is kept beside it; a save takes that
    off again. An id is text or a whole number, as payloads have it. Times are text, ISO 8601 in UTC. Every operation on records raises
    InvalidIdentifier for names that break the rules, and CompanyRequired when no company is named.

    Args:
        storage: What keeps the records; whoever opened it closes it. None: what the environment asks for at the first awaited call.
    """

    def __init__(self, storage: Storage | None = None) -> None:
        self._storages: Final = StoragePerLoop(open_storage if storage is None else lambda: nullcontext(storage))
        self._turns: Final = Turns()

    async def save_ticket(
        self,
        company_id: str,
        platform: str,
        ticket_data: Mapping[str, Any],  # Any: a payload holds whatever the platform sent
        *,
        force: bool = False,
    ) -> str:
        """
        Keep a ticket, and give its id back; one that holds the same as the stored one changes nothing.

        Args:
            force: Keep it even if its platform made the stored one later, which else stays.

        Raises:
            InvalidRecord: It has no id, is no JSON, or has a key `_deskstore` of its own; nothing was kept.
        """
        from deskstore.formats import platforms  # who only reads starts without it

        named = identifiers.company_id(company_id)
        return await self._keep(named, platforms.ticket(platform, dicts.payload_of(ticket_data, "ticket_data")), force=force)

    async def get_ticket(self, company_id: str, platform: str, ticket_id: str | int) -> Parsed | None:
        """The ticket, or None when there is none."""
        identifier = record_id(ticket_id, "ticket_id")
        async with await self._unit(company_id) as uow:
            ticket = await uow.tickets.find(platform, identifier)
            return None if ticket is None else (await dicts.as_dicts(uow, [ticket]))[0]

    async def list_tickets(
        self,
        company_id: str,
        platform: str | None = None,
        status: str | int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Parsed]:
        """
        At most limit tickets behind the first offset ones, those created last first; no more than three reads for each 1,000.

        Args:
            status: The helpdesk's own text, or the name by which people know it on that platform: 4 on freshdesk is "resolved".

        Raises:
            InvalidRecord: The limit or the offset is negative.
        """
        from deskstore.facade import pages  # like what saves, loaded when it is asked for

        where = pages.tickets_of(platform or None, status)
        if limit < 0:
            raise InvalidRecord(f"limit is {limit}: it counts the tickets to give, from 0")
        async with await self._unit(company_id) as uow:
            return await pages.page(uow, where, offset=offset, limit=limit)

    async def update_processing_status(self, company_id: str, platform: str, ticket_id: str | int, status: str) -> bool:
        """
        Set how far a ticket has come; False only when there is no such ticket.

        Raises:
            InvalidTransition: The status cannot follow the present one.
            ClaimLost: A worker holds the ticket: only its claim may change the status.
            InvalidRecord: There is no such status.
        """
        from deskstore.services import processing  # like what saves, loaded when it is asked for

        company, key = identifiers.company_id(company_id), ticket_key(platform, record_id(ticket_id, "ticket_id"))
        storage = await self._storages.storage()
        async with self._turns.of(company, key):
            try:
                await processing.update_processing_status(storage, company, key.platform, key.id, status)
            except TicketNotFound:
                return False
        return True

    async def save_summary(
        self,
        company_id: str,
        platform: str,
        item_id: str | int,
        summary_data: Mapping[str, Any],  # Any: a summary holds whatever its writer says
        *,
        model: str | None = None,
        prompt_id: str | None = None,
        parameters: Mapping[str, Any] | None = None,  # Any: what a model was called with
        tokens: int | None = None,
        cost: float | None = None,
        pinned: bool = False,
    ) -> bool:
        """
        Keep one more summary of the ticket, or where there is none of the article, with this id.

        Args:
            summary_data: Any JSON object; nothing is read out of it.
            pinned: Written by a person: stays the one that is shown, whatever comes after it.

        Returns:
            False when there is neither, or when the article has several locales: those take deskstore.save_summary().

        Raises:
            InvalidRecord: The summary is no JSON.
        """
        from deskstore.services.summaries import SummaryDraft, save_summary  # who only reads starts without it

        content, called_with = dicts.checked(summary_data, "summary_data"), dicts.checked(parameters or {}, "parameters")
        draft = SummaryDraft(
            content=content, model=model, prompt_id=prompt_id, parameters=called_with, tokens=tokens, cost=cost, pinned=pinned
        )
        async with await self._unit(company_id) as uow:
            record = await _summarised(uow, platform, record_id(item_id, "item_id"))
        if record is None:
            return False
        try:
            await save_summary(await self._storages.storage(), company_id, record, draft)
        except (TicketNotFound, ArticleNotFound):
            return False
        return True

    async def get_processing_progress(self, company_id: str, platform: str) -> Parsed:
        """How many tickets of a platform there are, how many are processed (completed), failed, pending, in work, and in per cent."""
        from deskstore.services import processing  # like what saves, loaded when it is asked for

        progress = await processing.get_processing_progress(await self._storages.storage(), company_id, platform)
        return {
            "total_tickets": progress.total,
            "processed_tickets": progress.completed,
            "failed_tickets": progress.failed,
            "progress_percentage": progress.percentage,
            "last_updated": dicts.written(progress.last_updated),
            "pending_tickets": progress.pending,
            "processing_tickets": progress.processing,
        }

    async def save_kb_article(
        self,
        company_id: str,
        platform: str,
        article_data: Mapping[str, Any],  # Any: a payload holds whatever the platform sent
        *,
        force: bool = False,
    ) -> str:
        """
        Keep a knowledge-base article in the locale its payload says, and give its id back; raises as save_ticket does.

        Args:
            force: Keep it even if its platform made the stored one later, which else stays.
        """
        from deskstore.formats import platforms  # who only reads starts without it

        named = identifiers.company_id(company_id)
        return await self._keep(named, platforms.article(platform, dicts.payload_of(article_data, "article_data")), force=force)

    async def list_companies(self) -> list[str]:
        """Every registered company, ascending."""
        return [*await companies.list_companies(await self._storages.storage())]

    async def get_platform_stats(self, company_id: str) -> dict[str, dict[str, int]]:
        """How many tickets and articles there are, in all locales, by platform."""
        found = await companies.get_platform_stats(await self._storages.storage(), company_id)
        return {stats.platform: {"tickets": stats.tickets, "knowledge_base": stats.articles, "total": stats.total} for stats in found}

    async def aclose(self) -> None:
        """Close the storage that was opened for the running event loop, if one was; the next call opens it again."""
        await self._storages.aclose()

    async def _keep(self, company_id: str, incoming: Incoming, *, force: bool) -> str:
        from deskstore.services.receiving import receive_all  # who only reads starts without it

        storage = await self._storages.storage()
        async with self._turns.of(company_id, incoming.key):
            await receive_all(storage, company_id, [incoming], by_value=True, force=force)
        return incoming.key.id

    async def _unit(self, company_id: str) -> UnitOfWork:
        return (await self._storages.storage()).unit_of_work(company_id)


async def _summarised(uow: UnitOfWork, platform: str, item_id: str) -> Ticket | Article | None:
    ticket = await uow.tickets.find(platform, item_id)
    if ticket is not None:
        return ticket
    locales = await uow.articles.locales(platform, item_id)
    return await uow.articles.find(platform, item_id, locales[0]) if len(locales) == 1 else None


# -- the storage of the environment --------------------------------------------------------------------------------------------------------


class StorageFactory:
    """Makes what the environment asks for."""

    @staticmethod
    def create_storage() -> DictStorage:
        """
        Another facade over the storage that the environment asks for, which is opened at the first awaited call.

        Raises:
            ConfigurationError: The environment holds values that are not accepted; all of them are named.
        """
        Settings.from_environment()
        return DictStorage()

    @staticmethod
    def get_supported_types() -> list[str]:
        """What STORAGE_TYPE may say, storages by others aside."""
        return [StorageType.FILE.value, StorageType.POSTGRESQL.value, StorageType.HYBRID.value]


_shared: Final[list[DictStorage]] = []
_sharing: Final = Lock()


def get_storage() -> DictStorage:
    """
    The one facade of this process, over the storage that the environment asks for when it is opened.

    Raises:
        ConfigurationError: As create_storage() raises it.
    """
    with _sharing:
        if not _shared:
            _shared.append(StorageFactory.create_storage())
        return _shared[0]
