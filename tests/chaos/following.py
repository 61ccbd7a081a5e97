"""A streaming standby: reads work on it, writes say where to go, and it takes the primary's place without losing what was acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from deskstore.adapters.embedded.postgres import PostgresServer
from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.postgres.pool import Limits
from deskstore.domain.errors import StorageUnavailable
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_checkpoint, a_summary, a_ticket
from tests.chaos.parts import Finding, Orders, Part
from tests.postgres.preparing import MAJORS, prepare
from tests.postgres.proxies import Wire, wire_to
from tests.postgres.troubles import PATIENT, Trouble, write_through
from tests.servers.databases import Database, databases_on
from tests.servers.standbys import acknowledge_together, promote, standby_of, wait_for

if TYPE_CHECKING:
    import random

_COMPANIES: Final = 5
_LIMITS: Final = Limits(connections=4, wait_s=10.0, connect_s=5.0, answer_s=10.0, retry_s=5.0)
_LINE: Final = "this PostgreSQL is a standby, which only reads: let DATABASE_URL name the primary"


def _read(major: int, _: Orders) -> Finding:
    return asyncio.run(_read_there(major))


async def _read_there(major: int) -> Finding:
    failures = list[str]()
    async with _pair(major) as (primary, standby, database):
        here, there = [PostgresStorage(url, limits=_LIMITS) for url in (database.app_url, _moved(database.app_url, standby))]
        try:
            desks = [await Desk(here, a_new_company()).fill(f"text {number}") for number in range(_COMPANIES)]
            await wait_for(standby, primary)
            for desk in desks:
                follower = Desk(there, desk.company_id)
                if await follower.everything() != await desk.everything():
                    failures.append(f"{desk.company_id} reads differently on the standby")
                failures.extend([said async for said in _refusals(follower)])
            if await there.companies() != await here.companies():
                failures.append("the standby lists other companies")
        finally:
            await asyncio.gather(here.aclose(), there.aclose())
    return Finding(states=_COMPANIES, failures=failures)


async def _refusals(desk: Desk) -> AsyncGenerator[str]:
    """What does not refuse to be done on a standby in the one line that says where to go."""
    key = a_ticket("1").key
    acts: Mapping[str, Callable[[], Awaitable[object]]] = {
        "save": lambda: desk.keep(a_ticket("9")),
        "claim": desk.claim,
        "summary": lambda: desk.summarise(a_summary(key, "text")),
        "checkpoint": lambda: desk.keep_checkpoint(a_checkpoint("text")),
        "erase": lambda: desk.storage.erase(desk.company_id),
        "new company": lambda: Desk(desk.storage, a_new_company()).keep(a_ticket("1")),
    }
    for name, act in acts.items():
        try:
            await act()
        except StorageUnavailable as error:
            if str(error) != _LINE:
                yield f"{name}: {error}"
        else:
            yield f"{name} says to have been done on a standby"


# -- taking its place ----------------------------------------------------------------------------------------------------------------------


def _fail_over(major: int, orders: Orders) -> Finding:
    return asyncio.run(_failed_over(major, orders.seed, rounds=20 if orders.is_nightly else 2))


async def _failed_over(major: int, seed: int, *, rounds: int) -> Finding:
    failures, told, states = list[str](), list[str](), 0
    for number in range(rounds):
        async with _pair(major) as (primary, standby, database):
            await acknowledge_together(primary)
            async with wire_to(database.app_url) as (wire, url):
                toll = await write_through(_replacing(primary, standby, wire), url, times=1, seed=seed + number, limits=PATIENT)
        failures.extend(toll.wrong)
        told.append(str(toll))
        states += len(toll.acked)
    return Finding(states=states, failures=failures, measured="; ".join(told[:3]))


def _replacing(primary: PostgresServer, standby: PostgresServer, wire: Wire) -> Trouble:
    async def replace(_: random.Random) -> None:
        await asyncio.to_thread(primary.kill)
        await promote(standby)
        wire.port = standby.port

    return replace


# -- two servers ---------------------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _pair(major: int) -> AsyncGenerator[tuple[PostgresServer, PostgresServer, Database]]:
    """A primary, a standby, and a database of theirs; thrown away together, whatever became of them."""
    with PostgresServer(major=major) as primary:
        async with databases_on(primary, goes_too=True) as databases:
            database = await databases.lasting()
            await prepare(database)
            with standby_of(primary) as standby:
                yield primary, standby, database


def _moved(url: str, server: PostgresServer) -> str:
    """The same database and login on another server."""
    parts, place = urlsplit(url), urlsplit(server.url)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{place.hostname}:{place.port}"))


PARTS: Final = (
    *(Part(f"reads on a standby, PostgreSQL {major}", partial(_read, major)) for major in MAJORS),
    *(Part(f"failover to a standby, PostgreSQL {major}", partial(_fail_over, major)) for major in MAJORS),
)
