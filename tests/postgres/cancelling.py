"""Operations that are cancelled at random awaits, and what is left of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from attrs import define, field

from deskstore.domain.changes import Changes, SaveRecord
from deskstore.domain.outcomes import UnitOutcome
from deskstore.domain.paging import EVERYTHING
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket, an_article

if TYPE_CHECKING:
    import asyncpg

    from deskstore.adapters.postgres import PostgresStorage
    from tests.servers.databases import Database

_COMPANIES: Final = 3
_ROUNDS: Final = 25  #: before it is measured anew what a commit takes
_STATES: Final = "SELECT state, count(*) FROM pg_stat_activity WHERE usename = $1 AND datname = current_database() GROUP BY state"


@define
class _Company:
    """What a company does, and what its units said to have become of them."""

    storage: PostgresStorage
    desk: Desk
    kept: set[str] = field(factory=set[str], init=False)
    unknown: set[str] = field(factory=set[str], init=False)
    foreign: set[str] = field(factory=set[str], init=False)

    async def save(self, name: str) -> None:
        """Keep a ticket and an article, and note what became of them."""
        uow = self.desk.unit()
        try:
            async with uow:
                uow.tickets.save(a_ticket(name, text=self.desk.company_id))
                uow.articles.save(an_article(name, text=self.desk.company_id))
                await uow.commit()
        finally:
            if uow.outcome is UnitOutcome.COMMITTED:
                self.kept.add(name)
            elif uow.outcome is UnitOutcome.UNKNOWN:
                self.unknown.add(name)

    async def apply(self, name: str) -> None:
        """The same beneath the shield of a unit, where nobody is told what became of it."""
        text = self.desk.company_id
        self.unknown.add(name)
        records = (SaveRecord(an_article(name, text=text)), SaveRecord(a_ticket(name, text=text)))
        await self.storage.backend(text).apply(Changes(records=records))
        self.kept.add(name)

    async def look(self, _: str) -> None:
        """Read a page, and what stands on it once more."""
        page = await self.desk.unit().tickets.page_at(EVERYTHING, offset=0, limit=5)
        again = [await self.desk.find(one.key) for one in page.items]
        self.foreign |= {str(one.key) for one in (*page.items, *again) if one and one.data["description"] != self.desk.company_id}

    async def claim(self, _: str) -> None:
        """Take a ticket."""
        await self.desk.claim()

    async def breaches(self) -> list[str]:
        """What is not as the units said."""
        found, total = await self.desk.everything(), (await self.desk.progress()).total
        tickets, articles = ({one.key.id for one in some} for some in (found.tickets, found.articles))
        checks = (
            ("committed and not there", self.kept - tickets),
            ("there and not committed", tickets - self.kept - self.unknown),
            ("there in part", tickets ^ articles),
            ("of another company", self.foreign),
            (f"counted as {total}, and there are {len(tickets)}", tickets if total != len(tickets) else set[str]()),
        )
        return [f"{said}: {sorted(names)[:5]}" for said, names in checks if names]


@define(kw_only=True)
class Cancellations:
    """Operations of some companies at the same time, each cancelled after some part of the time that a commit takes."""

    storage: PostgresStorage
    at_once: int
    drawn: random.Random
    hits: int = 0  #: operations that were not over yet
    kept: int = 0  #: of them, commits that took place all the same
    wrong: list[str] = field(factory=list[str])
    _numbers: int = 0

    async def cancel(self, times: int) -> None:
        """Cancel so many, and look at what is left in the database."""
        companies = [_Company(self.storage, Desk(self.storage, a_new_company())) for _ in range(_COMPANIES)]
        for company in companies:
            await company.save("first")
        while self.hits < times:
            began = time.monotonic()
            await companies[0].save(f"undisturbed {self._numbers}")
            longest_s = time.monotonic() - began
            for _ in range(_ROUNDS):
                await asyncio.gather(*(self._cancelled(self.drawn.choice(companies), longest_s) for _ in range(self.at_once)))
        for company in companies:
            self.wrong.extend(await company.breaches())

    async def _cancelled(self, company: _Company, longest_s: float) -> None:
        self._numbers += 1
        name = f"new {self._numbers}"
        acts: tuple[Callable[[str], Awaitable[None]], ...] = (company.save, company.apply, company.look, company.claim)
        task = asyncio.ensure_future(self.drawn.choice(acts)(name))
        await asyncio.sleep(self.drawn.random() * longest_s)
        task.cancel()
        await asyncio.wait({task})
        if task.cancelled():
            self.hits += 1
            self.kept += name in company.kept
        elif (error := task.exception()) is not None:
            self.wrong.append(f"{type(error).__name__}: {error}")


async def left_behind(admin: asyncpg.Connection, database: Database, connections: int) -> list[str]:
    """What the application's connections are still at, and how many there are too many, as the server sees them."""
    found = {row[0]: row[1] for row in await admin.fetch(_STATES, database.app_role)}
    busy = [f"{count} connections are {state}" for state, count in found.items() if state != "idle"]
    many = sum(found.values())
    return [*busy, *([f"{many} connections, where {connections} were to do"] if many > connections else [])]
