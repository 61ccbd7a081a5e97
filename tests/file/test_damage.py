"""A record whose file is not the one deskstore wrote is an error that names the file, and harms nothing beside it."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve

from deskstore.adapters.file.company import distrust
from deskstore.adapters.file.layout import record_path, summary_path
from deskstore.domain.errors import CorruptRecord, StorageUnavailable
from deskstore.domain.identifiers import Key, article_key, ticket_key
from deskstore.domain.mirror import Thing
from deskstore.domain.paging import EVERYTHING, Filter
from deskstore.domain.ports import UnitOfWork
from deskstore.domain.processing import PENDING
from deskstore.domain.records import Article
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.makers import PLATFORM, a_summary, a_ticket, an_article, fields
from tests.file.conftest import Settle
from tests.file.trees import Damage, contents_of, spoil

Read = Callable[[UnitOfWork, Key], Coroutine[Any, Any, object]]  # Any: what a coroutine may be sent
SOUND: Final = ticket_key(PLATFORM, "sound")
BROKEN: Final = {how: ticket_key(PLATFORM, how.value) for how in Damage}

READS: dict[str, Read] = {
    "find": lambda uow, key: uow.tickets.find(key.platform, key.id),
    "find many": lambda uow, key: uow.tickets.find_many([SOUND, key]),
    "heads": lambda uow, key: uow.tickets.heads([SOUND, key]),
    # each damaged ticket is the only one with its status
    "page": lambda uow, key: uow.tickets.page(Filter(status=key.id)),
    "page at": lambda uow, key: uow.tickets.page_at(Filter(status=key.id), offset=0),
}


def _file(base: Path, key: Key) -> Path:
    return base / "acme" / record_path(key)


async def _corrupt(read: Coroutine[Any, Any, object]) -> CorruptRecord:  # Any: what a coroutine may be sent
    """The error that a read raises, within a second."""
    with pytest.raises(CorruptRecord) as caught:
        await asyncio.wait_for(read, 1)
    return caught.value


def _key(error: CorruptRecord) -> Key:
    assert error.key is not None
    return error.key


async def _version(desk: Desk, key: Key) -> int:
    """The version of a damaged record, which its error tells."""
    return (await _corrupt(desk.unit().tickets.heads([key]))).version


@pytest.fixture
async def damaged(base: Path, desk: Desk, settle: Settle) -> Desk:
    """A ticket for each way of damage, in that state, with a summary each, and a sound one; all beside sound articles."""
    tickets = [a_ticket(key.id, read=fields(status=key.id)) for key in (SOUND, *BROKEN.values())]
    await desk.keep(*tickets, an_article("1"), an_article("1", "ko"))
    await desk.summarise(*(a_summary(ticket.key) for ticket in tickets))
    desk = await settle(desk)
    for how, key in BROKEN.items():
        spoil(_file(base, key), how, _file(base, SOUND))
    return desk


async def test_every_read_of_a_damaged_record_names_its_file_and_what_is_wrong(damaged: Desk) -> None:
    for how, key in BROKEN.items():
        for name, read in READS.items():
            error = await _corrupt(read(damaged.unit(), key))

            assert (how, name, error.key, error.place) == (how, name, key, record_path(key))
            assert error.reason in str(error)
            assert error.place in str(error)


async def test_a_stream_goes_on_behind_every_damaged_record(damaged: Desk) -> None:
    corrupt: list[Key] = []
    sound: list[str] = []
    after: Key | None = None
    for _ in range(len(BROKEN) + 1):
        try:
            async for ticket in damaged.unit().tickets.stream(after=after):
                sound.append(ticket.ticket_id)
        except CorruptRecord as error:
            corrupt.append(after := _key(error))

    assert corrupt == sorted(BROKEN.values())
    assert sound == [SOUND.id]


async def test_a_replica_goes_on_behind_every_damaged_record(damaged: Desk) -> None:
    corrupt: list[Key] = []
    sound: list[Key] = []
    after: Thing | None = None
    for _ in range(len(BROKEN) + 1):
        try:
            async for digest in damaged.replica().digests("ticket", after=after):
                sound.append(digest.thing.key)
        except CorruptRecord as error:
            corrupt.append(_key(error))
            after = Thing("ticket", *_key(error))

    assert corrupt == sorted(BROKEN.values())
    assert sound == [SOUND]


async def test_processing_and_progress_do_not_need_the_files(damaged: Desk) -> None:
    processing = await damaged.unit().progress.find_many(list(BROKEN.values()))
    progress = await damaged.progress()

    assert processing.keys() == set(BROKEN.values())
    assert {one.status for one in processing.values()} == {PENDING}
    assert progress.total == progress.pending == len(BROKEN) + 1


async def test_every_other_record_stays_readable(damaged: Desk) -> None:
    page = await damaged.unit().tickets.page(Filter(status=SOUND.id))

    assert [ticket.key for ticket in page.items] == [SOUND]
    assert await damaged.find(SOUND) == page.items[0]
    assert len([article async for article in damaged.unit().articles.stream()]) == 2
    assert len((await damaged.unit().articles.page(EVERYTHING)).items) == 2


async def test_a_status_change_that_needs_a_damaged_file_changes_nothing(damaged: Desk, clock: ManualClock) -> None:
    neighbour = await damaged.processing(SOUND)
    for key in BROKEN.values():
        before = await damaged.processing(key)
        uow = damaged.unit()
        uow.progress.save(before.completed(now=clock()))
        uow.progress.save(neighbour.completed(now=clock()))

        error = await _corrupt(uow.commit())

        assert (error.key, error.place, uow.outcome) == (key, record_path(key), "discarded")
        assert await damaged.processing(key) == before
    assert await damaged.processing(SOUND) == neighbour


async def test_while_the_journal_holds_a_ticket_a_status_change_heals_its_file(desk: Desk, base: Path, clock: ManualClock) -> None:
    stored = await desk.kept(a_ticket())
    await desk.settle((await desk.processing(stored.key)).to(PENDING, now=clock()))
    _file(base, stored.key).write_bytes(b"{}")

    await desk.settle((await desk.processing(stored.key)).completed(now=clock()))

    assert await desk.find(stored.key) == stored


async def test_a_ticket_that_is_received_again_replaces_its_damaged_file(damaged: Desk, settle: Settle) -> None:
    anew = [evolve(a_ticket(key.id, text="again"), version=await _version(damaged, key)) for key in BROKEN.values()]
    committed = await damaged.keep(*anew)

    damaged = await settle(damaged)

    for ticket in anew:
        found = await damaged.find(ticket.key)
        assert found == evolve(ticket, version=committed.versions[ticket.key])
        assert committed.versions[ticket.key] > ticket.version


async def test_a_damaged_record_can_be_deleted(damaged: Desk) -> None:
    uow = damaged.unit()
    for key in BROKEN.values():
        uow.tickets.delete(key, version=await _version(damaged, key))
    await uow.commit()

    assert await damaged.unit().tickets.find_many(list(BROKEN.values())) == {}
    assert [ticket.key for ticket in (await damaged.everything()).tickets] == [SOUND]


async def test_a_claim_is_completed_only_when_the_ticket_can_be_read(damaged: Desk, clock: ManualClock) -> None:
    taken = {one.key: one for one in await damaged.claim(len(BROKEN) + 1)}
    key = BROKEN[Damage.FLIPPED]
    claim = taken[key].claim
    assert claim is not None
    uow = damaged.unit()
    uow.progress.save(taken[key].completed(now=clock()), token=claim.token)
    uow.summaries.add(a_summary(key, "another"))

    await _corrupt(uow.commit())

    assert await damaged.processing(key) == taken[key]
    assert len(await damaged.history(key)) == 1


async def test_summaries_of_a_damaged_record_stay_readable_and_more_can_be_added(damaged: Desk) -> None:
    for key in BROKEN.values():
        await damaged.summarise(a_summary(key, "second"))

        assert [summary.number for summary in await damaged.history(key)] == [1, 2]


async def test_a_damaged_summary_names_its_file_and_spares_its_record(desk: Desk, base: Path, settle: Settle) -> None:
    tickets = [a_ticket(key.id) for key in (SOUND, *BROKEN.values())]
    await desk.keep(*tickets)
    await desk.summarise(*(a_summary(ticket.key, "an older text") for ticket in tickets))
    desk = await settle(desk)
    for how, key in BROKEN.items():
        spoil(base / "acme" / summary_path(key, 1), how, base / "acme" / summary_path(SOUND, 1))

        errors = [await _corrupt(desk.history(key)), await _corrupt(desk.current(key)), await _corrupt(desk.stale())]
        errors.append(await _corrupt(desk.unit().summaries.current_many([SOUND, key])))

        assert {(error.key, error.place) for error in errors[:2] + errors[3:]} == {(key, summary_path(key, 1))}
        assert await desk.find(key) is not None
    assert await desk.current(SOUND) is not None


async def test_damage_of_an_article_spares_its_other_locales(desk: Desk, base: Path, settle: Settle) -> None:
    await desk.keep(an_article("7", "ko"), an_article("7", "en"))
    desk = await settle(desk)
    key = article_key(PLATFORM, "7", "ko")
    spoil(_file(base, key), Damage.FLIPPED, base)

    error = await _corrupt(desk.find(key))

    assert (error.key, error.place) == (key, record_path(key))
    assert isinstance(await desk.find(article_key(PLATFORM, "7", "en")), Article)


async def test_a_record_added_by_hand_is_no_record_and_is_not_passed_over_either(damaged: Desk, base: Path) -> None:
    added = ticket_key(PLATFORM, "99")
    _file(base, added).write_bytes(_file(base, SOUND).read_bytes().replace(b'"id":"sound"', b'"id":"99"', 1))

    error = await _corrupt(damaged.find(added))

    assert (error.key, error.place) == (added, record_path(added))
    assert "outside deskstore" in error.reason
    assert (await damaged.unit().tickets.heads([added])) == {}


async def test_a_directory_that_became_a_link_is_not_followed(desk: Desk, base: Path, outside: Path, settle: Settle) -> None:
    stored = await desk.kept(a_ticket())
    desk = await settle(desk)
    tickets = _file(base, stored.key).parent
    tickets.rename(outside / "tickets")
    tickets.symlink_to(outside / "tickets", target_is_directory=True)
    before = contents_of(outside)

    error = await _corrupt(desk.find(stored.key))
    with pytest.raises(CorruptRecord):
        await desk.settle((await desk.processing(stored.key)).completed(now=desk.storage.clock()))
    another = await desk.kept(a_ticket("another"))

    assert "a symbolic link" in error.reason
    assert await (await settle(desk)).find(another.key) == another
    assert contents_of(outside) == before


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EIO])
def test_a_file_that_cannot_be_read_is_damage_of_that_record(number: int) -> None:
    error = OSError(number, os.strerror(number), "somewhere")

    reason = distrust(error, 0, "zendesk/tickets/2.json")

    assert reason is not None
    assert os.strerror(number) in reason


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_machine_that_is_out_of_means_is_no_damage(number: int) -> None:
    error = OSError(number, os.strerror(number), "somewhere")

    with pytest.raises(StorageUnavailable, match=os.strerror(number)):
        distrust(error, 0, "zendesk/tickets/2.json")
