"""Going through all things of one part of a company, past those that cannot be trusted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from deskstore.domain.errors import CorruptRecord
from deskstore.domain.mirror import Part, Thing

T = TypeVar("T")


async def past_damage(
    part: Part, walk: Callable[[Thing | None], AsyncIterator[T]], name: Callable[[T], Thing], *, after: Thing | None = None
) -> AsyncIterator[T | CorruptRecord]:
    """
    All that a walk gives, ascending by name, with an error in the place of each thing that cannot be trusted.

    Args:
        part: Whose things they are.
        walk: Goes through them from behind a name.
        name: Tells the name of one of them.
        after: Where to begin.
    """
    while True:
        try:
            async for one in walk(after):
                after = name(one)
                yield one
        except CorruptRecord as error:
            yield error
            if error.key is None:  # it comes behind all others
                return
            after = Thing(part, *error.key, error.number)
        else:
            return
