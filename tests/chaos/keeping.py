"""The whole contract kit on every PostgreSQL of this machine, and on a schema in partitions."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from deskstore.adapters.embedded.postgres import PostgresServer
from deskstore.adapters.postgres import PostgresStorage
from deskstore.testing.clock import ManualClock
from tests.chaos.parts import Finding, Orders, Part
from tests.chaos.pytesting import run_by_pytest
from tests.contract.running import Promise, breach_of, promises
from tests.postgres.partitioning import prepare_in_partitions
from tests.postgres.preparing import MAJORS
from tests.servers.choosing import POSTGRES
from tests.servers.databases import databases_on

_KIT: Final = "tests/contract/test_postgres.py"


def _kit(major: int, orders: Orders) -> Finding:
    """The kit as `test` runs it, on a server of another version."""
    with PostgresServer(major=major) as server:
        return run_by_pytest(_KIT, seed=orders.seed, variables={POSTGRES: server.url})


def _in_partitions(major: int, _: Orders) -> Finding:
    return asyncio.run(_kept_in_partitions(major, promises()))


async def _kept_in_partitions(major: int, kit: list[Promise]) -> Finding:
    failures = list[str]()
    with PostgresServer(major=major) as server:
        async with databases_on(server) as databases, databases.fresh() as database:
            await prepare_in_partitions(database)
            for promise in kit:
                if (breach := await breach_of(promise, partial(_opened, database.app_url))) is not None:
                    failures.append(f"{promise.name}: {type(breach).__name__}: {breach}")
    return Finding(states=len(kit), failures=failures)


def _opened(url: str, clock: ManualClock) -> PostgresStorage:
    return PostgresStorage(url, clock=clock)


PARTS: Final = (
    *(Part(f"the contract kit, PostgreSQL {major}", partial(_kit, major)) for major in MAJORS),
    *(Part(f"the contract kit in partitions, PostgreSQL {major}", partial(_in_partitions, major)) for major in MAJORS),
)
