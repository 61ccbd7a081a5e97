"""Tickets: kept as they came, found, listed and removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from deskstore.domain.errors import TicketNotFound
from deskstore.domain.identifiers import ticket_key
from deskstore.domain.paging import Filter, Page
from deskstore.domain.processing import ProcessingStatus
from deskstore.domain.records import Ticket
from deskstore.formats.options import Options
from deskstore.services.removing import delete_record

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage
    from deskstore.domain.receiving import Received
    from deskstore.domain.records import Incoming
    from deskstore.services.receiving import Payload

AS_GIVEN: Final = Options()


async def save_ticket(
    storage: Storage, company_id: str, platform: str, payload: Payload, *, options: Options = AS_GIVEN, force: bool = False
) -> Received:
    """
    Keep a ticket as its platform sent it, and say what became of it.

    Args:
        payload: The bytes, which are kept exactly, or their value as a dict, which is not changed.
        options: Fields that hold something else than the platform's own table says.
        force: Keep it even if the stored one is newer.

    Raises:
        InvalidRecord: It cannot be kept as it is; nothing was.
    """
    return (await save_tickets(storage, company_id, platform, [payload], options=options, force=force))[0]


async def save_tickets(
    storage: Storage, company_id: str, platform: str, payloads: Iterable[Payload], *, options: Options = AS_GIVEN, force: bool = False
) -> Sequence[Received]:
    """
    Keep many tickets in their order, in units of at most 1,000 or 8 MB, each kept whole.

    Raises:
        InvalidRecord: One of them cannot be kept as it is; none was.
    """
    from deskstore.formats import platforms  # who only reads starts without it
    from deskstore.services.receiving import as_bytes, receive_payloads

    def read(payload: Payload) -> Incoming:
        return platforms.ticket(platform, as_bytes(payload), options=options)

    return await receive_payloads(storage, company_id, payloads, read, force=force)


async def get_ticket(storage: Storage, company_id: str, platform: str, ticket_id: str) -> Ticket:
    """The ticket; raises TicketNotFound when there is none."""
    found = await find_ticket(storage, company_id, platform, ticket_id)
    if found is None:
        raise TicketNotFound(ticket_key(platform, ticket_id))
    return found


async def find_ticket(storage: Storage, company_id: str, platform: str, ticket_id: str) -> Ticket | None:
    """The ticket, or None when there is none."""
    async with storage.unit_of_work(company_id) as uow:
        return await uow.tickets.find(platform, ticket_id)


async def list_tickets(
    storage: Storage,
    company_id: str,
    platform: str | None = None,
    *,
    status: str | None = None,
    processing: ProcessingStatus | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[Ticket]:
    """
    A page of at most limit (1 to 1,000) tickets that pass all filters given, those created last first.

    Args:
        status: The platform's own text.
        after: The `next` of the page before.
    """
    where = Filter(platform=platform, status=status, processing=processing, created_from=created_from, created_to=created_to)
    async with storage.unit_of_work(company_id) as uow:
        return await uow.tickets.page(where, after=after, limit=limit)


async def delete_ticket(storage: Storage, company_id: str, platform: str, ticket_id: str) -> None:
    """Remove a ticket with its processing, claim and summaries; raises TicketNotFound when there is none."""
    await delete_record(storage, company_id, ticket_key(platform, ticket_id))
