"""
What is wrong with a database: one look into its catalog.

For whoever opens it, for `deskstore doctor`, for `deskstore db check` and for tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

import asyncpg
from attrs import frozen

from deskstore.adapters.postgres.routines import quoted
from deskstore.adapters.postgres.scripts import text_of
from deskstore.adapters.postgres.sealing import KEPT, VERSION_TABLE, seals
from deskstore.domain.errors import ConfigurationError

if TYPE_CHECKING:
    Driver = asyncpg.Connection[asyncpg.Record]

REVISION: Final = "0001"  #: the last migration that this release knows
#: what nobody may work with; the rest is for those who look after the database
REFUSED: Final = frozenset({"role", "durability", "schema", "sealing"})
LOSSES: Final = frozenset({"durability"})
WARNED: Final = frozenset({"release"})
NO_SCHEMA: Final = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)


@frozen(kw_only=True)
class Fault:
    """One thing that is not as deskstore needs it."""

    kind: str  #: what it concerns: role, durability, release, schema, sealing, bypass, counting, privileges, drift
    what: str
    mend: str = ""  #: SQL, where one statement or two will do

    @property
    def is_warning(self) -> bool:
        """Whether everything works nevertheless."""
        return self.kind in WARNED

    @property
    def remedy(self) -> str:
        """What to do: where a role is the fault, another login was meant more often than another role."""
        if self.kind == "role" and self.mend:
            return f"{self.what}: let DATABASE_URL name a login that `deskstore db upgrade` made, or run {self.mend};"
        return str(self)

    def __str__(self) -> str:
        return f"{self.what}: {self.mend};" if self.mend else self.what


async def faults(driver: Driver, schema: str, role: str | None = None) -> list[Fault]:
    """Whatever the catalog says that it should not; of whoever is connected, unless another role is named."""
    found = await driver.fetch(_query("refusing", "checking"), schema, role, *_expected(schema))
    made = [Fault(kind=kind, what=what, mend=mend) for kind, what, mend in found]
    return sorted(made, key=lambda fault: fault.kind, reverse=True)  # what is dropped, last


async def revision(driver: Driver, schema: str) -> str | None:
    """The last migration that was run here; None when there was none."""
    try:
        found = await driver.fetch(_revision(schema))
    except NO_SCHEMA:
        return None
    return found[0][0] if found else None


def behind(found: str | None, schema: str) -> Fault | None:
    """What is wrong with a database that stands at a migration, if anything is."""
    if found == REVISION:
        return None
    if found is None:
        return Fault(kind="schema", what=f"the database has no deskstore schema {schema!r}: run `deskstore db upgrade` as its owner")
    if found < REVISION:
        what = f"the schema {schema!r} is at {found}, and this release needs {REVISION}: run `deskstore db upgrade` as its owner"
        return Fault(kind="schema", what=what)
    return Fault(kind="schema", what=f"a newer release made the schema {schema!r} ({found}; this one knows {REVISION}): use that release")


class Entrance:
    """
    Looks at a database when a storage first connects, in one trip.

    Args:
        schema: Where the tables are.
        may_lose_commits: Whether a server is accepted that may forget what it acknowledged.
    """

    def __init__(self, schema: str, *, may_lose_commits: bool = False) -> None:
        self._schema: Final = schema
        self._refused: Final = REFUSED - LOSSES if may_lose_commits else REFUSED
        versions = f"SELECT 'revision', v.version_num, '' FROM {_versions(schema)} v"  # noqa: S608 - names of ours
        self._text: Final = f"{_query('refusing')} UNION ALL {versions}"

    async def __call__(self, driver: Driver) -> None:
        """
        Come back when all is well.

        Raises:
            ConfigurationError: The role, the server or the schema is not fit to keep companies apart; says what to do.
        """
        found = await self._look(driver)
        late = behind(next((fault.what for fault in found if fault.kind == "revision"), None), self._schema)
        refusals = [late] if late else [fault for fault in found if fault.kind in self._refused]
        if refusals:
            more = f" (and {len(refusals) - 1} more: see `deskstore doctor`)" if len(refusals) > 1 else ""
            raise ConfigurationError(f"the database is not fit for deskstore: {refusals[0].remedy}{more}")
        for fault in found:
            if fault.is_warning:
                _warn(fault)

    async def _look(self, driver: Driver) -> list[Fault]:
        try:
            found = await driver.fetch(self._text, self._schema, None, *_expected(self._schema))
        except NO_SCHEMA:
            return []
        return [Fault(kind=kind, what=what, mend=mend) for kind, what, mend in found]


def _warn(fault: Fault) -> None:
    import logging  # hardly any server needs it

    logging.getLogger("deskstore").warning("%s", fault, extra={"operation": "open"})


def _query(*parts: str) -> str:
    return f"{text_of('sql', 'looking.sql')}{' UNION ALL '.join(text_of('sql', f'{part}.sql') for part in parts)}"


def _versions(schema: str) -> str:
    return f"{quoted(schema)}.{VERSION_TABLE}"


def _revision(schema: str) -> str:
    return f"SELECT v.version_num FROM {_versions(schema)} v"  # noqa: S608 - names of ours


@cache
def _expected(schema: str) -> tuple[Sequence[str], ...]:
    """The tables and the policies as columns, as the query takes them."""
    known = seals()
    policies = [(seal.table, policy) for seal in known for policy in seal.policies]
    return (
        [seal.table for seal in known],
        [seal.leads or "" for seal in known],
        [" ".join(seal.may) for seal in known],
        [table for table, _ in policies],
        [policy.name for _, policy in policies],
        [policy.kind for _, policy in policies],
        [policy.command for _, policy in policies],
        [KEPT[policy.sees] if policy.sees else "" for _, policy in policies],
        [KEPT[policy.leaves] if policy.leaves else "" for _, policy in policies],
        [policy.sql(schema, table) for table, policy in policies],
    )
