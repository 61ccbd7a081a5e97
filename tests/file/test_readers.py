"""Calls go to a few threads and come back to the loops that made them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from deskstore.adapters.file.readers import Readers
from deskstore.domain.errors import StorageUnavailable

MOST = 3


@pytest.fixture
def readers() -> Iterator[Readers]:
    readers = Readers(MOST, "test-read")
    yield readers
    readers.shutdown()


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("test-read")]


async def test_a_call_gives_what_it_returns_and_raises_what_it_raises(readers: Readers) -> None:
    found = await readers.run(lambda: 7 * 6)

    assert found == 42
    with pytest.raises(ZeroDivisionError):
        await readers.run(lambda: 1 // 0)


async def test_calls_in_turn_need_one_thread_and_many_at_once_no_more_than_allowed(readers: Readers) -> None:
    for _ in range(50):
        await readers.run(threading.get_ident)
    in_turn = _threads()

    await asyncio.gather(*(readers.run(lambda: time.sleep(0.02)) for _ in range(20)))

    assert len(in_turn) == 1
    assert len(_threads()) == MOST


async def test_a_call_that_nobody_waits_for_any_more_is_not_made(readers: Readers) -> None:
    made: list[int] = []
    busy = [asyncio.create_task(readers.run(lambda: time.sleep(0.1))) for _ in range(MOST)]
    await asyncio.sleep(0.02)
    late = asyncio.create_task(readers.run(lambda: made.append(1)))
    await asyncio.sleep(0)

    late.cancel()
    await asyncio.gather(*busy)

    with pytest.raises(asyncio.CancelledError):
        await late
    assert await readers.run(lambda: list(made)) == []


async def test_a_call_given_up_while_it_is_made_harms_no_other(readers: Readers) -> None:
    slow = asyncio.create_task(readers.run(lambda: time.sleep(0.05)))
    await asyncio.sleep(0.02)

    slow.cancel()

    assert await asyncio.gather(*(readers.run(lambda: 1) for _ in range(10))) == [1] * 10


def test_a_loop_that_ends_under_a_call_leaves_the_thread_to_the_next_one(readers: Readers) -> None:
    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(readers.run(lambda: time.sleep(0.05)), 0.01)

    asyncio.run(give_up())

    assert asyncio.run(readers.run(lambda: "still here")) == "still here"


async def test_the_end_waits_for_the_calls_under_way_and_lets_none_in(readers: Readers) -> None:
    made: list[str] = []

    def take_long() -> None:
        time.sleep(0.05)
        made.append("done")

    slow = asyncio.create_task(readers.run(take_long))
    await asyncio.sleep(0.01)

    await asyncio.to_thread(readers.shutdown)

    await slow

    assert made == ["done"]
    assert _threads() == []
    with pytest.raises(StorageUnavailable, match="closed"):
        await readers.run(lambda: None)
