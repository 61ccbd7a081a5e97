"""Many tasks at once lose nothing; a commit that is cancelled is whole or absent, and says which."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import pytest
from attrs import evolve

from deskstore.domain.errors import VersionConflict
from deskstore.domain.outcomes import UnitOutcome
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_checkpoint, a_summary, a_ticket, digest, fields, incoming

_KEY = a_ticket().key


async def test_of_fifty_concurrent_updates_each_is_kept_or_is_a_conflict(desk: Desk) -> None:
    await desk.keep(a_ticket(payload=b'{"done": []}'))

    outcomes = await asyncio.gather(*(_note(desk, number) for number in range(50)))

    stored = await desk.find(_KEY)
    assert stored is not None
    assert sorted(stored.data["done"]) == [number for number in range(50) if outcomes[number]]
    assert any(outcomes)


async def _note(desk: Desk, number: int) -> bool:
    for _ in range(number // 5):
        await asyncio.sleep(0)
    stored = await desk.find(_KEY)
    assert stored is not None
    payload = json.dumps({"done": [*stored.data["done"], number]}).encode()
    try:
        await desk.keep(stored.receive(incoming(_KEY, payload=payload), now=stored.saved_at))
    except VersionConflict:
        return False
    return True


async def test_concurrent_updates_of_text_status_and_summaries_lose_no_field(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    processing = await desk.processing(_KEY)

    async def save() -> None:
        await desk.keep(evolve(stored, fields=fields(status="closed")))

    async def complete() -> None:
        await desk.settle(processing.completed(now=desk.storage.clock()))

    await asyncio.gather(save(), complete(), *(desk.summarise(a_summary(_KEY, str(number))) for number in range(10)))

    found = await desk.find(_KEY)
    assert found is not None
    assert found.fields.status == "closed"
    assert (await desk.processing(_KEY)).status == "completed"
    history = await desk.history(_KEY)
    assert [one.number for one in history] == list(range(1, 11))
    assert {one.source_digest for one in history} == {digest(str(number)) for number in range(10)}


async def test_concurrent_claims_hand_out_each_ticket_once(desk: Desk) -> None:
    await desk.keep(*(a_ticket(str(number)) for number in range(20)))

    handed_out = await asyncio.gather(*(desk.claim(3, worker=f"worker {number}") for number in range(8)))

    keys = [taken.key for batch in handed_out for taken in batch]
    assert len(keys) == len(set(keys)) == 20


async def test_concurrent_creations_of_one_record_leave_one_winner(desk: Desk) -> None:
    outcomes = await asyncio.gather(*(desk.keep(a_ticket(text=str(number))) for number in range(10)), return_exceptions=True)

    winners = [number for number, outcome in enumerate(outcomes) if not isinstance(outcome, VersionConflict)]
    assert len(winners) == 1
    found = await desk.find(_KEY)
    assert found is not None
    assert found.payload == a_ticket(text=str(winners[0])).payload


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8])
async def test_a_cancelled_commit_is_whole_or_absent_and_says_which(desk: Desk, steps: int) -> None:
    uow = desk.unit()
    uow.tickets.save(a_ticket())
    uow.summaries.add(a_summary(_KEY))
    uow.progress.save_checkpoint(a_checkpoint())
    committing = asyncio.create_task(uow.commit())

    for _ in range(steps):
        await asyncio.sleep(0)
    was_under_way = committing.cancel()
    (outcome,) = await asyncio.gather(committing, return_exceptions=True)

    assert isinstance(outcome, asyncio.CancelledError) == was_under_way
    found = await desk.everything()
    parts = (bool(found.tickets), bool(found.summaries), bool(found.checkpoint))
    assert parts in ((True, True, True), (False, False, False))
    assert uow.outcome in ((UnitOutcome.COMMITTED,) if parts[0] else (UnitOutcome.DISCARDED, UnitOutcome.OPEN))


async def test_a_commit_that_was_cancelled_leaves_the_company_usable(desk: Desk) -> None:
    committing = asyncio.create_task(desk.keep(a_ticket("1")))
    await asyncio.sleep(0)
    committing.cancel()
    await asyncio.gather(committing, return_exceptions=True)

    await asyncio.wait_for(desk.keep(a_ticket("2")), 60)

    assert await desk.find(a_ticket("2").key) is not None


async def test_a_commit_that_ran_out_of_time_is_whole_or_absent(desk: Desk) -> None:
    uow = desk.unit()
    uow.tickets.save(a_ticket("1"))
    uow.tickets.save(a_ticket("2"))

    try:
        await asyncio.wait_for(uow.commit(), 0.000_001)
    except TimeoutError:
        assert uow.outcome is not UnitOutcome.UNKNOWN

    found = await desk.everything()
    assert len(found.tickets) == (2 if uow.outcome is UnitOutcome.COMMITTED else 0)


async def test_units_that_touch_each_others_records_in_any_order_never_wait_for_ever(desk: Desk) -> None:
    ids = [str(number) for number in range(10)]

    async def save(order: list[str]) -> None:
        for _ in range(3):
            async with desk.unit() as uow:
                found = await uow.tickets.find_many([a_ticket(one).key for one in order])
                for one in order:
                    uow.tickets.save(found.get(a_ticket(one).key, a_ticket(one)))
                with suppress(VersionConflict):
                    await uow.commit()

    await asyncio.wait_for(asyncio.gather(save(ids), save(ids[::-1]), save(ids[5:]), save(ids[:5])), 60)

    assert (await desk.progress()).total == 10
