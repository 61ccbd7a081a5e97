"""Every ticket has a processing of its own, which obeys its versions, its claim and the text of its ticket."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from attrs import evolve

from deskstore.domain.errors import ClaimLost, InvalidRecord, InvalidTransition, TicketNotFound, VersionConflict
from deskstore.domain.processing import ALLOWED, COMPLETED, FAILED, PENDING, PROCESSING, Processing, ProcessingStatus, fresh
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import LEASE, Desk
from deskstore.testing.makers import a_checkpoint, a_ticket, an_article


async def test_a_new_ticket_is_pending_and_may_be_taken_from_when_it_was_received(desk: Desk, clock: ManualClock) -> None:
    stored = await desk.kept(a_ticket(now=clock() - LEASE))

    processing = await desk.processing(stored.key)

    assert processing == evolve(fresh(stored.key, now=stored.saved_at), version=processing.version)
    assert processing.version > 0


async def test_processing_comes_back_as_it_was_saved_but_for_its_version(desk: Desk, clock: ManualClock) -> None:
    key = (await desk.kept(a_ticket())).key
    failed = (await desk.processing(key)).failed("no answer 🙂", now=clock(), retry_at=clock() + timedelta(hours=1))

    kept = await desk.settle(evolve(failed, attempts=3))

    assert kept == evolve(failed, attempts=3, version=kept.version)
    assert kept.version > failed.version


async def test_every_status_leads_only_where_the_rules_allow(desk: Desk, clock: ManualClock) -> None:
    for number, (present, wanted) in enumerate(product(ProcessingStatus, ProcessingStatus)):
        key = (await desk.kept(a_ticket(str(number)))).key
        stood = await desk.settle((await desk.processing(key)).to(present, now=clock()))

        if wanted == present or wanted in ALLOWED[present]:
            assert (await desk.settle(stood.to(wanted, now=clock()))).status == wanted
        else:
            with pytest.raises(InvalidTransition):
                await desk.settle(stood.to(wanted, now=clock()))
            assert await desk.processing(key) == stood


async def test_no_status_is_kept_past_the_rules_whoever_made_it_up(desk: Desk, clock: ManualClock) -> None:
    for present, wanted in ((FAILED, COMPLETED), (COMPLETED, PROCESSING), (COMPLETED, FAILED)):
        key = (await desk.kept(a_ticket(f"{present} {wanted}"))).key
        stood = await desk.settle((await desk.processing(key)).to(present, now=clock()))

        with pytest.raises(InvalidTransition) as refused:
            await desk.settle(evolve(stood, status=wanted))

        assert (refused.value.key, refused.value.present, refused.value.wanted) == (key, present, wanted)
        assert await desk.processing(key) == stood


async def test_attempts_that_not_every_storage_can_count_are_refused(desk: Desk) -> None:
    stood = await desk.processing((await desk.kept(a_ticket())).key)

    async with desk.unit() as uow:
        for attempts in (-1, 2**31, 2**63, 10**400):
            with pytest.raises(InvalidRecord, match="attempts"):
                uow.progress.save(evolve(stood, attempts=attempts))

    assert (await desk.settle(evolve(stood, attempts=2**31 - 1))).attempts == 2**31 - 1


async def test_processing_saved_since_it_was_read_is_a_conflict(desk: Desk, clock: ManualClock) -> None:
    read = await desk.processing((await desk.kept(a_ticket())).key)
    kept = await desk.settle(read.completed(now=clock()))

    with pytest.raises(VersionConflict) as conflict:
        await desk.settle(read.failed("too late", now=clock(), retry_at=None))

    assert conflict.value.keys == (read.key,)
    assert await desk.processing(read.key) == kept


async def test_saving_a_ticket_again_does_not_disturb_whoever_read_its_processing(desk: Desk, clock: ManualClock) -> None:
    stored = await desk.kept(a_ticket())
    read = await desk.processing(stored.key)
    await desk.received(stored, "It does not start", note="seen")

    kept = await desk.settle(read.completed(now=clock()))

    assert kept.status == COMPLETED


async def test_the_processing_of_a_missing_ticket_cannot_be_saved(desk: Desk, clock: ManualClock) -> None:
    with pytest.raises(TicketNotFound) as missing:
        await desk.settle(fresh(a_ticket().key, now=clock()))

    assert missing.value.key == a_ticket().key
    assert (await desk.everything()).processing == []


async def test_the_processing_of_a_deleted_ticket_cannot_be_saved(desk: Desk, clock: ManualClock) -> None:
    stored = await desk.kept(a_ticket())
    read = await desk.processing(stored.key)
    await desk.delete(stored)

    with pytest.raises(VersionConflict):
        await desk.settle(read.completed(now=clock()))

    assert (await desk.everything()).processing == []


async def test_an_article_cannot_be_processed(desk: Desk, clock: ManualClock) -> None:
    article = await desk.kept(an_article())

    with pytest.raises(InvalidRecord):
        await desk.settle(fresh(article.key, now=clock()))

    assert (await desk.progress()).total == 0


async def test_changed_text_makes_a_ticket_pending_again_whatever_became_of_it(desk: Desk, clock: ManualClock) -> None:
    for status in (PROCESSING, COMPLETED, FAILED):
        stored = await desk.kept(a_ticket(status))
        await desk.settle(evolve((await desk.processing(stored.key)).to(status, now=clock()), attempts=2))

        received = await desk.received(stored, "new text")

        processing = await desk.processing(stored.key)
        assert (processing.status, processing.attempts, processing.error) == (PENDING, 0, None)
        assert processing.claimable_at == received.saved_at


async def test_a_change_of_anything_but_the_text_leaves_processing_alone(desk: Desk, clock: ManualClock) -> None:
    stored = await desk.kept(a_ticket())
    done = await desk.settle((await desk.processing(stored.key)).completed(now=clock()))

    await desk.received(stored, "It does not start", note="escalated")

    assert await desk.processing(stored.key) == done


async def test_while_a_claim_lives_nobody_else_changes_the_status(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    taken, _ = await desk.claimed()

    for token in (None, "another"):
        with pytest.raises(ClaimLost) as lost:
            await desk.settle(taken.completed(now=clock()), token)
        assert lost.value.keys == (taken.key,)

    assert await desk.processing(taken.key) == taken


async def test_once_a_claim_ran_out_the_status_may_be_changed_without_its_token(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    taken, _ = await desk.claimed()
    clock.move(LEASE + timedelta(seconds=5))

    kept = await desk.settle(taken.released(now=clock()))

    assert (kept.status, kept.claim) == (PENDING, None)


async def test_a_lost_claim_keeps_nothing_of_its_unit(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    taken, _ = await desk.claimed()
    before = await desk.everything()

    with pytest.raises(ClaimLost):
        async with desk.unit() as uow:
            uow.tickets.save(a_ticket("other"))
            uow.progress.save_checkpoint(a_checkpoint())
            uow.progress.save(taken.completed(now=clock()))
            await uow.commit()

    assert await desk.everything() == before


async def test_find_many_gives_the_processing_of_tickets_that_exist(desk: Desk) -> None:
    keys = [(await desk.kept(a_ticket(number))).key for number in ("1", "2")]

    async with desk.unit() as uow:
        found = await uow.progress.find_many([*keys, a_ticket("3").key])

    assert {key: type(value) for key, value in found.items()} == dict.fromkeys(keys, Processing)
    assert {value.key for value in found.values()} == set(keys)
