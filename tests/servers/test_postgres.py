"""A PostgreSQL of one's own, in every version that tests run against."""

import asyncio
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deskstore.adapters.embedded import places
from deskstore.adapters.embedded.ports import HOST
from deskstore.adapters.embedded.postgres import PostgresServer
from deskstore.adapters.embedded.processes import running
from deskstore.adapters.embedded.programs import PostgresPrograms, postgres_here
from deskstore.domain.errors import ConfigurationError, StorageUnavailable

#: what the wheels bring, and what the system has beside
VERSIONS = sorted({16, 18} | {programs.major for programs in postgres_here()})


@pytest.fixture(scope="module", params=VERSIONS)
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """A server that tests may end, and leave ended."""
    with PostgresServer(major=request.param) as made:
        yield made


async def test_it_is_the_version_asked_for_and_durable(server: PostgresServer) -> None:
    connection = await connected(server)
    settings = [await connection.fetchval(f"show {name}") for name in ("fsync", "full_page_writes", "synchronous_commit")]
    version = connection.get_server_version().major
    await connection.close()

    assert version == server.major
    assert settings == ["on", "on", "on"]


async def test_only_who_knows_the_password_gets_in(server: PostgresServer) -> None:
    await (await connected(server)).close()

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(re.sub(":[0-9a-f]{32}@", ":guessed@", server.url))
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(re.sub(":[0-9a-f]{32}@", "@", server.url))


async def test_it_listens_on_loopback_only_and_tells_no_password_on_its_command_line(server: PostgresServer) -> None:
    connection = await connected(server)
    addresses = await connection.fetchval("show listen_addresses")
    sockets = await connection.fetchval("show unix_socket_directories")
    await connection.close()

    assert (addresses, sockets) == (HOST, "")
    assert (server.folder / "data").stat().st_mode & 0o777 == 0o700


async def test_it_has_no_rights_where_we_are_root(server: PostgresServer) -> None:
    await (await connected(server)).close()

    assert (server.folder / "data").stat().st_uid == (os.getuid() or places.NOBODY)


async def test_it_is_there_again_after_a_restart(server: PostgresServer) -> None:
    await kept(server, "before the restart")
    before = server.url

    server.restart()

    assert await all_kept(server) == ["before the restart"]
    assert server.url == before


async def test_what_was_committed_is_there_after_kill(server: PostgresServer) -> None:
    await kept(server, "before the kill")

    server.kill()
    listened = await answers(server)
    server.start()

    assert not listened
    assert await all_kept(server) == ["before the kill"]


async def test_a_statement_under_way_learns_that_the_server_was_killed(server: PostgresServer) -> None:
    connection = await connected(server)
    waiting = asyncio.create_task(connection.execute("select pg_sleep(60)"))
    await asyncio.sleep(0.1)

    server.kill()

    with pytest.raises((asyncpg.PostgresConnectionError, OSError)):
        await asyncio.wait_for(waiting, 10)
    server.start()


async def test_while_it_stands_still_nobody_is_answered(server: PostgresServer) -> None:
    connection = await connected(server)

    server.freeze()
    waiting = asyncio.create_task(connection.fetchval("select 1"))
    done, _ = await asyncio.wait({waiting}, timeout=0.2)
    server.thaw()

    assert not done
    assert await asyncio.wait_for(waiting, 10) == 1
    await connection.close()


async def test_it_can_be_closed_while_it_stands_still() -> None:
    server = PostgresServer().start()
    server.freeze()

    server.close()

    assert not server.folder.exists()


def test_a_server_whose_keeper_was_killed_says_so_and_can_be_closed() -> None:
    server = PostgresServer().start()
    os.kill(server.keeper, signal.SIGKILL)

    with pytest.raises(StorageUnavailable, match="was killed: close this one and start another"):
        server.stop()
    server.close()

    assert not server.folder.exists()
    assert server.pid not in {process.pid for process in running()}


async def test_settings_count_from_the_next_start(server: PostgresServer) -> None:
    server.settings["fsync"] = "off"
    server.restart()
    connection = await connected(server)
    changed = await connection.fetchval("show fsync")
    await connection.close()
    del server.settings["fsync"]
    server.restart()

    assert changed == "off"


def test_a_server_that_does_not_start_says_why_and_leaves_nothing() -> None:
    made = PostgresServer(settings={"max_connections": "many"})

    with pytest.raises(StorageUnavailable, match=r'did not start: .*invalid value for parameter "max_connections"'), made:
        pass

    assert not made.folder.exists()


async def test_a_port_that_was_taken_meanwhile_is_changed_for_another() -> None:
    made = PostgresServer()
    taken = made.port
    with socket.socket() as other:
        other.bind((HOST, taken))
        other.listen()

        with made:
            answered = await answers(made)

    assert answered
    assert made.port != taken


async def test_a_folder_is_kept_with_all_that_is_in_it(open_folder: Path) -> None:
    with PostgresServer(folder=open_folder / "kept") as first:
        await kept(first, "in a folder")

    with PostgresServer(folder=open_folder / "kept") as second:
        found = await all_kept(second)

    assert found == ["in a folder"]
    assert (open_folder / "kept" / "data" / "PG_VERSION").exists()


def test_a_folder_in_use_is_refused(open_folder: Path) -> None:
    with PostgresServer(folder=open_folder), pytest.raises(ConfigurationError, match="is used by another server"):
        PostgresServer(folder=open_folder)


async def connected(server: PostgresServer) -> asyncpg.Connection:
    return await asyncpg.connect(server.url)


async def answers(server: PostgresServer) -> bool:
    try:
        connection = await connected(server)
    except OSError:
        return False
    await connection.close()
    return True


async def kept(server: PostgresServer, text: str) -> None:
    """Keep one line on the server, and only that."""
    connection = await connected(server)
    await connection.execute("drop table if exists kept; create table kept (line text)")
    await connection.execute("insert into kept values ($1)", text)
    await connection.close()


async def all_kept(server: PostgresServer) -> list[str]:
    connection = await connected(server)
    found = await connection.fetch("select line from kept")
    await connection.close()
    return [row[0] for row in found]


def test_files_that_cannot_be_made_are_told_with_what_initdb_said(open_folder: Path) -> None:
    (open_folder / "initdb").write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    (open_folder / "postgres").touch()
    programs = PostgresPrograms(version="18.0", folder=open_folder)

    with pytest.raises(StorageUnavailable, match=r"PostgreSQL 18\.0 could not make its files in .*Permission denied"):
        PostgresServer(programs=programs, folder=open_folder / "kept")
    (open_folder / "initdb").chmod(0o755)
    with pytest.raises(StorageUnavailable, match=r"PostgreSQL 18\.0 could not make its files in .*: no room"):
        PostgresServer(programs=programs, folder=open_folder / "kept")


def test_files_that_initdb_did_not_finish_are_made_anew(open_folder: Path) -> None:
    (open_folder / "kept" / "data.new").mkdir(parents=True)
    (open_folder / "kept" / "data.new" / "PG_VERSION").write_text("18\n")

    with PostgresServer(folder=open_folder / "kept") as server:
        assert (server.folder / "data" / "base").is_dir()
    assert not (open_folder / "kept" / "data.new").exists()
