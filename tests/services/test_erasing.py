"""Requesters who are erased go with all that is theirs, stay out, and come back only when somebody lets them in."""

from pathlib import Path

import pytest

from deskstore.adapters.file import FileStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import InvalidRecord
from deskstore.domain.identifiers import TICKET, Key
from deskstore.domain.receiving import CREATED, SUPPRESSED
from deskstore.services.erasing import erase_requester, lift_suppression
from deskstore.services.importing import import_records
from deskstore.services.summaries import SummaryDraft, save_summary
from deskstore.services.tickets import find_ticket, get_ticket, save_ticket, save_tickets
from tests.payloads import as_bytes, freshdesk

ACME = "acme"
KIM = 77
LEE = 88


async def keep_three(storage: MemoryStorage | FileStorage) -> None:
    """Two tickets of Kim, the first one with a summary, and one of Lee."""
    await save_tickets(
        storage, ACME, "freshdesk", [freshdesk(1, requester_id=KIM), freshdesk(2, requester_id=LEE), freshdesk(3, requester_id=KIM)]
    )
    await save_summary(storage, ACME, await get_ticket(storage, ACME, "freshdesk", "1"), SummaryDraft(content={"short": "late"}))


async def test_a_dry_run_counts_and_changes_nothing(storage: MemoryStorage) -> None:
    await keep_three(storage)

    receipt = await erase_requester(storage, ACME, "freshdesk", str(KIM), dry_run=True)

    assert receipt is not None
    assert (receipt.tickets, receipt.summaries, receipt.digest, receipt.kept_out_since) == (2, 1, None, None)
    assert await find_ticket(storage, ACME, "freshdesk", "1") is not None
    assert (await save_ticket(storage, ACME, "freshdesk", freshdesk(4, requester_id=KIM))).outcome is CREATED


async def test_what_comes_of_an_erased_requester_is_reported_as_suppressed_and_not_kept(storage: MemoryStorage) -> None:
    await keep_three(storage)
    await erase_requester(storage, ACME, "freshdesk", str(KIM))

    received = await save_tickets(
        storage, ACME, "freshdesk", [freshdesk(1, requester_id=KIM), freshdesk(4, requester_id=LEE), freshdesk(5, requester_id=KIM)]
    )

    assert [(one.key.id, one.outcome, one.version > 0) for one in received] == [
        ("1", SUPPRESSED, False),
        ("4", CREATED, True),
        ("5", SUPPRESSED, False),
    ]
    assert await find_ticket(storage, ACME, "freshdesk", "5") is None


async def test_a_ticket_that_comes_twice_in_a_batch_is_kept_as_it_came_of_somebody_else(storage: MemoryStorage, tmp_path: Path) -> None:
    await keep_three(storage)
    await erase_requester(storage, ACME, "freshdesk", str(KIM))
    theirs, after = freshdesk(9, requester_id=LEE), freshdesk(9, requester_id=KIM, updated_at="2026-02-02T03:04:05Z")
    (path := tmp_path / "both.ndjson").write_bytes(as_bytes(theirs) + b"\n" + as_bytes(after) + b"\n")

    report = await import_records(storage, ACME, "freshdesk", [path])

    assert (report.created, report.suppressed, report.updated) == (1, 1, 0)
    assert (await get_ticket(storage, ACME, "freshdesk", "9")).fields.requester == str(LEE)


@pytest.mark.parametrize("batch_records", [1, 2, 1_000])
async def test_an_import_counts_the_suppressed_and_rejects_nothing(storage: MemoryStorage, tmp_path: Path, batch_records: int) -> None:
    await keep_three(storage)
    await erase_requester(storage, ACME, "freshdesk", str(KIM))
    await erase_requester(storage, ACME, "freshdesk", "99")
    requesters = [KIM, LEE, 99, KIM, None]
    path = tmp_path / "tickets.ndjson"
    path.write_bytes(b"".join(as_bytes(freshdesk(10 + n, requester_id=one)) + b"\n" for n, one in enumerate(requesters)))

    foreseen = await import_records(storage, ACME, "freshdesk", [path], dry_run=True, batch_records=batch_records)
    report = await import_records(storage, ACME, "freshdesk", [path], batch_records=batch_records)

    assert (report.created, report.suppressed, report.rejected, report.records) == (2, 3, 0, 5)
    assert (foreseen.created, foreseen.suppressed, foreseen.rejected) == (2, 3, 0)


async def test_lifting_lets_the_requester_in_again(storage: MemoryStorage) -> None:
    await keep_three(storage)
    await erase_requester(storage, ACME, "freshdesk", str(KIM))

    was_lifted = await lift_suppression(storage, ACME, "freshdesk", str(KIM))

    assert was_lifted
    assert not await lift_suppression(storage, ACME, "freshdesk", str(KIM))
    assert (await save_ticket(storage, ACME, "freshdesk", freshdesk(1, requester_id=KIM))).outcome is CREATED


async def test_who_was_erased_twice_has_one_receipt_for_all_of_it(storage: MemoryStorage) -> None:
    await keep_three(storage)
    first = await erase_requester(storage, ACME, "freshdesk", str(KIM))

    again = await erase_requester(storage, ACME, "freshdesk", str(KIM))

    assert again == first
    assert first is not None
    assert (first.tickets, first.summaries) == (2, 1)


async def test_nobody_is_erased_in_a_company_that_does_not_exist(storage: MemoryStorage) -> None:
    assert await erase_requester(storage, "initech", "freshdesk", str(KIM)) is None
    assert not await lift_suppression(storage, "initech", "freshdesk", str(KIM))
    assert await storage.companies() == []


async def test_a_requester_has_to_be_named(storage: MemoryStorage) -> None:
    with pytest.raises(InvalidRecord, match="no requester was named"):
        await erase_requester(storage, ACME, "freshdesk", "")


async def test_a_damaged_ticket_is_named_since_nobody_knows_whose_it_is(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "data")
    await keep_three(storage)
    (tmp_path / "data/acme/freshdesk/tickets/2.json").write_bytes(b"{}")

    receipt = await erase_requester(storage, ACME, "freshdesk", str(KIM))
    await storage.aclose()

    assert receipt is not None
    assert receipt.not_examined == (Key(TICKET, "freshdesk", "2"),)
    assert receipt.tickets == 2
