"""Eight workers as processes on many tickets, killed at random: every ticket is completed exactly once, whoever dies."""

from __future__ import annotations

import asyncio
import random
import signal
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from deskstore.adapters.embedded.postgres import PostgresServer
from deskstore.adapters.file import FileStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.ports import Storage
from tests.chaos.parts import Finding, Orders, Part
from tests.postgres.preparing import MAJORS, prepare
from tests.processing.crowd import Crowd, Plan, breaches, fill, with_python
from tests.servers.databases import databases_on

_TICKETS: Final = 10_000
_KILLS: Final = 24
_PACE_S: Final = 0.1


def _on_files(orders: Orders) -> Finding:
    async def work(folder: Path) -> Finding:
        data = folder / "data"
        storage = FileStorage(data)
        try:
            return await _worked(storage, {"DATA_PATH": str(data)}, folder, orders)
        finally:
            await storage.aclose()

    with tempfile.TemporaryDirectory(prefix="deskstore-workers-") as folder:
        return asyncio.run(work(Path(folder)))


def _on_postgresql(major: int, orders: Orders) -> Finding:
    async def work(server: PostgresServer, folder: Path) -> Finding:
        async with databases_on(server) as databases, databases.fresh() as database:
            await prepare(database)
            storage = PostgresStorage(database.app_url)
            environment = {"STORAGE_TYPE": "postgresql", "DATABASE_URL": database.app_url, "DATA_PATH": str(folder / "data")}
            try:
                return await _worked(storage, environment, folder, orders)
            finally:
                await storage.aclose()

    with PostgresServer(major=major) as server, tempfile.TemporaryDirectory(prefix="deskstore-workers-") as folder:
        return asyncio.run(work(server, Path(folder)))


async def _worked(storage: Storage, environment: dict[str, str], folder: Path, orders: Orders) -> Finding:
    """What eight processes left of the tickets, some of them killed and some put to sleep."""
    plan = Plan(tickets=_TICKETS, kills=_KILLS, sleeps=3, pace_s=_PACE_S)
    await fill(storage, plan.tickets)
    crowd = Crowd(folder, with_python(environment), plan, random.Random(orders.seed))
    codes = await asyncio.to_thread(crowd.work)
    measured = f"{codes.get(-signal.SIGKILL, 0)} workers killed, {plan.sleeps} stopped for longer than their leases"
    return Finding(states=plan.tickets, failures=await breaches(storage, plan, [*crowd.notes()], codes), measured=measured)


PARTS: Final = (
    Part("eight worker processes on files, killed at random", _on_files, rounds=10),
    Part("eight worker processes on PostgreSQL, killed at random", partial(_on_postgresql, MAJORS[-1]), rounds=10),
)
