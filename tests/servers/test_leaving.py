"""However a process ends, nothing is left of the servers it started: no process, no listener, no file."""

import os
import signal
from collections.abc import Callable

import asyncpg
import pytest

from tests.servers.hosts import ACCOUNTS, Host, host
from tests.servers.talking import talk

pytestmark = pytest.mark.parametrize("account", ACCOUNTS)


def killed(host: Host) -> None:
    host.process.kill()


def interrupted(host: Host) -> None:
    host.process.send_signal(signal.SIGINT)


def left_without_its_keepers(host: Host) -> None:
    """The keepers end as if their host were gone."""
    for server in host.servers:
        os.kill(server.keeper, signal.SIGTERM)


@pytest.mark.parametrize("major", [16, 18])
async def test_both_servers_answer(account: str, major: int) -> None:
    with host(account, major) as running:
        postgres, valkey = running.servers
        connection = await asyncpg.connect(postgres.url)
        version = connection.get_server_version().major
        await connection.close()
        async with talk(valkey.url) as client:
            answer = await client.say("PING")

    assert (version, answer) == (major, "PONG")


def test_they_are_gone_when_the_process_has_ended(account: str) -> None:
    with host(account, 18) as running:
        there = all(server.is_left() for server in running.servers)

    assert there
    assert not running.is_left()


@pytest.mark.parametrize("end", [killed, interrupted, left_without_its_keepers])
def test_they_are_gone_though_the_process_could_not_tidy_up(end: Callable[[Host], None], account: str) -> None:
    with host(account, 18) as running:
        end(running)

        assert not running.is_left()


def test_a_fork_that_outlives_the_process_does_not_hold_them(account: str) -> None:
    with host(account, 18, "forks") as running:
        running.process.kill()

        assert not running.is_left()


def test_what_is_left_when_the_keepers_were_killed_too_is_removed_by_the_next(account: str) -> None:
    with host(account, 16) as running:
        for pid in [*(server.keeper for server in running.servers), running.process.pid]:
            os.kill(pid, signal.SIGKILL)
        running.process.wait()
        left = all(server.folder.exists() and server.listens() for server in running.servers)

        with host(account, 18) as following:
            removed = not running.is_left()
            unharmed = all(server.listens() for server in following.servers)

    assert (left, removed, unharmed) == (True, True, True)


def test_a_server_in_use_is_left_alone_by_the_next(account: str) -> None:
    with host(account, 18) as running, host(account, 18):
        assert all(server.runs() and server.listens() for server in running.servers)
