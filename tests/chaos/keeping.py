"""The whole contract kit on every PostgreSQL of this machine, and on a schema in partitions."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Final

from deskstore.adapters.embedded.postgres import PostgresServer
from deskstore.adapters.postgres import PostgresStorage
from deskstore.testing.clock import ManualClock
from tests.chaos.parts import Finding, Orders, Part
from tests.contract.running import Promise, promises
from tests.postgres.partitioning import prepare_in_partitions
from tests.postgres.preparing import MAJORS
from tests.servers.choosing import POSTGRES
from tests.servers.databases import databases_on

_ROOT: Final = Path(__file__).resolve().parents[2]
_KIT: Final = "tests/contract/test_postgres.py"
_WHAT_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) .*$", re.MULTILINE)


def _kit(major: int, orders: Orders) -> Finding:
    """The kit as `test` runs it, on a server of another version."""
    with PostgresServer(major=major) as server:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--hypothesis-seed={orders.seed}", _KIT],
            env={**os.environ, POSTGRES: server.url},
            cwd=_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    passed = re.search(r"(\d+) passed", done.stdout)
    failures = _WHAT_FAILED.findall(done.stdout) or ([done.stdout[-2_000:] + done.stderr[-2_000:]] if done.returncode else [])
    return Finding(states=int(passed[1]) if passed else 0, failures=failures)


def _in_partitions(major: int, _: Orders) -> Finding:
    return asyncio.run(_kept_in_partitions(major, promises()))


async def _kept_in_partitions(major: int, kit: list[Promise]) -> Finding:
    failures = list[str]()
    with PostgresServer(major=major) as server:
        async with databases_on(server) as databases, databases.fresh() as database:
            await prepare_in_partitions(database)
            for promise in kit:
                if (breach := await breach_of(promise, database.app_url)) is not None:
                    failures.append(f"{promise.name}: {type(breach).__name__}: {breach}")
    return Finding(states=len(kit), failures=failures)


async def breach_of(promise: Promise, url: str) -> BaseException | None:
    """How a PostgreSQL breaks a promise, if it does; every storage it takes is closed."""
    opened = list[PostgresStorage]()

    def open_storage(clock: ManualClock) -> PostgresStorage:
        opened.append(PostgresStorage(url, clock=clock))
        return opened[-1]

    try:
        return await promise.breach(open_storage)
    finally:
        for storage in opened:
            await storage.aclose()


PARTS: Final = (
    *(Part(f"the contract kit, PostgreSQL {major}", partial(_kit, major)) for major in MAJORS),
    *(Part(f"the contract kit in partitions, PostgreSQL {major}", partial(_in_partitions, major)) for major in MAJORS),
)
