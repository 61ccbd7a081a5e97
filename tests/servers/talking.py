"""Redis's protocol, as far as tests of a server need it: any answer, with types that hold."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Talk:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def say(self, command: str) -> str:
        """The answer to a command; its parts joined by a blank, errors as the server words them, nothing as a dash."""
        self._writer.write(f"{command}\r\n".encode())
        await self._writer.drain()
        return await self._answer()

    async def _answer(self) -> str:
        line = (await self._reader.readuntil(b"\r\n"))[:-2].decode()
        if line[0] not in "$*":
            return line[1:]
        size = int(line[1:])
        if size < 0:
            return "-"
        if line[0] == "*":
            return " ".join([await self._answer() for _ in range(size)])
        return (await self._reader.readexactly(size + 2))[:-2].decode()


@asynccontextmanager
async def talk(url: str, *, stranger: bool = False) -> AsyncGenerator[Talk]:
    """A connection to a server, as somebody who knows its password, or as a stranger."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        made = Talk(reader, writer)
        if not stranger:
            await made.say(f"AUTH {parts.password}")
        yield made
    finally:
        writer.close()
