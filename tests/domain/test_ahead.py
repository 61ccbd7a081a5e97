"""Work on two things at a time: in order, never more, and nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from deskstore.domain.ahead import two_at_a_time


async def numbers(count: int) -> AsyncGenerator[int]:
    for number in range(count):
        yield number


class Work:
    """Notes what is under way; an item takes the longer the smaller it is."""

    def __init__(self, *, fails_at: int | None = None) -> None:
        self.under_way: set[int] = set()
        self.together: list[frozenset[int]] = []
        self._fails_at = fails_at

    async def __call__(self, number: int) -> int:
        self.under_way.add(number)
        self.together.append(frozenset(self.under_way))
        try:
            for _ in range(20 - 2 * number):
                await asyncio.sleep(0)
            if number == self._fails_at:
                raise ValueError(number)
            return 10 * number
        finally:
            self.under_way.discard(number)


async def test_results_come_in_order_while_two_are_worked_on() -> None:
    work = Work()

    results = [one async for one in two_at_a_time(numbers(6), work)]

    assert results == [0, 10, 20, 30, 40, 50]
    assert {len(some) for some in work.together} == {1, 2}


async def test_an_item_that_needs_the_one_before_it_waits_for_it() -> None:
    work = Work()

    results = [one async for one in two_at_a_time(numbers(6), work, is_next=lambda number: number % 2 == 0)]

    assert results == [0, 10, 20, 30, 40, 50]
    assert set(work.together) == {frozenset(some) for some in ({0}, {0, 1}, {2}, {2, 3}, {4}, {4, 5})}


@pytest.mark.parametrize("fails_at", [0, 1, 5])
async def test_after_a_failure_nothing_is_left_under_way(fails_at: int) -> None:
    work = Work(fails_at=fails_at)
    results: list[int] = []

    with pytest.raises(ValueError, match=str(fails_at)):
        async for one in two_at_a_time(numbers(6), work):
            results.append(one)

    assert results == [10 * number for number in range(fails_at)]
    assert work.under_way == set()


async def test_whoever_goes_away_leaves_nothing_under_way() -> None:
    work = Work()

    async with aclosing(two_at_a_time(numbers(6), work)) as results:
        first = await anext(results)

    assert first == 0
    assert work.under_way == set()
