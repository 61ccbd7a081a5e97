"""Tickets put back into the line: those that failed, those whose summary is outdated, those a worker sits on."""

from datetime import timedelta

import pytest

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import ClaimLost, CorruptRecord
from deskstore.domain.identifiers import ticket_key
from deskstore.domain.processing import COMPLETED, FAILED, PENDING, PROCESSING, Processing
from deskstore.services.processing import claim_tickets, complete, fail, get_processing, renew, update_processing_status
from deskstore.services.requeuing import BATCH, failed_tickets, list_claims, outdated_tickets, requeue, take_back
from deskstore.services.summaries import SummaryDraft, save_summary, summary_history
from deskstore.services.tickets import delete_ticket, get_ticket, save_ticket, save_tickets
from deskstore.testing.faults import Fault, FaultyStorage
from tests.payloads import freshdesk
from tests.services.conftest import Clock

ACME = "acme"
DESK = "freshdesk"
MINUTE = timedelta(minutes=1)


async def stood(storage: MemoryStorage, number: int) -> Processing:
    return await get_processing(storage, ACME, DESK, str(number))


async def held(storage: MemoryStorage, worker: str, n: int) -> list[Processing]:
    return [*await claim_tickets(storage, ACME, DESK, n, worker=worker)]


@pytest.fixture
async def six(storage: MemoryStorage, clock: Clock) -> MemoryStorage:
    """Six tickets: two failed, two completed by two models, one in a worker's hands, one pending."""
    await save_tickets(storage, ACME, DESK, [freshdesk(number) for number in range(6)])
    taken = await held(storage, "w1", 4)
    for one in taken[:2]:
        await fail(storage, ACME, one, "no answer")
    for one, model in zip(taken[2:], ("old", "new"), strict=True):
        await complete(storage, ACME, one, summary=SummaryDraft(content={"text": "short"}, model=model, prompt_id="p1"))
    clock.advance(MINUTE)
    await held(storage, "w2", 1)
    return storage


async def test_claims_are_listed_with_who_holds_them(six: MemoryStorage, clock: Clock) -> None:
    await update_processing_status(six, ACME, DESK, "5", PROCESSING)

    found = [one async for one in list_claims(six, ACME)]

    assert [(one.key.id, one.claim.worker if one.claim else None) for one in found] == [("4", "w2"), ("5", None)]
    assert [one.key.id async for one in list_claims(six, ACME, DESK, worker="w2")] == ["4"]
    assert [one async for one in list_claims(six, ACME, DESK, worker="w1")] == []
    assert [one async for one in list_claims(six, ACME, "zendesk")] == []
    assert [one async for one in list_claims(six, ACME, until=clock() - MINUTE)] == []


async def test_a_claim_that_is_taken_back_is_worth_nothing_to_its_worker(six: MemoryStorage) -> None:
    (claimed,) = [one async for one in list_claims(six, ACME)]

    (taken_back,) = await take_back(six, ACME, [claimed])

    assert (taken_back.status, taken_back.attempts, taken_back.claim) == (PENDING, 0, None)
    with pytest.raises(ClaimLost):
        await complete(six, ACME, claimed, summary=SummaryDraft(content={"text": "late"}))
    with pytest.raises(ClaimLost):
        await renew(six, ACME, claimed)
    assert await summary_history(six, ACME, claimed.key) == []


async def test_a_claim_that_was_renewed_meanwhile_is_taken_back_all_the_same(six: MemoryStorage, clock: Clock) -> None:
    (claimed,) = [one async for one in list_claims(six, ACME)]
    clock.advance(MINUTE)
    await renew(six, ACME, claimed)

    assert [one.key for one in await take_back(six, ACME, [claimed])] == [claimed.key]


async def test_what_came_to_its_end_meanwhile_is_not_taken_back(six: MemoryStorage) -> None:
    (other,) = await held(six, "w3", 1)
    claimed = [one async for one in list_claims(six, ACME)]
    await complete(six, ACME, other)

    taken_back = await take_back(six, ACME, claimed)

    assert [one.key.id for one in taken_back] == ["4"]
    assert (await stood(six, 5)).status is COMPLETED


