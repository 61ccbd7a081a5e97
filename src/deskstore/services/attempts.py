"""How often a use case that lost a race reads again and retries, and how long it waits before it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from deskstore.domain.errors import VersionConflict

MOST_ATTEMPTS: Final = 20  #: of one unit of work; each lost one means that another writer's commit succeeded
SHORTEST_PAUSE_S: Final = 0.001
LONGEST_PAUSE_S: Final = 0.1

T = TypeVar("T")


async def until_saved(attempt: Callable[[], Awaitable[T]]) -> T:
    """
    What an attempt gives, tried again with a new unit of work whenever somebody else saved first.

    Raises:
        VersionConflict: It lost every race.
    """
    for number in range(MOST_ATTEMPTS - 1):
        try:
            return await attempt()
        except VersionConflict:
            await pause(number)
    return await attempt()


async def pause(lost: int) -> None:
    """Wait at random, longer with each race that was lost before: writers of one record that wait alike would only meet again."""
    import random  # only who lost a race needs it

    longest_s = min(SHORTEST_PAUSE_S * 2 ** min(lost, MOST_ATTEMPTS), LONGEST_PAUSE_S)
    await asyncio.sleep(random.uniform(0, longest_s))  # noqa: S311 - it keeps writers apart, and no secret
