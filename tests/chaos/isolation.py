"""Companies that share a database, at work at the same time and at full size."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from deskstore.adapters.embedded.postgres import PostgresServer
from deskstore.adapters.postgres.pool import Limits
from tests.chaos.parts import Finding, Orders, Part
from tests.postgres.crowds import work_in_many_companies
from tests.postgres.preparing import MAJORS, prepare
from tests.postgres.probes import Watched, let_in
from tests.servers.databases import databases_on

_COMPANIES: Final = 8
_STEPS: Final = 5_000  #: of each company


def _crowd(major: int, is_bound: bool, steps: int, orders: Orders) -> Finding:
    return asyncio.run(_worked(major, is_bound, steps, orders.seed))


async def _worked(major: int, is_bound: bool, steps: int, seed: int) -> Finding:
    """What companies met of one another: with the policies, or as a superuser with nothing but the predicates of the statements."""
    with PostgresServer(major=major) as server:
        async with databases_on(server) as databases, databases.fresh() as database:
            await prepare(database)
            url, admit = (database.app_url, None) if is_bound else (database.admin_url, let_in)
            storage = Watched(url, limits=Limits(connections=_COMPANIES), admit=admit)
            try:
                met = await work_in_many_companies(storage, companies=_COMPANIES, steps=steps, seed=seed)
            finally:
                await storage.aclose()
    return Finding(states=_COMPANIES * steps, failures=met)


PARTS: Final = (
    *(Part(f"companies at work together, PostgreSQL {major}", partial(_crowd, major, True, _STEPS), rounds=25) for major in MAJORS),
    Part("companies at work together, by the predicates alone", partial(_crowd, MAJORS[-1], False, _STEPS // 5), rounds=25),
)
