"""One storage a loop, opened when it is first needed, and closed with its loop."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import ConfigurationError, StorageUnavailable
from deskstore.domain.ports import Storage
from deskstore.facade import DictStorage, StorageFactory, get_storage
from deskstore.facade.opening import StoragePerLoop
from tests.payloads import freshdesk

ACME = "acme"


class Door:
    """Opens storages, and notes what becomes of them."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.opened = 0
        self.closed = 0

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Storage]:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise StorageUnavailable("not yet")
        self.opened += 1
        storage = MemoryStorage()
        try:
            yield storage
        finally:
            await asyncio.sleep(0)
            await storage.aclose()
            self.closed += 1


async def test_nothing_is_opened_before_it_is_needed_and_then_once() -> None:
    door = Door()
    storages = StoragePerLoop(door.open)
    before = door.opened

    got = await asyncio.gather(*(storages.storage() for _ in range(20)))

    assert (before, door.opened, len(set(map(id, got)))) == (0, 1, 1)
    await storages.aclose()
    await storages.aclose()
    assert door.closed == 1


async def test_after_aclose_another_one_is_opened() -> None:
    door = Door()
    storages = StoragePerLoop(door.open)
    first = await storages.storage()
    await storages.aclose()

    second = await storages.storage()

    assert second is not first
    assert await second.companies() == []
    with pytest.raises(StorageUnavailable):
        await first.companies()
    await storages.aclose()


async def test_what_is_being_opened_meanwhile_is_closed_too() -> None:
    door = Door()
    storages = StoragePerLoop(door.open)

    await asyncio.gather(storages.storage(), storages.aclose())

    assert (door.opened, door.closed) == (1, 1)


async def test_an_opening_that_failed_is_tried_again() -> None:
    door = Door(failures=1)
    storages = StoragePerLoop(door.open)

    with pytest.raises(StorageUnavailable, match="not yet"):
        await storages.storage()

    assert await (await storages.storage()).companies() == []
    await storages.aclose()


def test_the_end_of_a_loop_closes_its_storage_and_the_next_loop_has_its_own() -> None:
    door = Door()
    storages = StoragePerLoop(door.open)

    first = asyncio.run(storages.storage())
    after_first = (door.opened, door.closed)
    second = asyncio.run(storages.storage())

    assert first is not second
    assert after_first == (1, 1)
    assert (door.opened, door.closed) == (2, 2)


def test_what_a_loop_left_open_is_closed_by_the_next_one() -> None:
    door = Door()
    storages = StoragePerLoop(door.open)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(storages.storage())
    loop.close()
    left_open = door.closed

    asyncio.run(storages.storage())

    assert (left_open, door.opened, door.closed) == (0, 2, 2)


async def test_a_storage_that_was_given_stays_open() -> None:
    storage = MemoryStorage()
    desk = DictStorage(storage)
    await desk.save_ticket(ACME, "freshdesk", freshdesk())

    await desk.aclose()

    assert await storage.companies() == await desk.list_companies() == [ACME]
    await storage.aclose()


# -- the storage of the environment --------------------------------------------------------------------------------------------------------


async def save_and_list(ticket_id: int) -> list[int]:
    storage = get_storage()
    await storage.save_ticket(ACME, "freshdesk", freshdesk(ticket_id))
    return sorted([ticket["id"] for ticket in await storage.list_tickets(ACME)])


def test_one_loop_after_another_goes_on_where_the_last_one_ended(data_path: Path) -> None:
    first = asyncio.run(save_and_list(1))
    second = asyncio.run(save_and_list(2))

    assert (first, second) == ([1], [1, 2])
    assert (data_path / ACME / "freshdesk" / "tickets" / "2.json").is_file()


def test_it_works_again_after_aclose_and_follows_the_environment(data_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use() -> list[list[int]]:
        seen = [await save_and_list(1)]
        await get_storage().aclose()
        seen.append(await save_and_list(2))
        monkeypatch.setenv("DATA_PATH", str(data_path) + "-another")
        seen.append(await save_and_list(3))
        await get_storage().aclose()
        seen.append(await save_and_list(4))
        return seen

    assert asyncio.run(use()) == [[1], [1, 2], [1, 2, 3], [4]]


@pytest.mark.usefixtures("data_path")
def test_threads_with_loops_of_their_own_may_share_it() -> None:
    threads = [threading.Thread(target=asyncio.run, args=(save_and_list(number),)) for number in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert asyncio.run(save_and_list(4)) == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("data_path")
def test_threads_may_write_one_ticket_at_the_same_time() -> None:
    async def write(thread: int) -> None:
        storage = get_storage()
        await asyncio.gather(*(storage.save_ticket(ACME, "freshdesk", freshdesk(1, status=10 * thread + n)) for n in range(5)))

    threads = [threading.Thread(target=asyncio.run, args=(write(number),)) for number in range(3)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert asyncio.run(save_and_list(1)) == [1]


def test_everybody_gets_the_same_one_and_the_factory_makes_another(data_path: Path) -> None:
    assert get_storage() is get_storage()
    assert StorageFactory.create_storage() is not StorageFactory.create_storage()
    assert not data_path.exists()


def test_settings_that_are_not_accepted_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_TYPE", "postgres")

    with pytest.raises(ConfigurationError, match="STORAGE_TYPE is 'postgres'; choose one of: file, hybrid, postgresql"):
        StorageFactory.create_storage()


def test_the_supported_types_are_those_of_the_document() -> None:
    assert StorageFactory.get_supported_types() == ["file", "postgresql", "hybrid"]
