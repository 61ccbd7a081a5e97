"""A wire between storage and server that counts round trips, and is cut, stalled or swallows something when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

from attrs import define, field


@define
class Wire:
    """What passes between clients and one server."""

    host: str
    port: int
    trips: int = 0  #: what clients sent, a turn each: the driver flushes once before it waits
    cut_at: bytes | None = None  #: what the client says that passes, and whose answer is lost
    swallowed_at: bytes | None = None  #: what the client says that never arrives, nor anything after it
    swallowed: asyncio.Event = field(factory=asyncio.Event)  #: set once that has happened
    passes: asyncio.Event = field(factory=asyncio.Event)  #: nothing passes, either way, while it is not set
    is_down: bool = False  #: whether new connections are refused
    stays_down: bool = False  #: whether nobody comes through any more after a cut

    _carried: set[asyncio.StreamWriter] = field(factory=set[asyncio.StreamWriter], init=False)  #: the ends of what is open

    def __attrs_post_init__(self) -> None:
        self.passes.set()

    def cut(self) -> None:
        """Cut every connection there is; new ones may be made."""
        for end in self._carried:
            end.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        if self.is_down:
            writer.close()
            return
        with suppress(OSError):
            server_reader, server_writer = await asyncio.open_connection(self.host, self.port)
            self._carried |= (ends := {writer, server_writer})
            cut = asyncio.Event()
            carried = [
                asyncio.ensure_future(self._to_server(reader, server_writer, cut)),
                asyncio.ensure_future(self._to_client(server_reader, writer, cut)),
            ]
            try:
                await asyncio.wait(carried, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in carried:
                    one.cancel()
                await asyncio.gather(*carried, return_exceptions=True)
                server_writer.close()
                self._carried -= ends
        writer.close()

    async def _to_server(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, cut: asyncio.Event) -> None:
        while data := await reader.read(1 << 16):
            await self.passes.wait()
            self.trips += 1
            if self.swallowed_at is not None and self.swallowed_at in data:
                self.swallowed_at = None
                self.swallowed.set()
                while await reader.read(1 << 16):
                    pass
                return
            if self.cut_at is not None and self.cut_at in data:
                self.cut_at = None
                cut.set()
            server.write(data)
            await server.drain()

    async def _to_client(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter, cut: asyncio.Event) -> None:
        while data := await reader.read(1 << 16):
            await self.passes.wait()
            if cut.is_set():
                self.is_down = self.stays_down
                client.transport.abort()
                return
            client.write(data)
            await client.drain()


@asynccontextmanager
async def wire_to(url: str) -> AsyncGenerator[tuple[Wire, str]]:
    """A wire to the server at that address, and the address of its near end."""
    parts = urlsplit(url)
    wire = Wire(parts.hostname or "127.0.0.1", parts.port or 5432)
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    place = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}"
    async with server:
        yield wire, urlunsplit(parts._replace(netloc=place))
