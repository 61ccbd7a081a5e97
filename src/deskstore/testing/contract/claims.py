"""A ticket is in the hands of one worker at a time, until its lease and five seconds for skew have run out."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from deskstore.domain.errors import ClaimLost, InvalidIdentifier, InvalidRecord
from deskstore.domain.processing import COMPLETED, FAILED, LONGEST_LEASE, PENDING, PROCESSING
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import LEASE, Desk, token_of
from deskstore.testing.makers import PLATFORM, a_summary, a_ticket, digest

_KEY = a_ticket().key
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)
_SKEW = timedelta(seconds=5)


async def test_a_claim_says_who_holds_the_ticket_and_until_when(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket(text="now"))

    taken, token = await desk.claimed(worker="일꾼 1")

    assert taken == await desk.processing(_KEY)
    assert taken.claim is not None
    assert (taken.claim.worker, taken.claim.lease_until, taken.claim.text_digest) == ("일꾼 1", clock() + LEASE, digest("now"))
    assert (taken.status, taken.attempts, taken.claimable_at) == (PROCESSING, 1, clock() + LEASE + _SKEW)
    assert len(token) >= 16


async def test_a_claim_counts_at_once(desk: Desk) -> None:
    await desk.keep(a_ticket("1"), a_ticket("2"))

    await desk.claim()

    progress = await desk.progress()
    assert (progress.pending, progress.processing) == (1, 1)


async def test_a_claimed_ticket_is_not_handed_out_again(desk: Desk) -> None:
    await desk.keep(*(a_ticket(str(number)) for number in range(5)))

    taken = [*await desk.claim(2), *await desk.claim(2), *await desk.claim(2), *await desk.claim(2)]

    assert len({one.key for one in taken}) == len(taken) == 5
    assert len({token_of(one) for one in taken}) == 5


async def test_a_claim_takes_no_more_tickets_than_were_asked_for(desk: Desk) -> None:
    await desk.keep(*(a_ticket(str(number)) for number in range(5)))

    assert len(await desk.claim(3)) == 3


async def test_tickets_that_wait_longest_are_handed_out_first(desk: Desk, clock: ManualClock) -> None:
    ages = {"c": 30, "a": 10, "d": 40, "b": 20}
    for ticket_id, age in ages.items():
        await desk.keep(a_ticket(ticket_id, now=clock() - age * _SECOND))

    taken = [*await desk.claim(2), *await desk.claim(2)]

    assert [one.key.id for one in taken] == ["d", "c", "b", "a"]


async def test_failed_and_expired_tickets_wait_in_the_same_line_as_pending_ones(desk: Desk, clock: ManualClock) -> None:
    for ticket_id in ("expired", "failed", "pending"):
        await desk.keep(a_ticket(ticket_id, now=clock()))
        await desk.claim(lease=_SECOND if ticket_id == "expired" else LEASE)
    failed, pending = await desk.processing(a_ticket("failed").key), await desk.processing(a_ticket("pending").key)
    await desk.settle(failed.failed("no answer", now=clock(), retry_at=clock() + 8 * _SECOND), token_of(failed))
    clock.move(7 * _SECOND)
    await desk.settle(pending.released(now=clock()), token_of(pending))
    clock.move(7 * _SECOND)

    taken = await desk.claim(10)

    assert [one.key.id for one in taken] == ["expired", "pending", "failed"]


async def test_tickets_of_the_same_moment_are_handed_out_by_key(desk: Desk) -> None:
    await desk.keep(*(a_ticket(ticket_id) for ticket_id in ("b", "한", "B", "a")))

    assert [one.key.id for one in await desk.claim(10)] == ["B", "a", "b", "한"]


async def test_only_tickets_of_the_platform_asked_for_are_handed_out(desk: Desk) -> None:
    await desk.keep(a_ticket("1", platform="jira"))

    assert await desk.claim() == []
    assert [one.key.platform for one in await desk.claim(platform="jira")] == ["jira"]


async def test_a_ticket_is_not_handed_out_before_its_time(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket(now=clock() + _MICROSECOND))
    early = await desk.claim()

    clock.move(_MICROSECOND)

    assert early == []
    assert len(await desk.claim()) == 1


async def test_completed_tickets_are_never_handed_out(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    await desk.settle((await desk.processing(_KEY)).completed(now=clock()))

    clock.move(timedelta(days=365))

    assert await desk.claim() == []


async def test_a_completed_ticket_is_never_handed_out_whatever_was_saved_with_it(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    taken, token = await desk.claimed()

    kept = await desk.settle(evolve(taken, status=COMPLETED, claimable_at=clock()), token)

    assert (kept.status, kept.claim, kept.claimable_at) == (COMPLETED, None, None)
    assert await desk.claim() == []


async def test_a_failed_ticket_is_handed_out_after_its_back_off(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    taken, token = await desk.claimed()
    await desk.settle(taken.failed("no answer", now=clock(), retry_at=clock() + LEASE), token)

    clock.move(LEASE - _MICROSECOND)
    early = await desk.claim()
    clock.move(_MICROSECOND)
    again, _ = await desk.claimed()

    assert early == []
    assert (again.attempts, again.error) == (2, None)


async def test_a_ticket_that_failed_for_good_is_not_handed_out(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    taken, token = await desk.claimed()
    kept = await desk.settle(taken.failed("it is broken", now=clock(), retry_at=None), token)

    clock.move(timedelta(days=365))

    assert (kept.status, kept.error, kept.claim) == (FAILED, "it is broken", None)
    assert await desk.claim() == []


async def test_a_claim_that_ran_out_is_handed_out_after_five_seconds_for_skew(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    first, _ = await desk.claimed(worker="1")

    clock.move(LEASE + _SKEW - _MICROSECOND)
    early = await desk.claim(worker="2")
    clock.move(_MICROSECOND)
    second, token = await desk.claimed(worker="2")

    assert early == []
    assert second.attempts == 2
    assert token != token_of(first)


async def test_a_claim_that_ran_out_counts_as_processing_until_it_is_taken(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    await desk.claimed()

    clock.move(timedelta(days=1))

    assert (await desk.progress()).processing == 1
    assert (await desk.processing(_KEY)).status == PROCESSING


async def test_a_ticket_that_is_processing_without_a_claim_is_handed_out_after_the_longest_lease(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    await desk.settle((await desk.processing(_KEY)).to(PROCESSING, now=clock()))

    clock.move(LONGEST_LEASE + _SKEW - _MICROSECOND)
    early = await desk.claim()
    clock.move(_MICROSECOND)
    taken, _ = await desk.claimed()

    assert early == []
    assert taken.attempts == 1


async def test_completing_a_claim_with_its_summary_is_one_unit(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    taken, token = await desk.claimed()

    async with desk.unit() as uow:
        uow.summaries.add(a_summary(_KEY))
        uow.progress.save(taken.completed(now=clock()), token=token)
        await uow.commit()

    kept = await desk.processing(_KEY)
    assert (kept.status, kept.claim, kept.claimable_at, kept.attempts) == (COMPLETED, None, None, 1)
    assert len(await desk.history(_KEY)) == 1


async def test_the_token_may_renew_and_complete_even_late(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    taken, token = await desk.claimed()

    clock.move(timedelta(hours=1))
    renewed = await desk.settle(taken.renewed(clock() + LEASE), token)
    nothing = await desk.claim()
    clock.move(timedelta(hours=1))
    done = await desk.settle(taken.completed(now=clock()), token)

    assert (renewed.status, renewed.claimable_at, renewed.attempts) == (PROCESSING, clock() - timedelta(hours=1) + LEASE + _SKEW, 1)
    assert nothing == []
    assert done.status == COMPLETED


async def test_a_renewal_does_not_get_in_the_way_of_the_completion(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    taken, token = await desk.claimed()
    renewed = await desk.settle(taken.renewed(clock() + 2 * LEASE), token)

    done = await desk.settle(taken.completed(now=clock()), token)

    assert renewed.version > taken.version
    assert (done.status, done.version > renewed.version) == (COMPLETED, True)


async def test_no_renewal_holds_a_ticket_beyond_the_longest_lease(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    taken, token = await desk.claimed()
    assert taken.claim is not None

    for beyond in (clock() + LONGEST_LEASE + _MICROSECOND, datetime.max.replace(tzinfo=UTC)):
        renewed = await desk.settle(evolve(taken, claim=evolve(taken.claim, lease_until=beyond)), token)
        assert renewed.claim == evolve(taken.claim, lease_until=clock() + LONGEST_LEASE)
        assert renewed.claimable_at == clock() + LONGEST_LEASE + _SKEW


async def test_after_a_take_over_the_late_worker_has_lost_its_claim(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    late, late_token = await desk.claimed(worker="1")
    clock.move(LEASE + _SKEW)
    present, _ = await desk.claimed(worker="2")

    for wanted in (late.completed(now=clock()), late.renewed(clock() + LEASE), late.released(now=clock())):
        with pytest.raises(ClaimLost):
            async with desk.unit() as uow:
                uow.summaries.add(a_summary(_KEY))
                uow.progress.save(wanted, token=late_token)
                await uow.commit()

    assert await desk.processing(_KEY) == present
    assert await desk.history(_KEY) == []


async def test_a_claim_is_over_once_it_was_settled(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    taken, token = await desk.claimed()
    await desk.settle(taken.completed(now=clock()), token)

    with pytest.raises(ClaimLost):
        await desk.settle(taken.failed("again", now=clock(), retry_at=None), token)

    assert (await desk.processing(_KEY)).status == COMPLETED


async def test_a_claim_that_was_taken_back_is_worth_nothing_to_its_worker(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    late, late_token = await desk.claimed(worker="stuck")
    stood = await desk.processing(_KEY)

    released = await desk.settle(evolve(stood.released(now=clock()), attempts=0), token_of(stood))
    for wanted in (late.completed(now=clock()), late.renewed(clock() + LEASE)):
        with pytest.raises(ClaimLost):
            await desk.settle(wanted, late_token)
    again, _ = await desk.claimed(worker="another")

    assert (released.status, released.attempts, released.claim) == (PENDING, 0, None)
    assert (again.attempts, again == await desk.processing(_KEY)) == (1, True)


async def test_a_deleted_ticket_takes_its_claim_along(desk: Desk, clock: ManualClock) -> None:
    stored = await desk.kept(a_ticket())
    taken, token = await desk.claimed()
    await desk.delete(stored)
    await desk.keep(a_ticket())

    with pytest.raises(ClaimLost):
        await desk.settle(taken.completed(now=clock()), token)

    assert (await desk.processing(_KEY)).status == PENDING


async def test_a_released_ticket_may_be_taken_at_once(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    taken, token = await desk.claimed(worker="1")

    released = await desk.settle(taken.released(now=clock()), token)

    assert (released.status, released.claim) == (PENDING, None)
    assert (await desk.claimed(worker="2"))[0].attempts == 2


async def test_text_that_changes_under_a_claim_leaves_the_claim_alone(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    taken, _ = await desk.claimed()

    await desk.received(stored, "new text")

    assert await desk.processing(_KEY) == taken
    assert await desk.claim() == []


async def test_completing_a_ticket_whose_text_changed_keeps_the_summary_and_makes_it_pending(desk: Desk, clock: ManualClock) -> None:
    stored = await desk.kept(a_ticket(text="old"))
    taken, token = await desk.claimed()
    await desk.received(stored, "new")

    async with desk.unit() as uow:
        uow.summaries.add(a_summary(_KEY, "old"))
        uow.progress.save(taken.completed(now=clock()), token=token)
        committed = await uow.commit()

    processing = await desk.processing(_KEY)
    assert (processing.status, processing.claim, processing.claimable_at) == (PENDING, None, clock())
    assert committed.processing == {_KEY: processing}
    assert [one.key for one in await desk.stale()] == [_KEY]
    assert len(await desk.claim()) == 1


async def test_text_that_changed_and_changed_back_may_be_completed(desk: Desk, clock: ManualClock) -> None:
    stored = await desk.kept(a_ticket(text="old"))
    taken, token = await desk.claimed()
    await desk.received(await desk.received(stored, "new"), "old")

    done = await desk.settle(taken.completed(now=clock()), token)

    assert done.status == COMPLETED


async def test_text_that_changes_after_a_claim_ran_out_ends_the_claim(desk: Desk, clock: ManualClock) -> None:
    stored = await desk.kept(a_ticket(text="old"))
    taken, token = await desk.claimed()
    clock.move(LEASE + _SKEW)
    await desk.received(stored, "new")

    with pytest.raises(ClaimLost):
        await desk.settle(taken.completed(now=clock()), token)

    processing = await desk.processing(_KEY)
    assert (processing.status, processing.attempts) == (PENDING, 0)


async def test_a_lost_claim_names_every_ticket_that_was_lost(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket("1"), a_ticket("2"), a_ticket("3"))
    taken = await desk.claim(3)

    with pytest.raises(ClaimLost) as lost:
        async with desk.unit() as uow:
            for one in taken:
                uow.progress.save(one.completed(now=clock()), token=token_of(one) if one.key.id == "2" else "another")
            await uow.commit()

    assert lost.value.keys == (a_ticket("1").key, a_ticket("3").key)


async def test_a_claim_that_is_cancelled_leaves_its_tickets_to_others(desk: Desk) -> None:
    await desk.keep(*(a_ticket(str(number)) for number in range(20)))

    for turns in range(20):
        claiming = asyncio.create_task(desk.claim(20, worker="1"))
        for _ in range(turns):
            await asyncio.sleep(0)
        claiming.cancel()
        with suppress(asyncio.CancelledError):
            for taken in await claiming:
                await desk.settle(evolve(taken.released(now=desk.storage.clock()), attempts=0), token_of(taken))

    assert [one.attempts for one in await desk.claim(20, worker="2")] == [1] * 20


async def test_a_claim_on_nothing_takes_nothing(desk: Desk) -> None:
    assert await desk.claim(10) == []
    assert desk.company_id not in await desk.storage.companies()


async def test_a_claim_that_breaks_the_rules_takes_nothing(desk: Desk) -> None:
    await desk.keep(a_ticket())

    for n, lease in ((0, LEASE), (1_001, LEASE), (1, timedelta(0)), (1, timedelta(minutes=15) + _MICROSECOND)):
        with pytest.raises(InvalidRecord):
            await desk.claim(n, lease=lease)
    for platform, worker in (("", "worker"), (PLATFORM, ""), (PLATFORM, "\x00"), (" x", "worker")):
        with pytest.raises(InvalidIdentifier):
            await desk.claim(worker=worker, platform=platform)

    assert (await desk.processing(_KEY)).status == PENDING


async def test_a_pending_ticket_under_no_claim_knows_no_token(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    pending = await desk.processing(_KEY)

    with pytest.raises(ClaimLost):
        await desk.settle(evolve(pending, status=COMPLETED, changed_at=clock()), "a token")

    assert await desk.processing(_KEY) == pending
