"""Tickets are kept as they are, replaced whole, guarded by versions that never repeat, and deleted with all that is theirs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import evolve

from deskstore.domain import times
from deskstore.domain.errors import VersionConflict
from deskstore.domain.processing import PENDING
from deskstore.domain.records import SourceVersion
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.makers import PLATFORM, a_summary, a_ticket, an_article, fields


async def test_a_ticket_comes_back_as_it_was_saved_but_for_its_version(desk: Desk) -> None:
    ticket = a_ticket(read=fields(source_version=SourceVersion("updated_at", 7)))

    stored = await desk.kept(ticket)

    assert stored == evolve(ticket, version=stored.version)


async def test_a_ticket_that_does_not_exist_is_none(desk: Desk) -> None:
    await desk.keep(a_ticket("1"))

    async with desk.unit() as uow:
        assert await uow.tickets.find(PLATFORM, "2") is None
        assert await uow.tickets.find("jira", "1") is None
        assert await uow.progress.find(PLATFORM, "2") is None


async def test_find_many_gives_those_that_exist(desk: Desk) -> None:
    stored = {key: await desk.find(key) for key in (await desk.keep(a_ticket("1"), a_ticket("2"), a_ticket("3"))).versions}
    asked = [a_ticket(ticket_id).key for ticket_id in ("3", "4", "1", "3")]

    async with desk.unit() as uow:
        found = await uow.tickets.find_many(asked)
        nothing = await uow.tickets.find_many([])

    assert found == {key: stored[key] for key in (asked[0], asked[2])}
    assert nothing == {}


async def test_heads_tell_of_a_ticket_what_a_decision_needs(desk: Desk) -> None:
    stored = await desk.kept(a_ticket(read=fields(source_version=SourceVersion("updated_at", 7))))

    async with desk.unit() as uow:
        heads = await uow.tickets.heads([stored.key, a_ticket("missing").key])

    assert list(heads) == [stored.key]
    head = heads[stored.key]
    assert (head.key, head.sha256, head.version) == (stored.key, stored.sha256, stored.version)
    assert (head.text_digest, head.source_version) == (stored.fields.text_digest, stored.fields.source_version)
    assert head.processing == await desk.processing(stored.key)


async def test_a_payload_replaces_the_one_before_and_never_merges_with_it(desk: Desk) -> None:
    stored = await desk.kept(a_ticket(payload=b'{"a": 1, "b": 2}'))

    received = await desk.received(stored, "other", payload=b'{"c": 3}')

    assert received.payload == b'{"c": 3}'
    assert received.fields == fields("other")


async def test_a_version_is_given_to_each_save_and_grows(desk: Desk) -> None:
    first = await desk.kept(a_ticket())

    second = await desk.kept(first)

    assert 0 < first.version < second.version


async def test_a_ticket_saved_since_it_was_read_is_a_conflict(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    latest = await desk.received(stored, "somebody was faster")

    with pytest.raises(VersionConflict) as conflict:
        await desk.received(stored, "too late")

    assert conflict.value.keys == (stored.key,)
    assert await desk.find(stored.key) == latest


async def test_a_new_ticket_must_not_exist_yet(desk: Desk) -> None:
    stored = await desk.kept(a_ticket(text="first"))

    with pytest.raises(VersionConflict):
        await desk.keep(a_ticket(text="second"))

    assert await desk.find(stored.key) == stored


async def test_a_ticket_that_is_gone_cannot_be_saved_or_deleted(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    await desk.delete(stored)

    with pytest.raises(VersionConflict):
        await desk.keep(stored)
    with pytest.raises(VersionConflict):
        await desk.delete(stored)

    assert await desk.find(stored.key) is None


async def test_a_ticket_saved_since_it_was_read_is_not_deleted(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    latest = await desk.received(stored, "somebody was faster")

    with pytest.raises(VersionConflict):
        await desk.delete(stored)

    assert await desk.find(stored.key) == latest


async def test_versions_follow_the_clock_so_that_what_is_saved_after_a_restore_is_newer(desk: Desk, clock: ManualClock) -> None:
    clock.move(timedelta(hours=1))

    stored = await desk.kept(a_ticket())

    assert stored.version >= times.microseconds(clock())


async def test_versions_never_repeat_when_the_clock_stands_still_or_goes_back(desk: Desk, clock: ManualClock) -> None:
    stored = await desk.kept(a_ticket())
    versions = [stored.version]

    for hours in (0, 0, -1, 1):
        clock.move(timedelta(hours=hours))
        stored = await desk.kept(stored)
        versions.append(stored.version)

    assert versions == sorted(set(versions))


async def test_a_re_created_ticket_is_newer_than_the_deleted_one(desk: Desk, clock: ManualClock) -> None:
    stored = await desk.kept(a_ticket())
    processing = await desk.processing(stored.key)
    for _ in range(3):
        processing = await desk.settle(processing)

    clock.move(timedelta(hours=-1))
    await desk.delete(stored)
    again = await desk.kept(a_ticket())
    clock.move(timedelta(hours=1))

    assert again.version > stored.version
    assert (await desk.processing(again.key)).version > processing.version


async def test_a_reader_of_the_deleted_ticket_cannot_overwrite_the_re_created_one(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    await desk.delete(stored)
    again = await desk.kept(a_ticket(text="another"))

    with pytest.raises(VersionConflict):
        await desk.keep(stored)

    assert await desk.find(stored.key) == again


async def test_deleting_a_ticket_takes_its_processing_claim_and_summaries_along(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    await desk.summarise(a_summary(stored.key), a_summary(stored.key))
    await desk.claimed()

    await desk.delete(stored)

    found = await desk.everything()
    assert (found.tickets, found.processing, found.summaries, found.stats) == ([], [], [], [])
    assert await desk.history(stored.key) == []
    assert await desk.stale() == []
    assert await desk.claim(10) == []


async def test_a_re_created_ticket_begins_anew(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    await desk.summarise(a_summary(stored.key), a_summary(stored.key))
    await desk.claimed()
    await desk.delete(stored)

    await desk.keep(a_ticket())

    processing = await desk.processing(stored.key)
    assert (processing.status, processing.attempts, processing.claim) == (PENDING, 0, None)
    assert await desk.history(stored.key) == []
    assert [one.number for one in await desk.summarise(a_summary(stored.key))] == [1]


async def test_deleting_a_ticket_leaves_the_article_and_the_other_platform_of_that_id_alone(desk: Desk) -> None:
    ticket = await desk.kept(a_ticket("7"))
    await desk.keep(a_ticket("7", platform="jira"), an_article("7"))
    await desk.summarise(a_summary(a_ticket("7", platform="jira").key), a_summary(an_article("7").key))

    await desk.delete(ticket)

    found = await desk.everything()
    assert [one.key for one in found.records] == [a_ticket("7", platform="jira").key, an_article("7").key]
    assert len(found.summaries) == 2
    assert [one.key.platform for one in found.processing] == ["jira"]
