"""A second PostgreSQL that follows a first one: streams its log, answers reads, and can take its place."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import asyncpg

from deskstore.adapters.embedded import places
from deskstore.adapters.embedded.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Generator

_ASKED: Final = 1_500  #: how often at most
_ASK_AGAIN_S: Final = 0.02
_PROMOTED_S: Final = 60
_SYNCHRONOUS: Final = ("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")


@contextmanager
def standby_of(primary: PostgresServer) -> Generator[PostgresServer]:
    """A standby that follows a running server, made by pg_basebackup; its superuser has the same password."""
    folder = Path(tempfile.mkdtemp(prefix="deskstore-standby-", dir=primary.folder.parent))
    try:
        folder.chmod(places.SEARCHABLE)
        _back_up(primary, folder)
        with PostgresServer(programs=primary.programs, folder=folder) as standby:
            yield standby
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _back_up(primary: PostgresServer, folder: Path) -> None:
    """Copy a running server's files as the account that servers run as, with the note that makes the copy follow."""
    at, who, data = urlsplit(primary.url), places.account(), folder / "data"
    places.write_secret(folder / "password", str(at.password))
    data.mkdir(mode=0o700)
    if who:
        who.own(data)
    subprocess.run(
        [
            str(primary.programs.folder / "pg_basebackup"),
            *("--host", str(at.hostname), "--port", str(at.port), "--username", str(at.username), "--pgdata", str(data)),
            *("--checkpoint", "fast", "--wal-method", "stream", "--write-recovery-conf", "--no-sync"),
        ],
        check=True,
        capture_output=True,
        cwd="/",
        env={"LC_ALL": "C", "PATH": os.defpath, "PGPASSWORD": str(at.password)},
        user=who.uid if who else None,
        group=who.gid if who else None,
        extra_groups=[] if who else None,
    )


async def wait_for(standby: PostgresServer, primary: PostgresServer) -> None:
    """Come back when the standby has applied all that the primary has written by now."""
    async with _connected(primary.url) as one, _connected(standby.url) as other:
        written = await one.fetchval("SELECT pg_current_wal_lsn()::text")
        await _until(other, "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", written)


async def acknowledge_together(primary: PostgresServer) -> None:
    """Let the primary acknowledge nothing that its standby does not have."""
    async with _connected(primary.url) as connection:
        for statement in _SYNCHRONOUS:
            await connection.execute(statement)
        await _until(connection, "SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync'")


async def promote(standby: PostgresServer) -> None:
    """Let the standby take the primary's place, and wait for nobody that would follow it."""
    async with _connected(standby.url) as connection:
        assert await connection.fetchval("SELECT pg_promote(true, $1)", _PROMOTED_S)
        await connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await connection.execute("SELECT pg_reload_conf()")


async def _until(connection: asyncpg.Connection[asyncpg.Record], question: str, *values: object) -> None:
    for _ in range(_ASKED):
        if await connection.fetchval(question, *values):
            return
        await asyncio.sleep(_ASK_AGAIN_S)
    raise TimeoutError(question)


@asynccontextmanager
async def _connected(url: str) -> AsyncGenerator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
