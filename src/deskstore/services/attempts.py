"""How often a use case that lost a race reads again and retries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from deskstore.domain.errors import VersionConflict

MOST_ATTEMPTS: Final = 20  #: of one unit of work; each lost one means that another writer's commit succeeded

T = TypeVar("T")


async def until_saved(attempt: Callable[[], Awaitable[T]]) -> T:
    """
    What an attempt gives, tried again with a new unit of work whenever somebody else saved first.

    Raises:
        VersionConflict: It lost every race.
    """
    for _ in range(MOST_ATTEMPTS - 1):
        try:
            return await attempt()
        except VersionConflict:
            continue
    return await attempt()
