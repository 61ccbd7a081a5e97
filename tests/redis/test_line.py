"""The connection on which many questions are under way: each is given its own answer, or none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from deskstore.adapters.embedded.ports import HOST
from deskstore.adapters.embedded.redis import RedisServer
from deskstore.adapters.redis.line import Line, first_answer
from tests.redis.clients import Client

WHOLE = b"*3\r\n$5\r\nfirst\r\n$-1\r\n$4\r\n\r\n\r\n\r\n"
VALUES = [b"first", None, b"\r\n\r\n"]


async def a_line(url: str) -> tuple[Line, Client]:
    client: Client = Redis.from_url(url, protocol=2)  # pyright: ignore[reportUnknownMemberType] # its options are untyped there
    line = await Line.opened(client.connection_pool)
    assert line is not None
    return line, client


@pytest.fixture
async def line(own_redis: RedisServer, client: Client) -> AsyncIterator[Line]:
    await client.mset({f"k{number}": f"v{number}" for number in range(100)})
    made, opener = await a_line(own_redis.url)
    yield made
    await made.aclose()
    await opener.aclose()


def test_an_answer_is_taken_once_it_is_whole_wherever_it_was_cut() -> None:
    cut = [first_answer(WHOLE[:end], 3) for end in range(len(WHOLE))]

    assert cut == [None] * len(WHOLE)
    assert first_answer(WHOLE + b"*1\r\n", 3) == (VALUES, len(WHOLE))


@pytest.mark.parametrize(
    "said",
    [
        b"+OK\r\n",
        b":1\r\n",
        b"*2\r\n",
        b"*-1\r\n",
        b"*3\r\n:1\r\n",
        b"*3\r\n$-2\r\n",
        b"*3\r\n$x\r\n",
        b"*3\r\n$1\r\nabc",
        b"*3\r\n$99999999999\r\n",
    ],
)
def test_whatever_is_no_answer_to_the_question_is_refused(said: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        first_answer(said, 3)


def test_a_line_that_does_not_end_is_refused() -> None:
    with pytest.raises(ValueError, match="does not end"):
        first_answer(b"*" + b"1" * 2_000, 3)


async def test_many_questions_at_once_are_each_given_their_own_answer(line: Line) -> None:
    answers = await asyncio.gather(*(line.values([f"k{number}", "none", f"k{99 - number}"]) for number in range(100)))

    assert answers == [[b"v%d" % number, None, b"v%d" % (99 - number)] for number in range(100)]


async def test_who_waits_no_longer_leaves_nobody_his_answer(line: Line) -> None:
    asked = [asyncio.ensure_future(line.values([f"k{number}"])) for number in range(100)]
    await asyncio.sleep(0)
    for one in asked[::2]:
        one.cancel()

    kept = await asyncio.gather(*asked[1::2])

    assert kept == [[b"v%d" % number] for number in range(1, 100, 2)]
    assert all(one.cancelled() for one in asked[::2])


async def test_a_large_value_comes_whole(line: Line, client: Client) -> None:
    await client.set("large", b"\r\n$3\r\n" * 300_000)

    assert await line.values(["large", "k1"]) == [b"\r\n$3\r\n" * 300_000, b"v1"]


async def test_an_error_is_the_one_questions_alone(line: Line) -> None:
    wrong, right = line.values([]), line.values(["k1"])

    with pytest.raises(ResponseError, match="wrong number"):
        await wrong

    assert await right == [b"v1"]


async def test_with_the_connection_end_all_questions(own_redis: RedisServer) -> None:
    line, opener = await a_line(own_redis.url)
    await asyncio.to_thread(own_redis.freeze)
    asked = [asyncio.ensure_future(line.values(["k1"])) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.to_thread(own_redis.kill)

    ended = await asyncio.gather(*asked, return_exceptions=True)
    await asyncio.to_thread(own_redis.start)

    assert [type(one) for one in ended] == [ConnectionError] * 3
    assert line.is_closed
    with pytest.raises(ConnectionError):
        await line.values(["k1"])
    await line.aclose()
    await opener.aclose()


async def test_who_says_more_than_he_was_asked_is_not_heard_again() -> None:
    async with talking(b"*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n") as url:
        line, opener = await a_line(url)

        first = await line.values(["k1"])
        await asyncio.sleep(0)
        closed = line.is_closed
        await line.aclose()
        await opener.aclose()

    assert first == [b"a"]
    assert closed


async def test_a_client_that_keeps_to_itself_how_to_write_to_a_connection_is_left_to_do_it() -> None:
    connection = Secretive()

    line = await Line.opened(connection)

    assert line is None
    assert connection.said == ["connect", "disconnect"]


class Secretive:
    """A client and its only connection, in one."""

    def __init__(self) -> None:
        self.said = list[str]()

    def make_connection(self) -> Secretive:
        return self

    async def connect(self) -> None:
        self.said.append("connect")

    async def disconnect(self) -> None:
        self.said.append("disconnect")


@asynccontextmanager
async def talking(said: bytes) -> AsyncGenerator[str]:
    """A server that says OK to whatever a client begins with, and the same to each question."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(said if b"MGET" in data else b"+OK\r\n" * data.count(b"*"))
        writer.close()

    server = await asyncio.start_server(talk, HOST, 0)
    try:
        yield f"redis://{HOST}:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()
