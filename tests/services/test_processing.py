"""Statuses set by hand, and tickets handed to workers."""

from datetime import timedelta

import pytest

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import ClaimLost, InvalidRecord, InvalidTransition, TicketNotFound
from deskstore.domain.identifiers import ticket_key
from deskstore.domain.processing import COMPLETED, FAILED, PENDING, PROCESSING, fresh
from deskstore.services.processing import (
    claim_tickets,
    complete,
    fail,
    get_processing_progress,
    release,
    renew,
    update_processing_status,
)
from deskstore.services.summaries import SummaryDraft, find_current_summary, stale_summaries
from deskstore.services.tickets import delete_ticket, save_ticket, save_tickets
from tests.payloads import freshdesk
from tests.services.conftest import Clock

ACME = "acme"
KEY = ticket_key("freshdesk", "42")
MINUTE = timedelta(minutes=1)


async def test_a_failed_ticket_counts_as_failed_not_as_completed(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())

    await update_processing_status(storage, ACME, "freshdesk", "42", FAILED)

    progress = await get_processing_progress(storage, ACME, "freshdesk")
    assert (progress.completed, progress.failed) == (0, 1)


async def test_the_status_a_ticket_has_changes_nothing(storage: MemoryStorage, clock: Clock) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())
    first = await update_processing_status(storage, ACME, "freshdesk", "42", COMPLETED)
    clock.advance(MINUTE)

    assert await update_processing_status(storage, ACME, "freshdesk", "42", COMPLETED) == first


async def test_an_illegal_step_is_refused_and_changes_nothing(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())
    await update_processing_status(storage, ACME, "freshdesk", "42", COMPLETED)

    with pytest.raises(InvalidTransition):
        await update_processing_status(storage, ACME, "freshdesk", "42", FAILED)

    assert (await get_processing_progress(storage, ACME, "freshdesk")).completed == 1


async def test_a_status_that_does_not_exist_is_refused_naming_those_that_do(storage: MemoryStorage) -> None:
    with pytest.raises(InvalidRecord, match="'done' is not a processing status: choose one of: pending, processing, completed, failed"):
        await update_processing_status(storage, ACME, "freshdesk", "42", "done")


async def test_the_status_of_a_missing_ticket_cannot_be_set(storage: MemoryStorage) -> None:
    with pytest.raises(TicketNotFound):
        await update_processing_status(storage, ACME, "freshdesk", "42", COMPLETED)


async def test_while_a_claim_lives_the_status_cannot_be_set_by_hand(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())
    await claim_tickets(storage, ACME, "freshdesk", 1, worker="w1")

    with pytest.raises(ClaimLost):
        await update_processing_status(storage, ACME, "freshdesk", "42", COMPLETED)


async def test_a_claimed_ticket_is_completed_with_its_summary(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())
    (claimed,) = await claim_tickets(storage, ACME, "freshdesk", 10, worker="w1")

    done = await complete(storage, ACME, claimed, summary=SummaryDraft(content={"text": "late parcel"}, model="m", tokens=7))

    found = await find_current_summary(storage, ACME, KEY)
    assert (claimed.status, done.status, done.claim) == (PROCESSING, COMPLETED, None)
    assert found is not None
    assert (found.number, found.data, found.model, found.tokens) == (1, {"text": "late parcel"}, "m", 7)


async def test_a_ticket_whose_text_changed_meanwhile_is_pending_again_and_its_summary_stale(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())
    (claimed,) = await claim_tickets(storage, ACME, "freshdesk", 1, worker="w1")
    await save_ticket(storage, ACME, "freshdesk", freshdesk(subject="Another", updated_at="2026-03-01T00:00:00Z"))

    done = await complete(storage, ACME, claimed, summary=SummaryDraft(content={"text": "of the old text"}))

    assert done.status is PENDING
    assert [stale.key async for stale in stale_summaries(storage, ACME)] == [KEY]


async def test_a_late_worker_completes_nothing(storage: MemoryStorage, clock: Clock) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())
    (late,) = await claim_tickets(storage, ACME, "freshdesk", 1, worker="w1", lease=MINUTE)
    clock.advance(2 * MINUTE)
    (taken,) = await claim_tickets(storage, ACME, "freshdesk", 1, worker="w2")

    with pytest.raises(ClaimLost):
        await complete(storage, ACME, late, summary=SummaryDraft(content={"text": "late"}))

    assert taken.attempts == 2
    assert await find_current_summary(storage, ACME, KEY) is None


async def test_a_renewed_claim_outlives_its_first_lease(storage: MemoryStorage, clock: Clock) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())
    (claimed,) = await claim_tickets(storage, ACME, "freshdesk", 1, worker="w1", lease=MINUTE)

    renewed = await renew(storage, ACME, claimed, lease=5 * MINUTE)
    clock.advance(2 * MINUTE)

    assert await claim_tickets(storage, ACME, "freshdesk", 1, worker="w2") == []
    assert (await complete(storage, ACME, renewed)).status is COMPLETED


@pytest.mark.parametrize("lease", [timedelta(0), timedelta(minutes=16)])
async def test_a_lease_out_of_range_is_refused(storage: MemoryStorage, lease: timedelta) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())
    (claimed,) = await claim_tickets(storage, ACME, "freshdesk", 1, worker="w1")

    with pytest.raises(InvalidRecord, match="at most"):
        await renew(storage, ACME, claimed, lease=lease)


async def test_a_failed_ticket_comes_back_after_its_pause(storage: MemoryStorage, clock: Clock) -> None:
    await save_tickets(storage, ACME, "freshdesk", [freshdesk(1), freshdesk(2)])
    first, second = await claim_tickets(storage, ACME, "freshdesk", 2, worker="w1")

    await fail(storage, ACME, first, "no answer", retry_in=MINUTE)
    failed = await fail(storage, ACME, second, "not a ticket")

    assert (failed.error, await claim_tickets(storage, ACME, "freshdesk", 2, worker="w1")) == ("not a ticket", [])
    clock.advance(MINUTE)
    assert [one.key.id for one in await claim_tickets(storage, ACME, "freshdesk", 2, worker="w1")] == ["1"]


async def test_a_released_ticket_can_be_taken_at_once(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())
    (claimed,) = await claim_tickets(storage, ACME, "freshdesk", 1, worker="w1")

    released = await release(storage, ACME, claimed)

    assert released.status is PENDING
    assert len(await claim_tickets(storage, ACME, "freshdesk", 1, worker="w2")) == 1


async def test_what_nobody_claimed_cannot_be_completed(storage: MemoryStorage, clock: Clock) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())

    with pytest.raises(ClaimLost):
        await complete(storage, ACME, fresh(KEY, now=clock()))


async def test_a_claim_ends_with_its_ticket(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())
    (claimed,) = await claim_tickets(storage, ACME, "freshdesk", 1, worker="w1")
    await delete_ticket(storage, ACME, "freshdesk", "42")

    with pytest.raises(ClaimLost):
        await complete(storage, ACME, claimed)
