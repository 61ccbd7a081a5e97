"""Somebody at a Redis who is not deskstore."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

Client = Any  # Any: of the client's own types every second one is unknown to a strict checker


@asynccontextmanager
async def client_at(url: str) -> AsyncGenerator[Client]:
    """A client without time-outs: those of its own make it swallow a cancellation now and then on Python 3.11."""
    client: Client = Redis.from_url(url, socket_timeout=None, socket_connect_timeout=None)  # pyright: ignore[reportUnknownMemberType] # as above
    try:
        yield client
    finally:
        await client.aclose()
