"""Tickets of a requester who was erased are kept out until that is lifted, and nothing that is kept tells who it was."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

import pytest
from attrs import evolve

from deskstore.domain.changes import Changes, SaveRecord
from deskstore.domain.errors import InvalidRecord, RequesterSuppressed, StorageUnavailable
from deskstore.domain.mirror import PARTS, Thing
from deskstore.domain.paging import Filter
from deskstore.domain.records import Ticket
from deskstore.domain.suppressions import Suppression
from deskstore.services.erasing import erase_requester
from deskstore.testing.desk import Desk
from deskstore.testing.faults import FaultyStorage, unavailable
from deskstore.testing.makers import PLATFORM, a_summary, a_suppression, a_ticket, fields

KIM = "kim@example.com"
LEE = "lee@example.com"
_A_WHILE_S = 0.05  #: in which whatever does not wait for its turn is done


def _ticket_of(requester: str | None, ticket_id: str = "1", platform: str = PLATFORM) -> Ticket:
    return a_ticket(ticket_id, platform=platform, read=evolve(fields(), requester=requester))


async def _found(desk: Desk, suppression: Suppression) -> Suppression | None:
    async with desk.unit() as uow:
        return (await uow.suppressions.find_many([suppression.name])).get(suppression.name)


async def test_a_ticket_of_a_suppressed_requester_is_refused_with_all_of_its_unit(desk: Desk) -> None:
    await desk.suppress(a_suppression(KIM))

    with pytest.raises(RequesterSuppressed) as refusal:
        await desk.keep(_ticket_of(KIM, "1"), _ticket_of(LEE, "2"), _ticket_of(KIM, "3"))

    assert [key.id for key in refusal.value.keys] == ["1", "3"]
    assert (await desk.everything()).tickets == []


async def test_tickets_of_all_others_are_kept(desk: Desk, other_desk: Desk) -> None:
    await desk.suppress(a_suppression(KIM))

    await desk.keep(_ticket_of(LEE, "1"), _ticket_of(None, "2"), _ticket_of(KIM, "3", platform="freshdesk"), _ticket_of(KIM.upper(), "4"))
    await other_desk.keep(_ticket_of(KIM))

    assert [ticket.ticket_id for ticket in (await desk.everything()).tickets] == ["3", "1", "2", "4"]
    assert [ticket.ticket_id for ticket in (await other_desk.everything()).tickets] == ["1"]


async def test_a_requester_is_known_by_the_first_hundred_characters(desk: Desk) -> None:
    await desk.suppress(a_suppression("k" * 100))

    with pytest.raises(RequesterSuppressed):
        await desk.keep(_ticket_of("k" * 200))
    await desk.keep(_ticket_of("k" * 99))


async def test_what_stands_of_a_suppressed_requester_can_be_worked_on_and_removed_but_not_replaced(desk: Desk) -> None:
    ticket = await desk.kept(_ticket_of(KIM))
    await desk.suppress(a_suppression(KIM))

    with pytest.raises(RequesterSuppressed):
        await desk.received(ticket, "other text")
    await desk.summarise(a_summary(ticket.key))
    await desk.delete(ticket)

    assert (await desk.everything()).tickets == []


async def test_lifting_lets_the_tickets_in_again(desk: Desk) -> None:
    await desk.suppress(a_suppression(KIM))
    await desk.suppress(a_suppression(LEE))

    await desk.lift(a_suppression(KIM))
    await desk.lift(a_suppression(KIM))

    await desk.keep(_ticket_of(KIM))
    with pytest.raises(RequesterSuppressed):
        await desk.keep(_ticket_of(LEE, "2"))
    assert await _found(desk, a_suppression(KIM)) is None


async def test_lifting_what_was_never_suppressed_changes_nothing(desk: Desk) -> None:
    await desk.lift(a_suppression(KIM))

    assert desk.company_id not in await desk.storage.companies()


async def test_suppressions_under_several_secrets_all_hold(desk: Desk) -> None:
    await desk.suppress(a_suppression(KIM, secret=b"a" * 32))
    await desk.suppress(a_suppression(LEE, secret=b"b" * 32))

    for requester in (KIM, LEE):
        with pytest.raises(RequesterSuppressed):
            await desk.keep(_ticket_of(requester))
    async with desk.unit() as uow:
        assert sorted(await uow.suppressions.secrets()) == [b"a" * 32, b"b" * 32]


async def test_a_unit_that_suppresses_a_requester_saves_none_of_their_tickets(desk: Desk) -> None:
    async with desk.unit() as uow:
        uow.suppressions.save(a_suppression(KIM))
        uow.tickets.save(_ticket_of(KIM))
        with pytest.raises(RequesterSuppressed):
            await uow.commit()

    assert await _found(desk, a_suppression(KIM)) is None


async def test_whoever_suppresses_a_requester_sees_the_tickets_of_commits_that_were_under_way(desk: Desk) -> None:
    await desk.keep(a_ticket("before", read=fields()))
    under_way: list[asyncio.Future[None]] = []

    async def meanwhile(_: Changes) -> None:
        under_way.append(asyncio.ensure_future(desk.suppress(a_suppression(LEE))))
        await asyncio.sleep(_A_WHILE_S)
        assert not under_way[0].done()

    await desk.storage.backend(desk.company_id).apply(Changes(records=(SaveRecord(_ticket_of(LEE)),)), meanwhile)
    await under_way[0]

    assert await desk.find(_ticket_of(LEE).key) is not None
    with pytest.raises(RequesterSuppressed):
        await desk.keep(_ticket_of(LEE, "2"))


async def test_what_a_suppression_counts_adds_up(desk: Desk) -> None:
    first = a_suppression(KIM)
    for _ in range(3):
        await desk.suppress(evolve(first, tickets=2, summaries=5))

    found = await _found(desk, first)

    assert found is not None
    assert (found.tickets, found.summaries, found.created_at, found.secret) == (6, 15, first.created_at, first.secret)


async def test_a_stream_gives_the_tickets_of_one_requester(desk: Desk) -> None:
    await desk.keep(*(_ticket_of(requester, ticket_id) for ticket_id, requester in zip("12345", (KIM, LEE, KIM, None, KIM), strict=True)))

    async with desk.unit() as uow:
        found = [ticket.ticket_id async for ticket in uow.tickets.stream(Filter(platform=PLATFORM, requester=KIM))]
        nobody = [ticket async for ticket in uow.tickets.stream(Filter(requester="nobody"))]
        with pytest.raises(InvalidRecord):
            await uow.tickets.page(Filter(requester=KIM))

    assert (found, nobody) == (["1", "3", "5"], [])


async def _digests(desk: Desk) -> dict[Thing, bytes]:
    """What a company amounts to."""
    return {one.thing: one.digest for part in PARTS async for one in desk.replica().digests(part)}


async def _fill_for_two(desk: Desk) -> None:
    """Keep six tickets, every other one of Kim's, each with two summaries; and articles, a checkpoint and somebody else kept out."""
    await desk.fill("ours")
    tickets = [_ticket_of(requester, f"{requester} {number}") for requester in (KIM, LEE) for number in range(3)]
    await desk.keep(*tickets)
    await desk.summarise(*(a_summary(ticket.key) for ticket in tickets for _ in range(2)))


