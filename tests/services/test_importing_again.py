"""An export that is imported again: what did not change is not touched, and what did decides what becomes of its processing and summary."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import frozen

from deskstore.adapters.file import FileStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.identifiers import ticket_key
from deskstore.domain.ports import Storage
from deskstore.domain.processing import COMPLETED, PENDING, Processing
from deskstore.domain.records import Ticket
from deskstore.domain.summaries import Summary
from deskstore.services.importing import ImportReport, import_records
from deskstore.services.processing import claim_tickets, complete
from deskstore.services.summaries import SummaryDraft, stale_summaries
from tests.payloads import freshdesk
from tests.services.conftest import Clock

ACME = "acme"


@frozen(kw_only=True)
class Kept:
    """All that is kept of a ticket."""

    ticket: Ticket | None
    processing: Processing | None
    summary: Summary | None


@pytest.fixture(params=["memory", "files"])
async def any_storage(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> AsyncIterator[Storage]:
    storage = MemoryStorage(clock) if request.param == "memory" else FileStorage(tmp_path / "data", clock=clock)
    yield storage
    await storage.aclose()


def written(folder: Path, *tickets: dict[str, object]) -> Path:
    (folder / "tickets.json").write_text(json.dumps(tickets, ensure_ascii=False), encoding="utf-8")
    return folder / "tickets.json"


async def brought_in(storage: Storage, export: Path) -> tuple[int, int, int, int, int]:
    report: ImportReport = await import_records(storage, ACME, "freshdesk", [export])
    return report.created, report.updated, report.unchanged, report.stale, report.rejected


async def kept(storage: Storage, ticket_id: str) -> Kept:
    async with storage.unit_of_work(ACME) as uow:
        return Kept(
            ticket=await uow.tickets.find("freshdesk", ticket_id),
            processing=await uow.progress.find("freshdesk", ticket_id),
            summary=await uow.summaries.current(ticket_key("freshdesk", ticket_id)),
        )


async def process_all(storage: Storage) -> None:
    for claimed in await claim_tickets(storage, ACME, "freshdesk", 10, worker="w"):
        await complete(storage, ACME, claimed, summary=SummaryDraft(content={"text": "brief"}))


async def test_an_unchanged_export_leaves_versions_times_processing_and_summaries_as_they_were(
    any_storage: Storage, clock: Clock, tmp_path: Path
) -> None:
    export = written(tmp_path, freshdesk(1), freshdesk(2))
    assert await brought_in(any_storage, export) == (2, 0, 0, 0, 0)
    await process_all(any_storage)
    before = [await kept(any_storage, ticket_id) for ticket_id in "12"]
    clock.advance(timedelta(hours=1))

    outcome = await brought_in(any_storage, export)

    assert outcome == (0, 0, 2, 0, 0)
    assert [await kept(any_storage, ticket_id) for ticket_id in "12"] == before
    assert [one.summary is not None and one.processing is not None and one.processing.status for one in before] == [COMPLETED, COMPLETED]


async def test_a_changed_text_is_pending_again_and_any_other_change_is_not(any_storage: Storage, clock: Clock, tmp_path: Path) -> None:
    await brought_in(any_storage, written(tmp_path, freshdesk(1), freshdesk(2), freshdesk(3)))
    await process_all(any_storage)
    clock.advance(timedelta(hours=1))
    older = freshdesk(3, updated_at="2025-12-31T00:00:00Z", description_text="an older text")

    outcome = await brought_in(
        any_storage, written(tmp_path, freshdesk(1, description_text="아직도 안 왔어요"), freshdesk(2, priority=4), older)
    )

    assert outcome == (0, 2, 0, 1, 0)
    processing = [(await kept(any_storage, ticket_id)).processing for ticket_id in "123"]
    assert [one and one.status for one in processing] == [PENDING, COMPLETED, COMPLETED]
    assert [stale.key.id async for stale in stale_summaries(any_storage, ACME)] == ["1"]
    third = (await kept(any_storage, "3")).ticket
    assert third is not None
    assert third.data == freshdesk(3)
