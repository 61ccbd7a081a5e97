"""Whatever is wrong with the way to the database is one line and the documented exit code, of any command, and in bounded time."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest

from deskstore.adapters.embedded.ports import free_port
from deskstore.adapters.embedded.postgres import PostgresServer
from tests.postgres.commands import Shell
from tests.postgres.probes import connected
from tests.servers.databases import Database, Databases

COMMANDS: Final = (
    ("status",),
    ("company", "list"),
    ("ticket", "list", "--company", "acme"),
    ("export", "--company", "acme", "--output", "-"),
)
PASSWORD: Final = re.compile(":[0-9a-f]{32}@")


@pytest.fixture
async def bare(databases: Databases) -> AsyncIterator[Database]:
    """A database without any of our tables."""
    async with databases.fresh() as made:
        yield made


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    made = Shell(monkeypatch, capfd.readouterr)
    made.set(STORAGE_TYPE="postgresql")
    return made


@pytest.fixture(scope="module")
def frozen_server() -> Iterator[PostgresServer]:
    """A server that takes connections and answers nobody."""
    with PostgresServer() as server:
        server.freeze()
        yield server
        server.thaw()


def run(url: str, statement: str) -> None:
    async def ran() -> None:
        async with connected(url) as connection:
            await connection.execute(statement)

    asyncio.run(ran())


def refusals(shell: Shell, url: str) -> list[tuple[int, str]]:
    """What each command says of an address: an exit code and a line."""
    shell.set(DATABASE_URL=url)
    said = [shell(*command) for command in COMMANDS]
    assert all((ran.out, ran.err.count("\n")) == ("", 1) for ran in said), said
    return [(ran.code, ran.err) for ran in said]


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("nonsense", "DATABASE_URL is not an address that deskstore knows; write it as postgresql://user:password@host/name"),
        (
            "mysql://a:b@localhost/c",
            "DATABASE_URL is not an address that deskstore knows; write it as postgresql://user:password@host/name",
        ),
        ("postgresql://a:b@localhost:port/c", "DATABASE_URL is not an address: write it as postgresql://user:password@host/name"),
        (
            "postgresql://a:p@ss@localhost/c",
            "DATABASE_URL holds a second @ before the host: write an @ in the user or the password as %40",
        ),
        ("postgresql://a:b@localhost:99999999/c", "DATABASE_URL names the port 99999999, which no host has: the last one is 65535"),
    ],
)
def test_an_address_that_is_none_says_what_to_write(shell: Shell, url: str, line: str) -> None:
    assert refusals(shell, url) == [(2, f"deskstore: {line}\n")] * len(COMMANDS)


def test_a_server_that_is_down_and_a_host_that_is_none_end_with_4(shell: Shell) -> None:
    down = refusals(shell, f"postgresql://a:b@127.0.0.1:{free_port()}/c")
    nowhere = refusals(shell, "postgresql://a:b@no-such-host.invalid/c")

    assert all(code == 4 and "PostgreSQL refuses the connection: is it running where DATABASE_URL says?" in line for code, line in down)
    assert all(code == 4 and "check the host and port in DATABASE_URL" in line for code, line in nowhere)


async def test_a_server_that_breaks_off_each_connection_ends_with_4_and_one_line() -> None:
    """In a process of its own, since nobody has set logging up there, and retries have a logger of their own."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    environment = {"STORAGE_TYPE": "postgresql", "DATABASE_URL": f"postgresql://a:b@127.0.0.1:{port}/c", "DESKSTORE_TIMEOUT_S": "0.5"}

    async with server:
        status = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deskstore.cli", "status"),
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, said = await status.communicate()

    assert (status.returncode, out) == (4, b"")
    assert said.decode().count("\n") == 1
    assert "PostgreSQL breaks off each connection while it is made" in said.decode()


def test_a_server_that_does_not_answer_ends_with_4_within_the_time_that_was_set(shell: Shell, frozen_server: PostgresServer) -> None:
    shell.set(DESKSTORE_TIMEOUT_S="0.5", DATABASE_URL=frozen_server.url)

    began = time.monotonic()
    ran = shell("status")

    assert (ran.code, ran.err) == (4, "deskstore: PostgreSQL did not answer in time: nothing that was not acknowledged was kept\n")
    assert time.monotonic() - began < 5


def test_a_login_that_is_refused_ends_with_2(shell: Shell, fresh_database: Database) -> None:
    urls = [
        PASSWORD.sub(":wrong@", fresh_database.app_url),
        fresh_database.app_url.replace("app_user", "nobody_at_all"),
        fresh_database.app_url.replace(fresh_database.name, "no_such_database"),
    ]

    line = (
        "refuses the login: check the user, the password and the database's name in DATABASE_URL, and that `deskstore db upgrade` was run"
    )
    for url in urls:
        assert all(code == 2 and line in said for code, said in refusals(shell, url))


def test_a_schema_that_is_missing_old_or_too_new_ends_with_2(shell: Shell, fresh_database: Database, bare: Database) -> None:
    missing = refusals(shell, bare.app_url)
    run(fresh_database.owner_url, "UPDATE deskstore.schema_version SET version_num = '0000'")
    old = refusals(shell, fresh_database.app_url)
    run(fresh_database.owner_url, "UPDATE deskstore.schema_version SET version_num = '9999'")
    new = refusals(shell, fresh_database.app_url)

    assert all(code == 2 and "no deskstore schema 'deskstore': run `deskstore db upgrade` as its owner" in line for code, line in missing)
    assert all(code == 2 and "is at 0000, and this release needs" in line and "run `deskstore db upgrade`" in line for code, line in old)
    assert all(code == 2 and "a newer release made the schema" in line and "use that release" in line for code, line in new)


def test_a_role_that_policies_do_not_bind_ends_with_2(shell: Shell, fresh_database: Database) -> None:
    for url, line in (
        (fresh_database.admin_url, "is a superuser, whom no policy binds"),
        (fresh_database.owner_url, "owns tables of the schema"),
    ):
        said = refusals(shell, url)

        assert all(
            code == 2 and line in one and "let DATABASE_URL name a login that `deskstore db upgrade` made" in one for code, one in said
        )
