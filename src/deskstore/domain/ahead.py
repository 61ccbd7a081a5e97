"""Making one thing while the one before it is in use."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def ahead(items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The same items, each made while the one before it is in use: reading and writing take turns at the processor."""
    following = asyncio.create_task(_next(items))
    try:
        while (item := await following) is not None:
            following = asyncio.create_task(_next(items))
            yield item
    finally:
        following.cancel()
        await asyncio.wait({following})
        await items.aclose()


async def two_at_a_time(
    items: AsyncIterator[T], work: Callable[[T], Awaitable[R]], *, is_next: Callable[[T], bool] = lambda _: False
) -> AsyncGenerator[R, None]:
    """
    What the work gives for each item, in their order, while it is at work on the next as well.

    Args:
        is_next: Whether an item can only be worked on once the one before it is done.
    """
    under_way = deque[asyncio.Future[R]]()
    try:
        async for item in items:
            while len(under_way) > 1 or (under_way and is_next(item)):
                yield await under_way.popleft()
            under_way.append(asyncio.ensure_future(work(item)))
        while under_way:
            yield await under_way.popleft()
    finally:
        for one in under_way:
            one.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _next(items: AsyncGenerator[T, None]) -> T | None:
    return await anext(items, None)
