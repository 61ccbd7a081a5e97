"""What an application that checks its types writes: type checkers see what each call gives, and where it is called wrongly."""

from __future__ import annotations

from typing import assert_type

import deskstore


async def keep(storage: deskstore.Storage, payload: dict[str, object]) -> str:
    """A use case, a unit of work and a page."""
    received = await deskstore.save_ticket(storage, "acme", "freshdesk", payload)
    assert_type(received, deskstore.Received)
    async with storage.unit_of_work("acme") as uow:
        ticket = await uow.tickets.find("freshdesk", "42")
        assert_type(ticket, deskstore.Ticket | None)
        await uow.commit()
    page = await deskstore.list_tickets(storage, "acme", limit=10)
    assert_type(page, deskstore.Page[deskstore.Ticket])
    return received.key.id
