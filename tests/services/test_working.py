"""Workers: every ticket is worked on by one at a time, and comes to an end whatever becomes of the worker."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import ClaimLost, CorruptRecord, InvalidRecord, StorageBusy, StorageUnavailable, UnitOfWorkMisuse
from deskstore.domain.identifiers import ticket_key
from deskstore.domain.ports import Storage
from deskstore.domain.processing import CLOCK_SKEW, COMPLETED, FAILED, PENDING, Processing
from deskstore.services.holding import Ending, HeldClaim, Retry
from deskstore.services.processing import LEASE, claim_tickets, complete, get_processing, get_processing_progress, release
from deskstore.services.stopping import stop_on_signals
from deskstore.services.summaries import SummaryDraft, find_current_summary, stale_summaries
from deskstore.services.tickets import delete_ticket, save_ticket, save_tickets
from deskstore.services.working import Worked, claims, work_off
from deskstore.testing.clock import ManualClock
from deskstore.testing.faults import Fault, FaultyStorage, unavailable
from tests.payloads import freshdesk

ACME = "acme"
DESK = "freshdesk"
SHORT = timedelta(milliseconds=150)
SOON = timedelta(milliseconds=10)


@pytest.fixture
async def storage() -> AsyncIterator[MemoryStorage]:
    """A storage that goes by the time of day: leases run out while a test waits."""
    opened = MemoryStorage()
    yield opened
    await opened.aclose()


async def tickets(storage: Storage, n: int) -> None:
    await save_tickets(storage, ACME, DESK, [freshdesk(number) for number in range(n)])


async def stood(storage: Storage, number: int = 0) -> Processing:
    return await get_processing(storage, ACME, DESK, str(number))


async def short(claim: HeldClaim) -> SummaryDraft:
    return SummaryDraft(content={"text": claim.ticket.fields.subject}, model="short-1")


async def test_every_ticket_is_completed_with_the_summary_of_the_handler(storage: MemoryStorage) -> None:
    await tickets(storage, 30)

    worked = await work_off(storage, ACME, DESK, short, until_done=True, poll=SOON)

    progress = await get_processing_progress(storage, ACME, DESK)
    found = [await find_current_summary(storage, ACME, ticket_key(DESK, str(number))) for number in range(30)]
    assert (worked, worked.total, progress.completed) == (Worked(completed=30), 30, 30)
    assert {(one.number, one.model) for one in found if one} == {(1, "short-1")}
    assert [stale async for stale in stale_summaries(storage, ACME)] == []


async def test_no_more_tickets_are_worked_on_at_once_than_was_asked_for(storage: MemoryStorage) -> None:
    await tickets(storage, 20)
    at_once, most = 0, 0

    async def handler(_: HeldClaim) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1

    await work_off(storage, ACME, DESK, handler, concurrency=3, until_done=True, poll=SOON)

    assert most == 3


async def test_tickets_are_worked_on_one_after_another_in_a_loop(storage: MemoryStorage) -> None:
    await tickets(storage, 3)
    seen: list[str] = []

    async for claim in claims(storage, ACME, DESK, worker="w1", until_done=True, poll=SOON):
        async with claim:
            seen.append(claim.ticket.ticket_id)
            await claim.complete(await short(claim))

    assert seen == ["0", "1", "2"]
    assert (await get_processing_progress(storage, ACME, DESK)).completed == 3


async def test_a_block_that_ends_without_a_word_completes_its_ticket(storage: MemoryStorage) -> None:
    await tickets(storage, 1)

    async for claim in claims(storage, ACME, DESK, until_done=True, poll=SOON):
        async with claim:
            assert claim.attempts == 1

    assert (await stood(storage)).status is COMPLETED


async def test_a_ticket_whose_handler_raises_fails_with_the_reason_and_the_others_go_on(storage: MemoryStorage) -> None:
    await tickets(storage, 3)

    async def handler(claim: HeldClaim) -> None:
        if claim.key.id == "1":
            raise LookupError("no such model")

    worked = await work_off(storage, ACME, DESK, handler, until_done=True, poll=SOON, retry=Retry(first=timedelta(minutes=2)))

    failed = await stood(storage, 1)
    assert worked == Worked(completed=2, failed=1)
    assert (failed.status, failed.error) == (FAILED, "LookupError: no such model")
    assert failed.claimable_at == failed.changed_at + timedelta(minutes=2)


async def test_a_ticket_that_fails_is_tried_again_until_its_attempts_are_used_up(storage: MemoryStorage) -> None:
    await tickets(storage, 1)
    attempts: list[int] = []
    stop = asyncio.Event()

    async def handler(claim: HeldClaim) -> None:
        attempts.append(claim.attempts)
        if len(attempts) == 3:
            stop.set()
        raise LookupError

    await work_off(storage, ACME, DESK, handler, concurrency=1, stop=stop, poll=SOON, retry=Retry(first=SOON, attempts=3))

    assert attempts == [1, 2, 3]
    assert ((await stood(storage)).status, (await stood(storage)).claimable_at) == (FAILED, None)


@pytest.mark.parametrize(
    ("attempts", "pause"),
    [(1, timedelta(seconds=30)), (2, timedelta(minutes=1)), (4, timedelta(minutes=4)), (9, timedelta(hours=1)), (99, timedelta(hours=1))],
)
def test_the_pause_after_a_failure_doubles_up_to_the_longest(attempts: int, pause: timedelta) -> None:
    assert Retry(attempts=100).pause(attempts) == pause
    assert Retry(attempts=attempts).pause(attempts) is None


def test_a_pause_is_longer_than_nothing() -> None:
    with pytest.raises(InvalidRecord, match="first is 0:00:00"):
        Retry(first=timedelta(0))


@pytest.mark.parametrize("name", ["first", "longest"])
def test_a_pause_that_is_a_number_is_refused(name: str) -> None:
    with pytest.raises(InvalidRecord, match=rf"{name} is 2: give a datetime\.timedelta"):
        Retry(**{name: 2})  # type: ignore[arg-type]  # what is tested


async def test_times_that_are_numbers_are_refused(storage: MemoryStorage) -> None:
    await tickets(storage, 1)
    number: Any = 5  # a program without types gives what it likes

    with pytest.raises(InvalidRecord, match=r"the lease is 5: give a datetime\.timedelta, for example timedelta\(minutes=2\)"):
        await work_off(storage, ACME, DESK, short, lease=number)
    with pytest.raises(InvalidRecord, match=r"poll is 5: give a datetime\.timedelta"):
        await work_off(storage, ACME, DESK, short, poll=number)
    async with aclosing(claims(storage, ACME, DESK)) as line:
        with pytest.raises(InvalidRecord, match=r"retry_in is 5: give a datetime\.timedelta"):
            await (await anext(line)).fail("busy", retry_in=number)

    assert (await stood(storage)).status is PENDING


async def test_a_lease_that_is_too_long_is_told_to_be_renewed_by_itself(storage: MemoryStorage) -> None:
    with pytest.raises(InvalidRecord, match=r"at most 0:15:00; .* work_off\(\) and claims\(\) renew it by themselves"):
        await work_off(storage, ACME, DESK, short, lease=timedelta(hours=1))


async def test_a_handler_may_say_itself_what_came_of_its_ticket(storage: MemoryStorage) -> None:
    await tickets(storage, 2)

    async def handler(claim: HeldClaim) -> None:
        if claim.key.id == "0":
            await claim.fail("spam")
        else:
            await claim.release()
            stop.set()

    stop = asyncio.Event()
    worked = await work_off(storage, ACME, DESK, handler, concurrency=1, stop=stop, poll=SOON)

    assert worked == Worked(failed=1, released=1)
    assert ((await stood(storage, 0)).error, (await stood(storage, 1)).status) == ("spam", PENDING)


async def test_the_lease_of_a_ticket_is_renewed_while_it_is_worked_on(storage: MemoryStorage) -> None:
    await tickets(storage, 1)

    async def handler(claim: HeldClaim) -> None:
        await asyncio.sleep(4 * SHORT.total_seconds())
        assert claim.processing.claim is not None
        assert claim.processing.claim.lease_until > storage.clock()

    worked = await work_off(storage, ACME, DESK, handler, lease=SHORT, until_done=True, poll=SOON)

    assert worked == Worked(completed=1)


async def test_who_lost_a_claim_is_stopped_and_goes_on_with_the_next_ticket(storage: MemoryStorage) -> None:
    await tickets(storage, 2)
    held: list[HeldClaim] = []
    ended: list[str] = []

    async def handler(claim: HeldClaim) -> None:
        held.append(claim)
        if claim.key.id == "0":
            await release(storage, ACME, claim.processing)  # as an operator does
            others = await claim_tickets(storage, ACME, DESK, 2, worker="another")
            ended.extend(one.key.id for one in others)
            stop.set()
            await asyncio.sleep(60)
            ended.append("to the end")

    stop = asyncio.Event()
    worked = await asyncio.wait_for(work_off(storage, ACME, DESK, handler, concurrency=1, lease=SHORT, stop=stop, poll=SOON), 10)

    assert (worked, ended) == (Worked(lost=1), ["1", "0"])
    assert held[0].is_lost
    assert (await stood(storage)).claim is not None


async def test_who_is_told_to_end_while_it_loses_a_claim_ends(storage: MemoryStorage) -> None:
    await tickets(storage, 1)

    async with aclosing(claims(storage, ACME, DESK)) as line:
        claim = await anext(line)
        with pytest.raises(SystemExit):
            async with claim:
                claim.lose()
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError as stopped:
                    raise SystemExit from stopped

    assert claim.is_lost


async def test_a_cancellation_that_comes_with_the_loss_of_a_claim_is_delivered(storage: MemoryStorage) -> None:
    await tickets(storage, 1)
    begun = asyncio.get_running_loop().create_future()

    async def handler(claim: HeldClaim) -> None:
        begun.set_result(claim)
        await asyncio.sleep(60)

    working = asyncio.ensure_future(work_off(storage, ACME, DESK, handler, concurrency=1))
    claim: HeldClaim = await begun
    claim.lose()
    working.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(working, 10)
    assert claim.is_lost


async def test_a_late_worker_completes_nothing_and_goes_on(storage: MemoryStorage) -> None:
    await tickets(storage, 2)

    async def handler(claim: HeldClaim) -> SummaryDraft:
        if claim.key.id == "0":
            await delete_ticket(storage, ACME, DESK, "0")
        return await short(claim)

    worked = await work_off(storage, ACME, DESK, handler, until_done=True, poll=SOON)

    assert worked == Worked(completed=1, lost=1)


async def test_a_cancelled_worker_gives_its_tickets_back_as_if_it_had_never_taken_them(storage: MemoryStorage) -> None:
    await tickets(storage, 20)
    begun = asyncio.Event()

    async def handler(_: HeldClaim) -> None:
        begun.set()
        await asyncio.sleep(60)

    working = asyncio.ensure_future(work_off(storage, ACME, DESK, handler, concurrency=4))
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working

    found = [await stood(storage, number) for number in range(20)]
    assert {(one.status, one.attempts, one.claim) for one in found} == {(PENDING, 0, None)}


async def test_a_worker_that_is_told_to_stop_finishes_what_it_began_and_gives_back_the_rest(storage: MemoryStorage) -> None:
    await tickets(storage, 20)
    stop = asyncio.Event()

    async def handler(_: HeldClaim) -> None:
        stop.set()
        await asyncio.sleep(0.01)

    worked = await work_off(storage, ACME, DESK, handler, concurrency=4, stop=stop)

    progress = await get_processing_progress(storage, ACME, DESK)
    assert 1 <= worked.completed <= 4
    assert (progress.completed, progress.pending, progress.processing) == (worked.completed, 20 - worked.completed, 0)


async def test_a_loop_that_is_left_gives_back_what_it_did_not_settle(storage: MemoryStorage) -> None:
    await tickets(storage, 20)

    left: list[HeldClaim] = []

    async with aclosing(claims(storage, ACME, DESK, batch=10)) as line:
        async for claim in line:
            left.append(claim)
            assert claim.ending is Ending.HELD
            break

    found = [await stood(storage, number) for number in range(20)]
    assert [claim.ending for claim in left] == [Ending.RELEASED]
    assert {(one.status, one.attempts) for one in found} == {(PENDING, 0)}


async def test_a_loop_that_is_cancelled_gives_back_the_rest_of_its_batch(storage: MemoryStorage) -> None:
    await tickets(storage, 20)
    begun = asyncio.Event()

    async def loop() -> None:
        async with aclosing(claims(storage, ACME, DESK, batch=10)) as line:
            async for claim in line:
                async with claim:
                    begun.set()
                    await asyncio.sleep(60)

    working = asyncio.ensure_future(loop())
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working

    found = [await stood(storage, number) for number in range(20)]
    assert {(one.status, one.attempts, one.claim) for one in found} == {(PENDING, 0, None)}


async def test_what_comes_back_stands_behind_all_that_could_be_taken_before(storage: MemoryStorage) -> None:
    await tickets(storage, 4)
    seen: list[str] = []

    async def handler(claim: HeldClaim) -> None:
        seen.append(claim.key.id)
        if seen == ["0"]:
            await claim.release()
        if seen == ["0", "1"]:
            raise LookupError

    await work_off(storage, ACME, DESK, handler, concurrency=1, until_done=True, poll=SOON, retry=Retry(first=timedelta(microseconds=1)))

    assert seen[:4] == ["0", "1", "2", "3"]
    assert sorted(seen[4:]) == ["0", "1"]


async def test_a_claim_that_was_given_back_cannot_be_begun_again(storage: MemoryStorage) -> None:
    await tickets(storage, 1)
    async with aclosing(claims(storage, ACME, DESK)) as line:
        claim = await anext(line)

    with pytest.raises(ClaimLost):
        async with claim:
            raise AssertionError

    with pytest.raises(ClaimLost):
        await claim.complete()


async def test_a_ticket_that_comes_later_is_found(storage: MemoryStorage) -> None:
    stop = asyncio.Event()

    async def handler(_: HeldClaim) -> None:
        stop.set()

    working = asyncio.ensure_future(work_off(storage, ACME, DESK, handler, stop=stop, poll=SOON))
    await asyncio.sleep(0.05)
    await tickets(storage, 1)

    assert await asyncio.wait_for(working, 10) == Worked(completed=1)


async def test_work_until_all_is_done_waits_for_what_others_work_on(storage: MemoryStorage) -> None:
    await tickets(storage, 2)
    (other,) = await claim_tickets(storage, ACME, DESK, 1, worker="another")

    working = asyncio.ensure_future(work_off(storage, ACME, DESK, short, until_done=True, poll=SOON))
    await asyncio.sleep(0.1)
    was_done = working.done()
    await release(storage, ACME, other)

    assert await asyncio.wait_for(working, 10) == Worked(completed=2)
    assert not was_done


async def test_work_until_all_is_done_is_over_at_once_where_there_is_none(storage: MemoryStorage) -> None:
    assert await work_off(storage, ACME, DESK, short, until_done=True) == Worked()


async def test_a_worker_of_a_platform_without_any_ticket_warns_once(storage: MemoryStorage, caplog: pytest.LogCaptureFixture) -> None:
    stop = asyncio.Event()

    working = asyncio.ensure_future(work_off(storage, ACME, "freshdeks", short, stop=stop, poll=SOON))
    await asyncio.sleep(10 * SOON.total_seconds())
    stop.set()
    await working

    assert [(one.name, one.levelname, one.getMessage()) for one in caplog.records] == [
        ("deskstore", "WARNING", "company 'acme' has no ticket at all on 'freshdeks': are both names right?")
    ]


async def test_a_worker_whose_tickets_are_all_done_does_not_warn(storage: MemoryStorage, caplog: pytest.LogCaptureFixture) -> None:
    await tickets(storage, 1)

    for _ in range(2):
        await work_off(storage, ACME, DESK, short, until_done=True, poll=SOON)

    assert caplog.records == []


async def test_a_ticket_whose_workers_die_again_and_again_fails_for_good(storage: MemoryStorage) -> None:
    await tickets(storage, 1)
    for _ in range(2):
        (taken,) = await claim_tickets(storage, ACME, DESK, 1, worker="dies")
        await release(storage, ACME, taken)  # a release counts its attempt, and stands here for a lease that ran out

    worked = await work_off(storage, ACME, DESK, short, until_done=True, poll=SOON, retry=Retry(attempts=2))

    failed = await stood(storage)
    assert worked == Worked()
    assert (failed.status, failed.error, failed.claimable_at) == (FAILED, "taken 3 times, and never brought to an end", None)


async def test_a_ticket_that_is_deleted_or_changed_before_it_is_begun_is_passed_over_or_read_anew(storage: MemoryStorage) -> None:
    await tickets(storage, 3)
    seen: list[tuple[str, str | None]] = []

    async for claim in claims(storage, ACME, DESK, until_done=True, poll=SOON):
        async with claim:
            if not seen:
                await delete_ticket(storage, ACME, DESK, "1")
                await save_ticket(storage, ACME, DESK, freshdesk(2, subject="Another", updated_at="2026-05-01T00:00:00Z"))
            seen.append((claim.key.id, claim.ticket.fields.subject))
            await claim.complete(await short(claim))

    assert [ticket_id for ticket_id, _ in seen] == ["0", "2"]
    assert seen[1][1] == "Another"
    assert ((await stood(storage, 2)).attempts, [one async for one in stale_summaries(storage, ACME)]) == (1, [])


async def test_a_damaged_ticket_fails_for_good_and_the_others_go_on(storage: MemoryStorage) -> None:
    await tickets(storage, 2)
    faulty = FaultyStorage(storage)
    faulty.reads.append(Fault(error=CorruptRecord(ticket_key(DESK, "0"), "its file", "it is torn")))

    worked = await work_off(faulty, ACME, DESK, short, until_done=True, poll=SOON)

    failed = await stood(storage)
    assert (worked, failed.status, failed.claimable_at) == (Worked(completed=1), FAILED, None)
    assert "its file: it is torn" in (failed.error or "")


async def test_a_lease_that_could_not_be_renewed_once_is_renewed_the_next_time(storage: MemoryStorage) -> None:
    await tickets(storage, 1)
    faulty = FaultyStorage(storage)
    faulty.commits.extend(unavailable())

    async def handler(claim: HeldClaim) -> None:
        await asyncio.sleep(2 * SHORT.total_seconds())
        assert not claim.is_lost

    assert await work_off(faulty, ACME, DESK, handler, lease=SHORT, until_done=True, poll=SOON) == Worked(completed=1)


async def test_a_lease_that_ended_while_the_storage_could_not_be_reached_counts_as_lost(storage: MemoryStorage) -> None:
    await tickets(storage, 1)
    faulty, stop = FaultyStorage(storage), asyncio.Event()
    faulty.commits.extend(unavailable() * 20)

    async def handler(claim: HeldClaim) -> None:
        stop.set()
        await asyncio.sleep(60)
        await claim.fail("it was not stopped")

    assert await asyncio.wait_for(work_off(faulty, ACME, DESK, handler, lease=SHORT, stop=stop, poll=SOON), 10) == Worked(lost=1)


async def test_a_ticket_that_another_took_while_this_process_stood_still_is_not_begun() -> None:
    clock = ManualClock()
    storage = MemoryStorage(clock=clock)
    await tickets(storage, 3)
    begun: list[str] = []

    async for claim in claims(storage, ACME, DESK, batch=3, until_done=True, poll=SOON):
        async with claim:
            begun.append(claim.key.id)
            clock.move(LEASE + CLOCK_SKEW + timedelta(seconds=1))  # as a process finds it that was asleep
            for taken in await claim_tickets(storage, ACME, DESK, 3, worker="another"):
                await complete(storage, ACME, taken)

    assert begun == ["0"]
    await storage.aclose()


async def test_a_storage_that_does_not_work_any_more_ends_the_work(storage: MemoryStorage) -> None:
    await tickets(storage, 10)

    async def handler(_: HeldClaim) -> None:
        await storage.aclose()

    with pytest.raises(StorageUnavailable):
        await work_off(storage, ACME, DESK, handler)


def busy(calls: int) -> list[Fault]:
    return [Fault(error=StorageBusy("another process held the writer lock: it was told to"))] * calls


async def test_a_storage_that_others_hold_for_long_costs_no_work_that_was_done(storage: MemoryStorage) -> None:
    await tickets(storage, 2)
    faulty = FaultyStorage(storage)
    faulty.claims.extend(busy(3))
    faulty.commits.extend(busy(5))
    worked_on: list[str] = []

    async def handler(claim: HeldClaim) -> SummaryDraft:
        worked_on.append(claim.key.id)
        return await short(claim)

    assert await work_off(faulty, ACME, DESK, handler, until_done=True, poll=SOON) == Worked(completed=2)
    assert sorted(worked_on) == ["0", "1"]


async def test_a_ticket_that_waits_for_a_busy_storage_is_lost_when_its_lease_is(storage: MemoryStorage) -> None:
    await tickets(storage, 1)
    faulty, stop = FaultyStorage(storage), asyncio.Event()
    faulty.commits.extend(busy(10_000))

    async def handler(claim: HeldClaim) -> SummaryDraft:
        stop.set()
        return await short(claim)

    assert await asyncio.wait_for(work_off(faulty, ACME, DESK, handler, lease=SHORT, stop=stop, poll=SOON), 10) == Worked(lost=1)


async def test_work_on_no_ticket_at_once_is_refused(storage: MemoryStorage) -> None:
    with pytest.raises(InvalidRecord, match="concurrency is 0"):
        await work_off(storage, ACME, DESK, short, concurrency=0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_is_a_wish_to_stop_and_the_second_one_is_as_ever(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    with stop_on_signals() as stop:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wait(), 10)
        after_the_first = signal.getsignal(number)

    assert after_the_first == signal.getsignal(number) == before


async def test_work_that_ends_without_a_signal_leaves_signals_as_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with stop_on_signals() as stop:
        assert signal.getsignal(signal.SIGTERM) != before

    assert not stop.is_set()
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("settled", ["completed", "failed"])
async def test_a_claim_that_is_settled_twice_is_an_error_of_that_ticket_alone(storage: MemoryStorage, settled: str) -> None:
    await tickets(storage, 3)
    refused: list[str] = []

    async def handler(claim: HeldClaim) -> None:
        try:
            if claim.key.id == "1":
                await (claim.complete() if settled == "completed" else claim.fail("spam"))
                await claim.complete()
        except UnitOfWorkMisuse as error:
            refused.append(str(error))
            raise

    worked = await work_off(storage, ACME, DESK, handler, until_done=True, poll=SOON)

    assert (worked.completed + worked.failed, (await stood(storage, 1)).status) == (3, settled)
    assert refused == [f"the claim on ticket '1' on 'freshdesk' was {settled} already: settle each claim once; nothing was changed"]


async def test_an_error_after_a_ticket_was_settled_or_lost_ends_nothing_for_the_others(
    storage: MemoryStorage, caplog: pytest.LogCaptureFixture
) -> None:
    await tickets(storage, 3)

    async def handler(claim: HeldClaim) -> None:
        if claim.key.id == "0":
            await claim.complete()
            raise LookupError("too late")
        if claim.key.id == "1":
            await delete_ticket(storage, ACME, DESK, "1")
            try:
                await claim.complete()
            except ClaimLost as lost:
                raise LookupError("it is gone") from lost

    worked = await work_off(storage, ACME, DESK, handler, until_done=True, poll=SOON)

    assert worked == Worked(completed=2, lost=1)
    assert "ended with LookupError: too late (the ticket is completed)" in caplog.text
    assert "ended with LookupError: it is gone (the ticket is lost)" in caplog.text


async def test_a_failure_is_logged_with_its_reason_and_traced_at_debug(storage: MemoryStorage, caplog: pytest.LogCaptureFixture) -> None:
    await tickets(storage, 1)

    async def handler(_: HeldClaim) -> None:
        raise LookupError("no such model")

    with caplog.at_level(logging.DEBUG, "deskstore"):
        await work_off(storage, ACME, DESK, handler, until_done=True, poll=SOON)

    told = [one for one in caplog.records if "LookupError" in one.getMessage()]
    traced = [one for one in caplog.records if one.exc_info]
    assert [(one.levelname, one.getMessage()) for one in told] == [
        ("WARNING", "work on ticket '0' on 'freshdesk' ended with LookupError: no such model (the ticket is failed)")
    ]
    assert [(one.levelname, one.exc_info and one.exc_info[0]) for one in traced] == [("DEBUG", LookupError)]


@pytest.mark.parametrize(("given", "kind"), [({"summary": "short"}, "dict"), ("short", "str"), (0, "int")])
async def test_a_ticket_whose_handler_gives_no_summary_draft_fails_and_says_so(storage: MemoryStorage, given: object, kind: str) -> None:
    await tickets(storage, 1)

    async def handler(_: HeldClaim) -> Any:  # a program without types gives what it likes
        return given

    worked = await work_off(storage, ACME, DESK, handler, until_done=True, poll=SOON)

    assert worked == Worked(failed=1)
    assert (await stood(storage)).error == f"InvalidRecord: the handler gave a {kind}: return a SummaryDraft or None"


@pytest.mark.parametrize("given", [None, SummaryDraft(content={"text": "short"})])
async def test_a_handler_that_is_no_coroutine_function_is_refused_and_its_ticket_given_back(storage: MemoryStorage, given: object) -> None:
    await tickets(storage, 3)

    def handler(_: HeldClaim) -> Any:  # a program without types gives what it likes
        return given

    with pytest.raises(InvalidRecord, match="the handler must be `async def`"):
        await work_off(storage, ACME, DESK, handler, until_done=True, poll=SOON)

    assert {(one.status, one.attempts) for one in [await stood(storage, number) for number in range(3)]} == {(PENDING, 0)}


async def test_a_handler_may_be_any_function_that_gives_something_to_await(storage: MemoryStorage) -> None:
    await tickets(storage, 2)

    assert await work_off(storage, ACME, DESK, lambda claim: asyncio.wait_for(short(claim), 10), until_done=True, poll=SOON) == Worked(
        completed=2
    )
