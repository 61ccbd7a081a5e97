"""The PostgreSQL storage: one database for all companies, each sealed off from the others by the database itself."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from deskstore.adapters.postgres import claiming, erasing
from deskstore.adapters.postgres.addresses import driven
from deskstore.adapters.postgres.backend import PostgresBackend
from deskstore.adapters.postgres.calls import Calls
from deskstore.adapters.postgres.checks import Entrance
from deskstore.adapters.postgres.committing import Transactions
from deskstore.adapters.postgres.pool import Limits, Pool
from deskstore.adapters.postgres.schema import DEFAULT_SCHEMA
from deskstore.domain import claims, identifiers, times
from deskstore.domain.errors import ConfigurationError
from deskstore.domain.ports import Health
from deskstore.domain.processing import Processing
from deskstore.domain.unit import BufferedUnit

if TYPE_CHECKING:
    from deskstore.adapters.postgres.inspecting import PostgresInspection
    from deskstore.adapters.postgres.pool import Driver
    from deskstore.adapters.postgres.replica import PostgresReplica
    from deskstore.domain.erasures import Erasure

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


class PostgresStorage:
    """
    Companies in one PostgreSQL database, which any number of processes may share.

    Args:
        url: Where the database is, and the application role's login.
        schema: Where `deskstore db upgrade` put the tables.
        clock: Gives the present moment, aware and UTC.
        limits: How many connections there may be, and how long anything may take.
        has_pooler: Whether a pooler stands between that knows no prepared statements, such as PgBouncer before 1.21.
        admit: Looks at the database through the first connection, and raises ConfigurationError where companies would not be kept apart.
        reads_copies: Whether a company is read here that lives in another store; for who knows how old that may be, as the hybrid storage.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str = DEFAULT_SCHEMA,
        clock: Callable[[], datetime] = times.now,
        limits: Limits | None = None,
        has_pooler: bool = False,
        admit: Callable[[Driver], Awaitable[None]] | None = None,
        reads_copies: bool = False,
    ) -> None:
        if not _NAME.fullmatch(schema):
            raise ConfigurationError(f"DESKSTORE_SCHEMA is {schema!r}: a schema's name has 1 to 63 letters, digits and underscores")
        self.clock: Final = clock
        self.reads_copies: Final = reads_copies
        self._url: Final = driven(url)
        self._schema: Final = schema
        self._pool: Final = Pool(self._url, limits or Limits(), admit or Entrance(schema), has_pooler=has_pooler)
        self._transactions: Final = Transactions(self._pool, Calls(schema))

    def unit_of_work(self, company_id: str) -> BufferedUnit:
        """A unit of work of one company."""
        return BufferedUnit(self.backend(company_id))

    def backend(self, company_id: str) -> PostgresBackend:
        """What the company's units of work stand on."""
        return PostgresBackend(self._transactions, self.clock, identifiers.company_id(company_id), reads_copies=self.reads_copies)

    def replica(self, company_id: str) -> PostgresReplica:
        """The company as raw copies."""
        from deskstore.adapters.postgres.replica import PostgresReplica  # for a mirror or a migration alone

        return PostgresReplica(identifiers.company_id(company_id), self._transactions, self.clock)

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        """Take up to n tickets for a worker, smallest claimable_at first."""
        company = identifiers.company_id(company_id)
        wanted = claims.request(platform, n, worker, lease)
        claims.log(company, wanted)
        taking = self._pool.persistently(lambda: claiming.claim(self._transactions, company, wanted, self.clock))
        return await claims.delivered(lambda: self.unit_of_work(company_id), taking, self.clock)

    async def companies(self) -> Sequence[str]:
        """Every registered company, ascending."""
        return await self._transactions.companies()

    async def erase(self, company_id: str) -> Erasure | None:
        """Delete a company with all that is kept of it but one line."""
        return await erasing.erase(self._transactions, identifiers.company_id(company_id), self.clock)

    async def erasures(self) -> Sequence[Erasure]:
        """What stays of all companies that were erased here, ascending by time."""
        return [erasing.erasure_of(row) for row in await self._transactions.erasures()]

    async def health(self) -> Health:
        """How the storage is doing."""
        return Health(adapter="postgresql", place=self._pool.place, companies=len(await self.companies()))

    def figures(self) -> dict[str, float]:
        """How its connections are used."""
        return self._pool.figures()

    async def warm_up(self, company_id: str, calls: int) -> None:
        """Open connections for so many units at once, and let each learn what a unit asks."""
        await self._transactions.warm_up(identifiers.company_id(company_id), calls, self.clock())

    def inspection(self) -> PostgresInspection:
        """A look at the database, also where companies would not be kept apart."""
        from deskstore.adapters.postgres.inspecting import PostgresInspection  # for the doctor alone

        return PostgresInspection(self._url, self._schema, self._pool.limits.connect_s)

    async def aclose(self) -> None:
        """Finish what is under way, and close every connection."""
        await self._pool.aclose()
