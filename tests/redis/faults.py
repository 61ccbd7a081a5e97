"""What is done to a Redis while others race."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Final

from redis.exceptions import RedisError

from deskstore.adapters.embedded.redis import RedisServer
from tests.redis.broken import plant
from tests.redis.clients import Client, client_at

Fault = Callable[[RedisServer, Random], Awaitable[None]]
"""One blow, and the time until the next one."""

_JUNK_BYTES: Final = 50_000


async def nothing(_: RedisServer, __: Random) -> None:
    """Leave it as it is."""
    await asyncio.sleep(1)


async def empty(server: RedisServer, random: Random) -> None:
    """Take all that it holds."""
    async with client_of(server) as client:
        await client.flushall()
    await asyncio.sleep(random.uniform(0, 0.15))


async def restart(server: RedisServer, random: Random) -> None:
    """Kill it, and start it again."""
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    await asyncio.sleep(random.uniform(0.2, 0.6))


async def freeze(server: RedisServer, random: Random) -> None:
    """Let it stand still, and go on with all that it was asked meanwhile."""
    await asyncio.to_thread(server.freeze)
    await asyncio.sleep(random.uniform(0.02, 0.2))
    await asyncio.to_thread(server.thaw)
    await asyncio.sleep(random.uniform(0.2, 0.6))


async def crowd(server: RedisServer, random: Random) -> None:
    """Leave it no room, so that it has to let go of something, whatever it is."""
    async with client_of(server) as client:
        await client.config_set("maxmemory-policy", "allkeys-random")
        await client.config_set("maxmemory", "3mb")
        for _ in range(20):
            await client.set(f"junk {random.randrange(200)}", random.randbytes(_JUNK_BYTES))
    await asyncio.sleep(random.uniform(0, 0.02))


async def fill(server: RedisServer, random: Random) -> None:
    """Leave it no room, and forbid it to let go of anything."""
    async with client_of(server) as client:
        await client.config_set("maxmemory-policy", "noeviction")
        await client.config_set("maxmemory", "1kb" if random.random() < 0.5 else "100mb")
    await asyncio.sleep(random.uniform(0, 0.05))


async def poison(server: RedisServer, random: Random) -> None:
    """Plant what does not belong there, above all the values of others."""
    async with client_of(server) as client:
        names = sorted(await client.keys("ds:v1:*"))
        for name in random.sample(names, min(3, len(names))):
            await plant(client, random, name, names)
        await _exchange(client, random, names)
    await asyncio.sleep(random.uniform(0, 0.01))


async def _exchange(client: Client, random: Random, names: list[bytes]) -> None:
    """Put a value under the key of another company or another record."""
    values = [name for name in names if name.count(b":") > 4 and b":lease:" not in name]
    for name in random.sample(values, min(3, len(values))):
        alike = [other for other in values if other.split(b"}")[1].split(b":")[1] == name.split(b"}")[1].split(b":")[1]]
        if (kept := await client.get(name)) and kept.startswith(b"="):
            await client.set(random.choice(alike), kept, px=1_000)


@asynccontextmanager
async def client_of(server: RedisServer) -> AsyncGenerator[Client]:
    """Somebody who may do everything; a server that is down is none of his business."""
    try:
        async with client_at(server.url) as client:
            yield client
    except (RedisError, OSError):
        await asyncio.sleep(0.01)


@asynccontextmanager
async def under(fault: Fault, server: RedisServer, seed: int) -> AsyncGenerator[None]:
    """Strike again and again while the block runs, and leave the server as it was."""
    random = Random(seed)

    async def go_on() -> None:
        while True:
            await fault(server, random)

    striking = asyncio.ensure_future(go_on())
    try:
        yield
    finally:
        striking.cancel()
        await asyncio.wait({striking})
        await asyncio.to_thread(server.thaw)
        await asyncio.to_thread(server.restart)
