"""Making one thing while the one before it is in use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

T = TypeVar("T")


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


async def _next(items: AsyncGenerator[T, None]) -> T | None:
    return await anext(items, None)
