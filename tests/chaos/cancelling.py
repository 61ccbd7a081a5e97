"""Operations cancelled at random awaits at full size, on every PostgreSQL of this machine."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Final

import asyncpg

from deskstore.adapters.embedded.postgres import PostgresServer
from deskstore.adapters.postgres import PostgresStorage
from tests.chaos.parts import Finding, Orders, Part
from tests.postgres.cancelling import Cancellations, left_behind
from tests.postgres.preparing import MAJORS, prepare
from tests.postgres.troubles import PATIENT
from tests.servers.databases import databases_on

_TIMES: Final = 2_000
_ROUNDS: Final = 20


def _cancel(major: int, orders: Orders) -> Finding:
    return asyncio.run(_cancelled(major, orders.seed))


async def _cancelled(major: int, seed: int) -> Finding:
    with PostgresServer(major=major) as server:
        async with databases_on(server) as databases, databases.fresh() as database:
            await prepare(database)
            admin = await asyncpg.connect(database.admin_url)
            storage = PostgresStorage(database.app_url, limits=PATIENT)
            try:
                done = Cancellations(storage=storage, at_once=PATIENT.connections, drawn=random.Random(seed))
                await done.cancel(_TIMES)
                left = await left_behind(admin, database, PATIENT.connections)
            finally:
                await storage.aclose()
                await admin.close()
    measured = f"{done.hits:,} cancelled, {done.kept:,} of them committed all the same"
    return Finding(states=done.hits, failures=[*done.wrong, *left], measured=measured)


PARTS: Final = tuple(
    Part(f"units cancelled at random awaits, PostgreSQL {major}", partial(_cancel, major), rounds=_ROUNDS) for major in MAJORS
)
