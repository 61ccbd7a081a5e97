"""Every way in which a Redis can be of no use, or worse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Final

from deskstore.adapters.embedded.ports import HOST, free_port
from deskstore.adapters.redis import Limits
from tests.redis.clients import Client, client_at

SOON: Final = Limits(settling_s=0.001)
PATIENT: Final = Limits(settling_s=0.001, timeout_s=5.0)  #: for a busy machine, where nothing is judged by how long it takes
_PAUSE_S: Final = 0.002


@asynccontextmanager
async def whole(url: str) -> AsyncGenerator[str]:
    """A Redis with which nothing is wrong."""
    yield url


@asynccontextmanager
async def refused(_: str) -> AsyncGenerator[str]:
    """Nobody listens there."""
    yield f"redis://{HOST}:{free_port()}/0"


@asynccontextmanager
async def silent(_: str) -> AsyncGenerator[str]:
    """Somebody listens, and never answers."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            pass
        writer.close()

    async with _server(listen) as port:
        yield f"redis://{HOST}:{port}/0"


@asynccontextmanager
async def babbling(_: str) -> AsyncGenerator[str]:
    """Somebody answers whatever comes to mind."""
    random = Random(1)
    said = (
        *(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n", b":\r\n", b"\x00\xff\r\n"),
        *(b"$-2\r\n", b"$3\r\nab", b"*1\r\n:x\r\n", b"*99999999999\r\n"),
    )

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            writer.write(random.choice(said))
        writer.close()

    async with _server(babble) as port:
        yield f"redis://{HOST}:{port}/0"


@asynccontextmanager
async def emptied(url: str) -> AsyncGenerator[str]:
    """It loses all that it holds, again and again."""

    async def empty(client: Client) -> None:
        await client.flushdb()

    async with _meanwhile(url, empty):
        yield url


@asynccontextmanager
async def poisoned(url: str) -> AsyncGenerator[str]:
    """Another hand writes to it: what is no value, what is no text, and the values of other keys."""
    random = Random(1)

    async def poison(client: Client) -> None:
        names = sorted(await client.keys("ds:v1:*"))
        for name in random.sample(names, min(5, len(names))):
            await plant(client, random, name, names)

    async with _meanwhile(url, poison):
        yield url


async def plant(client: Client, random: Random, name: bytes, names: list[bytes]) -> None:
    """Put something under a name that does not belong there, or cut off what does."""
    kept = await client.get(random.choice(names)) if random.random() < 0.5 else None
    match random.randrange(4):
        case 0:
            await client.delete(name)
            await client.rpush(name, b"1")
        case 1:
            await client.set(name, random.randbytes(random.randrange(60)))
        case 2 if kept:
            await client.set(name, kept)
        case _:
            await client.set(name, (kept or b"=1 nothing of ours")[: random.randrange(1, 40)])


BROKEN: Final[Mapping[str, Callable[[str], AbstractAsyncContextManager[str]]]] = {
    "refused": refused,
    "silent": silent,
    "babbling": babbling,
    "emptied": emptied,
    "poisoned": poisoned,
}


@asynccontextmanager
async def _server(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncGenerator[int]:
    made = await asyncio.start_server(serve, HOST, 0)
    try:
        yield made.sockets[0].getsockname()[1]
    finally:
        made.close()


@asynccontextmanager
async def _meanwhile(url: str, work: Callable[[Client], Awaitable[None]]) -> AsyncGenerator[None]:
    """Do something again and again while the block runs."""
    async with client_at(url) as client:

        async def go_on() -> None:
            while True:
                await work(client)
                await asyncio.sleep(_PAUSE_S)

        going = asyncio.ensure_future(go_on())
        try:
            yield
        finally:
            going.cancel()
            await asyncio.wait({going})
