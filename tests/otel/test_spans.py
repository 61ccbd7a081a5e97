"""An observed storage tells each use case, each batch and each operation once, with what came of it, on every storage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import cast

import pytest
from opentelemetry.trace import StatusCode

from deskstore.adapters.file import FileStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.observing import ObservedStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.errors import ClaimLost, CompanyRequired, InvalidIdentifier, TicketNotFound, UncommittedChanges, VersionConflict
from deskstore.domain.ports import Storage
from deskstore.domain.records import Ticket
from deskstore.facade import DictStorage
from deskstore.services.backup import create_backup, restore_backup
from deskstore.services.companies import erase_company
from deskstore.services.erasing import erase_requester
from deskstore.services.exporting import export_records
from deskstore.services.holding import HeldClaim
from deskstore.services.importing import import_records
from deskstore.services.processing import claim_tickets, complete
from deskstore.services.summaries import SummaryDraft
from deskstore.services.tickets import find_ticket, get_ticket, list_tickets, save_ticket, save_tickets
from deskstore.services.working import work_off
from tests.otel.seeing import Seen, told
from tests.payloads import as_bytes, freshdesk

DESK = "freshdesk"


@pytest.fixture(params=["memory", "file", "postgresql"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str, seen: Seen) -> AsyncIterator[Storage]:
    beneath: Storage
    match request.param:
        case "memory":
            beneath = MemoryStorage()
        case "file":
            beneath = FileStorage(tmp_path / "data")
        case _:
            beneath = PostgresStorage(postgres_url)
    opened = ObservedStorage(beneath, seen.observer, adapter=request.param)
    yield opened
    await opened.aclose()


async def test_a_use_case_is_a_span_with_its_company_and_what_came_of_it(storage: ObservedStorage, company_id: str, seen: Seen) -> None:
    await save_ticket(storage, company_id, DESK, freshdesk(42))

    span = seen.span("deskstore.save_ticket")
    expected = {"adapter": storage.adapter, "company_id": company_id, "platform": DESK, "created": 1, "outcome": "created", "rows": 1}
    assert told(span) == expected
    assert "deskstore.storage.commit" in seen.within(span)
    assert span.status.status_code is StatusCode.UNSET


async def test_what_becomes_of_a_ticket_is_told_each_time(storage: Storage, company_id: str, seen: Seen) -> None:
    for status in (2, 2, 5):
        await save_ticket(storage, company_id, DESK, freshdesk(42) | {"status": status})

    assert [told(span)["outcome"] for span in seen.spans("deskstore.save_ticket")] == ["created", "unchanged", "updated"]


async def test_each_batch_of_an_import_is_a_span_within_it(storage: Storage, company_id: str, seen: Seen, tmp_path: Path) -> None:
    export = tmp_path / "export.json"
    export.write_bytes(as_bytes([freshdesk(number) for number in range(25)] + [{"subject": "no id"}]))

    await import_records(storage, company_id, DESK, [export], batch_records=10)

    span = seen.span("deskstore.import_records")
    assert {"company_id": company_id, "platform": DESK, "created": 25, "rejected": 1}.items() <= told(span).items()
    batches = [told(one) for one in seen.spans("deskstore.import_records.batch")]
    assert [batch["created"] for batch in batches if "created" in batch] == [10, 10, 5]
    assert len(batches) == seen.within(span).count("deskstore.import_records.batch")


async def test_an_export_tells_how_many_rows_it_read(storage: Storage, company_id: str, seen: Seen, tmp_path: Path) -> None:
    await save_tickets(storage, company_id, DESK, [freshdesk(number) for number in range(5)])

    await export_records(storage, company_id, tmp_path / "all.ndjson")

    assert told(seen.span("deskstore.export_records"))["records"] == 5
    assert [told(span)["rows"] for span in seen.spans("deskstore.storage.stream")] == [5]


async def test_a_stream_that_is_left_early_is_no_error(storage: Storage, company_id: str, seen: Seen) -> None:
    await save_tickets(storage, company_id, DESK, [freshdesk(number) for number in range(5)])

    stream = cast("AsyncGenerator[Ticket, None]", storage.backend(company_id).tickets.stream())
    async with aclosing(stream):
        first = await anext(stream)

    assert first.platform == DESK
    span = seen.span("deskstore.storage.stream")
    assert (told(span)["rows"], span.status.status_code) == (1, StatusCode.UNSET)
    assert "error.type" not in told(span)


async def test_a_backup_and_its_restore_tell_each_batch_of_copies(storage: Storage, company_id: str, seen: Seen, tmp_path: Path) -> None:
    await save_tickets(storage, company_id, DESK, [freshdesk(number) for number in range(5)])
    backup = await create_backup(storage, company_id, tmp_path / "acme.tar")
    await erase_company(storage, company_id)

    await restore_backup(storage, company_id, backup.path)

    assert told(seen.span("deskstore.create_backup"))["company_id"] == company_id
    assert sum(_number(told(span)["rows"]) for span in seen.spans("deskstore.storage.copies")) >= 10
    assert "deskstore.storage.copy" in seen.within(seen.span("deskstore.restore_backup"))
    erased = seen.span("deskstore.erase_company")
    assert {"company_id": company_id, "tickets": 5, "processing": 5}.items() <= told(erased).items()
    assert seen.within(erased) == ["deskstore.storage.erase"]


async def test_who_is_erased_is_not_told(storage: Storage, company_id: str, seen: Seen) -> None:
    await save_ticket(storage, company_id, DESK, freshdesk(42) | {"requester_id": 987654321})

    await erase_requester(storage, company_id, DESK, "987654321")

    assert told(seen.span("deskstore.erase_requester"))["tickets"] == 1
    assert "987654321" not in seen.everything()


async def test_claims_are_told_and_so_is_what_became_of_them(storage: Storage, company_id: str, seen: Seen) -> None:
    await save_tickets(storage, company_id, DESK, [freshdesk(number) for number in range(3)])

    first, *_ = await claim_tickets(storage, company_id, DESK, 2, worker="w")
    await complete(storage, company_id, first, summary=SummaryDraft(content={"text": "short"}))
    with pytest.raises(ClaimLost):
        await complete(storage, company_id, first)

    asked = seen.span("deskstore.claim_tickets")
    assert {"company_id": company_id, "platform": DESK, "taken": 2}.items() <= told(asked).items()
    assert seen.within(asked) == ["deskstore.storage.claim"]
    kept, lost = seen.spans("deskstore.complete")
    assert (told(kept)["completed"], told(kept)["summaries"]) == (1, 1)
    assert (told(lost)["error.type"], lost.status.status_code) == ("ClaimLost", StatusCode.ERROR)
    counted = {outcome: seen.metric("deskstore.claims", outcome=outcome) for outcome in ("taken", "completed", "lost")}
    assert counted == {"taken": 2, "completed": 1, "lost": 1}


async def test_each_ticket_in_the_hands_of_a_worker_is_a_span_and_so_is_the_run(storage: Storage, company_id: str, seen: Seen) -> None:
    await save_tickets(storage, company_id, DESK, [freshdesk(number) for number in range(3)])

    async def work(claim: HeldClaim) -> None:
        with seen.tracer.start_as_current_span("the model"):
            if claim.ticket.ticket_id == "2":
                raise TimeoutError("secret")

    await work_off(storage, company_id, DESK, work, concurrency=1, until_done=True)

    run, claims = seen.span("deskstore.work_off"), seen.spans("deskstore.claim")
    expected = {"company_id": company_id, "platform": DESK, "completed": 2, "failed": 1, "released": 0, "lost": 0}
    assert expected.items() <= told(run).items()
    assert sorted(str(told(one)["outcome"]) for one in claims) == ["completed", "completed", "failed"]
    assert all({"company_id": company_id, "platform": DESK, "attempts": 1}.items() <= told(one).items() for one in claims)
    assert [seen.within(one) for one in claims if told(one)["outcome"] == "completed"] == [["the model", "deskstore.complete"]] * 2
    (failed,) = [one for one in claims if told(one)["outcome"] == "failed"]
    assert (told(failed)["error.type"], failed.status.status_code) == ("TimeoutError", StatusCode.ERROR)
    assert "deskstore.fail" in seen.within(failed)
    assert len(seen.spans("deskstore.find_ticket")) == 3


async def test_a_run_that_may_last_for_weeks_is_no_trace_of_all_that_it_did(storage: Storage, company_id: str, seen: Seen) -> None:
    await save_tickets(storage, company_id, DESK, [freshdesk(number) for number in range(3)])
    stop = asyncio.Event()

    async def work(_: HeldClaim) -> None:
        stop.set()

    await work_off(storage, company_id, DESK, work, concurrency=3, stop=stop)

    assert seen.within(seen.span("deskstore.work_off")) == []
    assert {one.parent for one in seen.spans("deskstore.claim")} == {None}
    assert len(seen.spans("deskstore.work_off")) == 1
    assert seen.metric("deskstore.claim.duration") == len(seen.spans("deskstore.claim")) >= 1
    assert seen.metric("deskstore.use_case.duration", operation="work_off") == 1


async def test_each_operation_on_dicts_is_a_use_case(storage: Storage, company_id: str, seen: Seen) -> None:
    desk = DictStorage(storage)

    await desk.save_ticket(company_id, DESK, freshdesk(42))
    await desk.get_ticket(company_id, DESK, 42)
    await desk.list_tickets(company_id)

    assert [span.name for span in seen.spans() if "storage" not in span.name] == [
        "deskstore.save_ticket",
        "deskstore.get_ticket",
        "deskstore.list_tickets",
    ]


async def test_a_unit_of_work_of_the_application_is_one_span(storage: Storage, company_id: str, seen: Seen) -> None:
    await save_ticket(storage, company_id, DESK, freshdesk(42))

    async with storage.unit_of_work(company_id) as uow:
        ticket = await uow.tickets.find(DESK, "42")
        assert ticket is not None
        uow.tickets.delete(ticket.key, version=ticket.version)
        await uow.commit()

    span = seen.span("deskstore.unit_of_work")
    assert seen.within(span) == ["deskstore.storage.find", "deskstore.storage.commit"]
    assert told(span)["deleted"] == 1


async def test_an_error_is_told_by_its_class_and_never_by_its_message(storage: Storage, company_id: str, seen: Seen) -> None:
    with pytest.raises(TicketNotFound):
        await get_ticket(storage, company_id, DESK, "a-secret-id")
    ticket = await _saved(storage, company_id)
    with pytest.raises(VersionConflict):
        await _save_stale(storage, company_id, ticket)

    span = seen.span("deskstore.unit_of_work")
    assert (told(span)["error.type"], span.status.description, span.events) == ("VersionConflict", None, ())
    assert "a-secret-id" not in seen.everything()
    assert seen.metric("deskstore.storage.duration", operation="commit", error_type="VersionConflict") == 1


async def test_what_was_never_committed_is_an_error_of_the_unit(storage: Storage, company_id: str, seen: Seen) -> None:
    ticket = await _saved(storage, company_id)

    with pytest.raises(UncommittedChanges):
        async with storage.unit_of_work(company_id) as uow:
            uow.tickets.save(ticket)

    assert told(seen.span("deskstore.unit_of_work"))["error.type"] == "UncommittedChanges"


async def test_a_cancelled_use_case_is_told_and_is_no_error(company_id: str, seen: Seen) -> None:
    storage = ObservedStorage(MemoryStorage(), seen.observer, adapter="memory")
    begun = asyncio.Event()

    async def waits() -> None:
        async with storage.unit_of_work(company_id):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(waits())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])

    span = seen.span("deskstore.unit_of_work")
    assert (told(span)["error.type"], span.status.status_code) == ("CancelledError", StatusCode.UNSET)


async def test_a_name_that_breaks_the_rules_is_not_told(storage: Storage, seen: Seen, tmp_path: Path) -> None:
    with pytest.raises(CompanyRequired):
        await find_ticket(storage, "", DESK, "42")
    with pytest.raises(InvalidIdentifier):
        await export_records(storage, "a secret\n", tmp_path / "all.ndjson")

    assert "a secret" not in seen.everything()


async def test_spans_belong_to_what_the_application_was_doing(storage: Storage, company_id: str, seen: Seen) -> None:
    with seen.tracer.start_as_current_span("a request"):
        await list_tickets(storage, company_id)
        await save_ticket(storage, company_id, DESK, freshdesk(42))

    assert seen.within(seen.span("a request")) == ["deskstore.list_tickets", "deskstore.save_ticket"]


async def _saved(storage: Storage, company_id: str) -> Ticket:
    await save_ticket(storage, company_id, DESK, freshdesk(42))
    return await get_ticket(storage, company_id, DESK, "42")


async def _save_stale(storage: Storage, company_id: str, ticket: Ticket) -> None:
    await save_ticket(storage, company_id, DESK, freshdesk(42) | {"status": 5})
    async with storage.unit_of_work(company_id) as uow:
        uow.tickets.save(ticket)
        await uow.commit()


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value
