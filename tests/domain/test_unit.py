"""What the buffered unit refuses before any storage is asked."""

import gc
import weakref

import pytest
from attrs import evolve

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import InvalidIdentifier, InvalidRecord, UncommittedChanges
from deskstore.domain.unit import BufferedUnit
from deskstore.testing.makers import a_checkpoint, a_summary, a_ticket, an_article


@pytest.fixture
def unit() -> BufferedUnit:
    return MemoryStorage().unit_of_work("acme")


def test_a_record_is_deleted_at_the_version_it_was_read_with(unit: BufferedUnit) -> None:
    with pytest.raises(InvalidRecord, match="at version 0"):
        unit.tickets.delete(a_ticket().key, version=0)


def test_a_read_record_that_was_saved_in_the_unit_still_needs_its_version(unit: BufferedUnit) -> None:
    unit.tickets.save(evolve(a_ticket(), version=5))

    with pytest.raises(InvalidRecord, match="at version 0"):
        unit.tickets.delete(a_ticket().key, version=0)


@pytest.mark.parametrize("cursor", ["a\x00", "\ud800"])
def test_a_cursor_that_no_storage_keeps_exactly_is_refused(unit: BufferedUnit, cursor: str) -> None:
    with pytest.raises(InvalidRecord, match="could keep it exactly"):
        unit.progress.save_checkpoint(a_checkpoint(cursor))


async def test_streams_begin_behind_a_key_that_could_exist(unit: BufferedUnit) -> None:
    for key in (a_ticket().key._replace(id="\x00"), an_article().key):
        with pytest.raises(InvalidRecord):
            await anext(aiter(unit.tickets.stream(after=key)))


async def test_stale_summaries_are_asked_for_of_a_platform_that_could_exist(unit: BufferedUnit) -> None:
    with pytest.raises(InvalidIdentifier):
        await anext(aiter(unit.summaries.stale("\x00")))


def test_a_record_with_a_negative_version_is_refused(unit: BufferedUnit) -> None:
    with pytest.raises(InvalidRecord, match="version -1"):
        unit.tickets.save(evolve(a_ticket(), version=-1))


def test_a_summary_that_was_saved_before_is_refused(unit: BufferedUnit) -> None:
    with pytest.raises(InvalidRecord, match="immutable"):
        unit.summaries.add(evolve(a_summary(a_ticket().key), number=3))


async def test_a_unit_lets_go_of_its_changes_when_it_ends() -> None:
    ticket = a_ticket()
    held = weakref.ref(ticket)
    gc.disable()  # each batch of an import would wait for the collector
    try:
        with pytest.raises(UncommittedChanges):
            async with MemoryStorage().unit_of_work("acme") as uow:
                uow.tickets.save(ticket)
                del ticket

        assert held() is None
    finally:
        gc.enable()
