"""
A connection on which any number of questions are under way, each answered in its turn.

The client lends a connection for each question, and looks it over before and after: two thirds of the time of a hit. It still opens this
one, with all that an address may ask for: a password, a database, TLS, a socket.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, Self

from redis.exceptions import ResponseError

_END: Final = b"\r\n"
_LONGEST_HEAD: Final = 1_024  #: of an answer or of a value, before the end of its line
_MOST_BYTES: Final = 1 << 26  #: of a value; whoever announces more than that speaks of something else

Values = list[bytes | None]


class Line(asyncio.Protocol):
    """
    Asks for values, all on one connection.

    An answer belongs to the oldest question. Whoever waits no longer keeps his turn, so that nobody is given another's answer; whatever is
    no answer to the oldest question ends the connection.
    """

    def __init__(self, connection: Any, transport: asyncio.Transport) -> None:  # Any: of the client's own types half are unknown
        self._connection: Final = connection
        self._transport: Final = transport
        self._client: Final = transport.get_protocol()
        self._asked: Final = deque[tuple[int, asyncio.Future[Values]]]()
        self._heard = b""
        self.is_closed = False
        self._transport.set_protocol(self)

    @classmethod
    async def opened(cls, pool: Any) -> Self | None:  # Any: as above
        """A connection opened by the client, which raises what it does; None where it keeps to itself how to write to it."""
        connection = pool.make_connection()
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        writer = getattr(connection, "_writer", None)  # it has no public name
        if not isinstance(writer, asyncio.StreamWriter) or not isinstance(writer.transport, asyncio.Transport):
            await connection.disconnect()
            return None
        return cls(connection, writer.transport)

    async def values(self, names: Sequence[str]) -> Values:
        """What stands under these keys, at one moment; raises ConnectionError, ResponseError."""
        if self.is_closed:
            raise ConnectionError("the connection was closed")
        answer: asyncio.Future[Values] = asyncio.get_running_loop().create_future()
        self._asked.append((len(names), answer))
        self._transport.write(_question(names))
        return await answer

    def abort(self) -> None:
        """Close it without waiting for anything."""
        self.is_closed = True
        self._transport.abort()

    async def aclose(self, *, waits: bool = True) -> None:
        """Close it, and let the client know."""
        self.is_closed = True
        await self._connection.disconnect(nowait=not waits)

    # -- what the event loop calls -------------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Something was said."""
        self._heard = self._heard + data if self._heard else data
        try:
            while self._heard and self._answer():
                pass
        except ValueError:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, for whatever reason."""
        self.is_closed = True
        while self._asked:
            _, answer = self._asked.popleft()
            if not answer.done():
                answer.set_exception(ConnectionError("the connection was lost"))
        self._client.connection_lost(exc)

    def _answer(self) -> bool:
        """Hand over the first answer, once it is whole."""
        if not self._asked:
            raise ValueError("nobody asked")
        count, answer = self._asked[0]
        found = first_answer(self._heard, count)
        if found is None:
            return False
        said, end = found
        self._heard = self._heard[end:]
        self._asked.popleft()
        if answer.done():
            return True
        if isinstance(said, ResponseError):
            answer.set_exception(said)
        else:
            answer.set_result(said)
        return True


def first_answer(heard: bytes, count: int) -> tuple[Values | ResponseError, int] | None:
    """The answer at the beginning of what was heard, and where it ends; None while it is not whole. Raises ValueError for anything else."""
    end = _end_of_head(heard, 0)
    if end is None:
        return None
    if heard.startswith(b"-"):
        return ResponseError(heard[1:end].decode("utf-8", "replace")), end + len(_END)
    if heard[:end] != b"*%d" % count:
        raise ValueError("that is no answer to the question")
    values, at = Values(), end + len(_END)
    for _ in range(count):
        found = _value(heard, at)
        if found is None:
            return None
        value, at = found
        values.append(value)
    return values, at


def _value(heard: bytes, at: int) -> tuple[bytes | None, int] | None:
    """The value that begins there, and where it ends; None while it is not whole."""
    end = _end_of_head(heard, at)
    if end is None:
        return None
    if heard[at:end] == b"$-1":
        return None, end + len(_END)
    size = int(heard[at + 1 : end]) if heard[at : at + 1] == b"$" else -1
    if not 0 <= size <= _MOST_BYTES:
        raise ValueError("that is no value")
    start, stop = end + len(_END), end + len(_END) + size
    if len(heard) < stop + len(_END):
        return None
    if heard[stop : stop + len(_END)] != _END:
        raise ValueError("the value is longer than it says")
    return heard[start:stop], stop + len(_END)


def _end_of_head(heard: bytes, at: int) -> int | None:
    end = heard.find(_END, at, at + _LONGEST_HEAD)
    if end >= 0:
        return end
    if len(heard) - at >= _LONGEST_HEAD:
        raise ValueError("that line does not end")
    return None


def _question(names: Sequence[str]) -> bytes:
    words = (b"$%d\r\n%b\r\n" % (len(word), word) for word in (b"MGET", *(name.encode() for name in names)))
    return b"*%d\r\n%b" % (1 + len(names), b"".join(words))