async def test_erasing_a_requester_removes_what_is_theirs_and_nothing_else(desk: Desk, other_desk: Desk) -> None:
    await _fill_for_two(desk)
    await _fill_for_two(other_desk)
    ours, theirs = await _digests(desk), await _digests(other_desk)

    receipt = await erase_requester(desk.storage, desk.company_id, PLATFORM, KIM, batch_tickets=2)

    assert receipt is not None
    assert (receipt.tickets, receipt.summaries) == (6, 9)  # the tickets of fill() are of Kim, too
    assert await _digests(other_desk) == theirs
    left = await _digests(desk)
    assert {thing for thing in left if LEE not in thing.id and thing.kind == "ticket"} == set()
    assert {thing: digest for thing, digest in left.items() if thing.id != receipt.digest} == {
        thing: digest for thing, digest in ours.items() if LEE in thing.id or thing.kind != "ticket"
    }


async def test_erasing_a_requester_is_told_to_whoever_follows_and_never_by_name(desk: Desk) -> None:
    await _fill_for_two(desk)
    replica, state = desk.replica(), await desk.replica().state()
    assert state is not None
    assert await replica.compare_and_set_state(state, evolve(state, backups=(*state.backups, "whoever")))

    receipt = await erase_requester(desk.storage, desk.company_id, PLATFORM, KIM)

    debts = [debt.thing for debt in await desk.replica().outbox("whoever", 1_000)]
    assert receipt is not None
    gone = [copy for copy in await desk.replica().read(debts) if copy.value is None]
    assert Counter(copy.thing.part for copy in gone) == {"ticket": 6, "processing": 6, "summary": 9}
    assert [thing.id for thing in debts if thing.part == "suppression"] == [receipt.digest]
    assert KIM not in str(receipt) + str([copy async for copy in desk.replica().copies("suppression")])


async def test_a_requester_whose_erasing_was_cut_off_is_erased_to_the_end(desk: Desk) -> None:
    await _fill_for_two(desk)
    cut_off = FaultyStorage(desk.storage)
    for commits in range(4):
        cut_off.commits.extend(unavailable(after_calls=commits))
        with suppress(StorageUnavailable):
            await erase_requester(cut_off, desk.company_id, PLATFORM, KIM, batch_tickets=1)
        cut_off.commits.clear()

    receipt = await erase_requester(desk.storage, desk.company_id, PLATFORM, KIM, batch_tickets=1)
    again = await erase_requester(desk.storage, desk.company_id, PLATFORM, KIM)

    assert again == receipt
    assert receipt is not None
    assert (receipt.tickets, receipt.summaries) == (6, 9)
    async with desk.unit() as uow:
        assert [ticket async for ticket in uow.tickets.stream(Filter(requester=KIM))] == []
    assert len((await desk.everything()).tickets) == 3
