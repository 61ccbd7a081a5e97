"""A Redis of one's own."""

import asyncio
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from deskstore.adapters.embedded.ports import HOST
from deskstore.adapters.embedded.processes import running
from deskstore.adapters.embedded.redis import RedisServer
from deskstore.domain.errors import StorageUnavailable
from tests.servers.talking import talk


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server that tests may end, and leave running."""
    with RedisServer() as made:
        yield made


async def test_only_who_knows_the_password_gets_in(server: RedisServer) -> None:
    async with talk(server.url) as known, talk(server.url, stranger=True) as stranger:
        answers = [await known.say("PING"), await stranger.say("PING"), await stranger.say("AUTH guessed")]

    assert answers[0] == "PONG"
    assert answers[1].startswith("NOAUTH")
    assert answers[2].startswith("WRONGPASS")


async def test_it_listens_on_loopback_only_and_keeps_nothing_on_disk(server: RedisServer) -> None:
    async with talk(server.url) as client:
        bound = await client.say("CONFIG GET bind")
        await client.say("SET a b")

    server.restart()

    async with talk(server.url) as client:
        kept = await client.say("GET a")
    assert (bound, kept) == (f"bind {HOST}", "-")
    assert sorted(path.name for path in server.folder.iterdir()) == ["lock", "log", "settings"]


async def test_nobody_else_can_read_its_password(server: RedisServer) -> None:
    async with talk(server.url) as client:
        await client.say("PING")

    assert (server.folder / "settings").stat().st_mode & 0o777 == 0o600
    assert [process for process in running() if process.pid == server.pid and str(urlsplit(server.url).password) in process.command] == []


async def test_it_answers_again_after_kill(server: RedisServer) -> None:
    server.kill()
    with pytest.raises(ConnectionRefusedError):
        async with talk(server.url):
            pass
    server.start()

    async with talk(server.url) as client:
        assert await client.say("PING") == "PONG"


async def test_while_it_stands_still_nobody_is_answered(server: RedisServer) -> None:
    async with talk(server.url) as client:
        server.freeze()
        waiting = asyncio.create_task(client.say("PING"))
        done, _ = await asyncio.wait({waiting}, timeout=0.2)
        server.thaw()
        answer = await asyncio.wait_for(waiting, 10)

    assert not done
    assert answer == "PONG"


async def test_a_port_that_was_taken_meanwhile_is_changed_for_another() -> None:
    made = RedisServer()
    taken = made.port
    with socket.socket() as other:
        other.bind((HOST, taken))
        other.listen()

        with made:
            async with talk(made.url) as client:
                answer = await client.say("PING")

    assert answer == "PONG"
    assert made.port != taken


def test_a_server_that_does_not_start_says_why_and_leaves_nothing() -> None:
    made = RedisServer(settings={"maxmemory": "plenty"})

    with pytest.raises(StorageUnavailable, match=r"did not start: .*maxmemory"), made:
        pass

    assert not made.folder.exists()