async def test_a_ticket_somebody_works_on_without_a_claim_is_taken_back_too(six: MemoryStorage) -> None:
    await update_processing_status(six, ACME, DESK, "5", PROCESSING)

    taken_back = await take_back(six, ACME, [one async for one in list_claims(six, ACME)])

    assert [(one.key.id, one.status) for one in taken_back] == [("4", PENDING), ("5", PENDING)]


async def test_failed_tickets_are_pending_again_with_all_attempts_before_them(six: MemoryStorage, clock: Clock) -> None:
    failed = [one async for one in failed_tickets(six, ACME, DESK)]

    requeued = await requeue(six, ACME, [one.key for one in failed])

    assert [(one.key.id, one.attempts, one.error) for one in failed] == [("0", 1, "no answer"), ("1", 1, "no answer")]
    assert {(one.status, one.attempts, one.error, one.claimable_at) for one in requeued} == {(PENDING, 0, None, clock())}
    assert [one async for one in failed_tickets(six, ACME)] == []


async def test_failed_tickets_are_found_by_when_they_failed(six: MemoryStorage, clock: Clock) -> None:
    assert [one.key.id async for one in failed_tickets(six, ACME, until=clock() - MINUTE)] == ["0", "1"]
    assert [one async for one in failed_tickets(six, ACME, until=clock() - 2 * MINUTE)] == []


async def test_what_is_in_other_hands_or_gone_is_not_requeued(six: MemoryStorage) -> None:
    await requeue(six, ACME, [ticket_key(DESK, "0"), ticket_key(DESK, "1")])
    await held(six, "w3", 1)  # ticket 5, which waited longest
    await delete_ticket(six, ACME, DESK, "1")

    keys = [ticket_key(DESK, str(number)) for number in range(6)]
    requeued = await requeue(six, ACME, keys)

    assert [one.key.id for one in requeued] == ["2", "3"]
    assert [(await stood(six, number)).status for number in (4, 5)] == [PROCESSING, PROCESSING]


async def test_a_ticket_that_is_taken_while_it_is_requeued_stays_with_its_worker(six: MemoryStorage) -> None:
    lost = FaultyStorage(six)
    lost.commits.append(Fault(error=ClaimLost([ticket_key(DESK, "0")])))

    requeued = await requeue(lost, ACME, [ticket_key(DESK, "0")])

    assert [one.key.id for one in requeued] == ["0"]


async def test_more_tickets_are_requeued_than_one_unit_holds(storage: MemoryStorage) -> None:
    many = 2 * BATCH + 1
    await save_tickets(storage, ACME, DESK, [freshdesk(number) for number in range(many)])
    for one in await held(storage, "w1", many):
        await fail(storage, ACME, one, "no answer")

    requeued = await requeue(storage, ACME, [one.key async for one in failed_tickets(storage, ACME)])

    assert len({one.key for one in requeued}) == many


async def test_tickets_whose_summary_is_stale_or_of_another_model_are_outdated(six: MemoryStorage) -> None:
    await save_ticket(six, ACME, DESK, freshdesk(3, subject="Another", updated_at="2026-05-01T00:00:00Z"))
    await update_processing_status(six, ACME, DESK, "3", COMPLETED)

    assert [one.key.id async for one in outdated_tickets(six, ACME)] == ["3"]
    assert [one.key.id async for one in outdated_tickets(six, ACME, model="new")] == ["2", "3"]
    assert [one.key.id async for one in outdated_tickets(six, ACME, prompt_id="p2")] == ["2", "3"]
    assert [one async for one in outdated_tickets(six, ACME, "zendesk", prompt_id="p2")] == []


async def test_what_a_person_wrote_is_never_outdated(six: MemoryStorage) -> None:
    ticket = await get_ticket(six, ACME, DESK, "2")
    await save_summary(six, ACME, ticket, SummaryDraft(content={"text": "by hand"}, pinned=True))

    assert [one.key.id async for one in outdated_tickets(six, ACME, model="none")] == ["3"]


async def test_a_ticket_whose_record_is_damaged_can_be_requeued(six: MemoryStorage) -> None:
    faulty = FaultyStorage(six)
    faulty.reads.append(Fault(error=CorruptRecord(ticket_key(DESK, "0"), "its file", "it is torn")))

    found = [one.key.id async for one in failed_tickets(faulty, ACME)]

    assert found == ["1", "0"]
    assert (await stood(six, 0)).status is FAILED
