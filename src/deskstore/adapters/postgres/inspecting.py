"""
What the doctor is told of a database: whether it is reached, at which migration it stands, and every fault with the SQL that mends it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import asyncpg

from deskstore.adapters.postgres import checks
from deskstore.adapters.postgres.checks import NO_SCHEMA
from deskstore.adapters.postgres.errors import translated
from deskstore.adapters.postgres.routines import quoted
from deskstore.domain.errors import ConfigurationError
from deskstore.domain.findings import Check, Finding, Mended, Offer

if TYPE_CHECKING:
    from sqlalchemy import URL

    Driver = asyncpg.Connection[asyncpg.Record]

#: what is looked at, by the kinds of faults
_CHECKS: Final = {
    "role": "the role is bound by policies",
    "durability": "what is acknowledged is durable",
    "release": "the server's release",
    "sealing": "companies are sealed off",
    "bypass": "nothing leads around the policies",
    "counting": "changes are counted",
    "privileges": "privileges",
}


class PostgresInspection:
    """One database, looked at by the application's own role; nothing of it is ever mended from here, since that takes its owner."""

    def __init__(self, url: URL, schema: str, connect_s: float) -> None:
        self._url: Final = url
        self._schema: Final = schema
        self._connect_s: Final = connect_s

    async def checks(self) -> Sequence[Check]:
        """Whether the database is fit to keep companies apart: a line for each subject, and for each fault one with its SQL."""
        async with self._connection() as driver:
            server = await driver.fetchval("SELECT current_setting('server_version')")
            stands = await self._stands(driver)
            found = await checks.faults(driver, self._schema)
        late = checks.behind(stands, self._schema)
        schema = Check(name="schema", is_fine=late is None, detail=str(late) if late else f"{self._schema}, at {stands}")
        return [Check(name="server", is_fine=True, detail=f"PostgreSQL {server}"), schema, *_lines(found, has_schema=stands is not None)]

    async def companies(self) -> Sequence[str]:
        """Every registered company; none where there is no list of them."""
        async with self._connection() as driver:
            try:
                found = await driver.fetch(f"SELECT c.company_id FROM {quoted(self._schema)}.company c ORDER BY 1")  # noqa: S608 - a name
            except (*NO_SCHEMA, asyncpg.InsufficientPrivilegeError):
                return []
        return [row[0] for row in found]

    async def layout(self, company_id: str) -> int | None:
        """The migration at which the database stands, as a number."""
        async with self._connection() as driver:
            stands = await self._stands(driver)
        return int(stands) if stands else None

    async def findings(self, company_id: str) -> AsyncIterator[Finding]:
        """None: nobody edits rows as files are edited, and the database checks its own pages."""
        nothing: Sequence[Finding] = ()
        for finding in nothing:
            yield finding

    async def offer(self, finding: Finding) -> Offer:
        """What another hand wrote; there is no such thing here."""
        raise ConfigurationError("in PostgreSQL there are no files to take in")

    async def mend(self, finding: Finding) -> Mended:
        """Heal what was found; there is nothing of the kind here."""
        raise ConfigurationError("in PostgreSQL there are no files to mend: run the SQL that `deskstore doctor` prints")

    async def release_claims(self, company_id: str) -> bool:
        """False: claims are rows, and go with the database or stay with it."""
        return False

    async def _stands(self, driver: Driver) -> str | None:
        try:
            return await checks.revision(driver, self._schema)
        except asyncpg.InsufficientPrivilegeError:
            return None

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Driver]:
        """A connection past the pool, which would refuse what is to be looked at here."""
        with translated(self._url.render_as_string(hide_password=True)):
            driver = await asyncpg.connect(
                self._url.render_as_string(hide_password=False),
                timeout=self._connect_s,
                command_timeout=self._connect_s,
                statement_cache_size=0,
            )
            try:
                yield driver
            finally:
                await driver.close()


def _lines(found: Sequence[checks.Fault], *, has_schema: bool) -> Sequence[Check]:
    said = [
        Check(name=name, is_fine=True, detail="nothing is wrong")
        for kind, name in _CHECKS.items()
        if not any(one.kind == kind for one in found)
    ]
    wrong = [fault for fault in found if has_schema or fault.kind != "schema"]
    return [*said, *(Check(name=fault.kind, is_fine=fault.is_warning, detail=str(fault)) for fault in wrong)]
