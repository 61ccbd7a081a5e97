"""A database with deskstore's tables and functions, sealed for an application role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import asyncpg
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from deskstore.adapters.postgres.routines import quoted, statements
from deskstore.adapters.postgres.schema import DEFAULT_SCHEMA, sealed_tables, tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.databases import Database

COMPANY: Final = "(SELECT nullif(current_setting('app.current_company_id', true), ''))"


async def prepare(database: Database, schema: str = DEFAULT_SCHEMA) -> None:
    """Make the schema as the database's owner, and let the application role use it."""
    owner = await asyncpg.connect(database.owner_url)
    try:
        async with owner.transaction():
            for statement in _all(schema, database.app_role):
                await owner.execute(statement)
    finally:
        await owner.close()


def _all(schema: str, role: str) -> Iterator[str]:
    yield f"CREATE SCHEMA {quoted(schema)}"
    yield f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(role)}"
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy types its results only
    for table in tables(schema).sorted_tables:
        yield str(CreateTable(table).compile(dialect=dialect))
        yield from (str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes)
    yield from statements(schema)
    yield from _sealing(schema, role)
    yield f"INSERT INTO {quoted(schema)}.store VALUES ('postgres-' || gen_random_uuid())"  # noqa: S608 - a name of ours


def _sealing(schema: str, role: str) -> Iterator[str]:
    owns = f"company_id = {COMPANY}"
    for table in sealed_tables(tables(schema)):
        name = f"{quoted(schema)}.{table.name}"
        sees = "true" if table.name == "company" else owns
        yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {quoted(role)}"
        yield f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
        yield f"CREATE POLICY own ON {name} USING ({sees}) WITH CHECK ({owns})"
        yield f"CREATE POLICY strict ON {name} AS RESTRICTIVE TO {quoted(role)} USING ({sees}) WITH CHECK ({owns})"
    name, owns = f"{quoted(schema)}.erasure", f"company_hash = sha256(convert_to({COMPANY}, 'UTF8'))"
    yield f"GRANT SELECT, INSERT ON {name} TO {quoted(role)}"
    yield f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
    yield f"CREATE POLICY own ON {name} USING ({owns}) WITH CHECK ({owns})"
    yield f"GRANT SELECT ON {quoted(schema)}.store TO {quoted(role)}"
