"""What files hold goes into PostgreSQL and back byte for byte, the odd and the ugly too."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve

from deskstore.adapters.file import FileStorage
from deskstore.domain.mirror import PARTS
from deskstore.domain.paging import EVERYTHING
from deskstore.testing.desk import Desk, Everything
from deskstore.testing.makers import a_summary, a_ticket, an_article
from deskstore.testing.strategies import HOSTILE_PAYLOADS


async def carry(source: Desk, target: Desk) -> None:
    """All that one storage keeps of a company, into another that knows nothing of it."""
    for part in PARTS:
        await target.replica().apply([copy async for copy in source.replica().copies(part)], epoch=None)


async def kept(desk: Desk) -> Everything:
    """All that can be read, but for when counts last changed: a copy is a change of its own."""
    found = await desk.everything()
    return evolve(found, progress=[evolve(one, last_updated=None) for one in found.progress])


async def test_hostile_documents_go_from_files_into_postgres_and_back_byte_for_byte(tmp_path: Path, desk: Desk) -> None:
    before, after = [Desk(FileStorage(tmp_path / place), desk.company_id) for place in ("before", "after")]
    tickets = [a_ticket(str(number), payload=payload) for number, payload in enumerate(HOSTILE_PAYLOADS)]
    await before.keep(*tickets, *(an_article(str(number), payload=payload) for number, payload in enumerate(HOSTILE_PAYLOADS)))
    await before.summarise(*(a_summary(ticket.key, content=ticket.payload) for ticket in tickets))

    await carry(before, desk)
    await carry(desk, after)

    assert await kept(desk) == await kept(before) == await kept(after)
    async with desk.unit() as uow:
        assert len((await uow.tickets.page_at(EVERYTHING, offset=0)).items) == len(tickets)
    for one in (before, after):
        await one.storage.aclose()
