"""The whole schema as SQL, as this release wants it: what a migration freezes, and what every database is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.schema import CreateIndex, CreateTable

from deskstore.adapters.postgres import routines, sealing
from deskstore.adapters.postgres.routines import quoted
from deskstore.adapters.postgres.schema import tables
from deskstore.adapters.postgres.scripts import filled

_DIALECT: Final = PGDialect()  # type: ignore[no-untyped-call]  # SQLAlchemy types its results only


def statements(schema: str) -> Iterator[str]:
    """What makes everything in a schema that is there and empty, this store's id included."""
    for table in tables(schema).sorted_tables:
        yield str(CreateTable(table).compile(dialect=_DIALECT)).strip()
        yield from (str(CreateIndex(index).compile(dialect=_DIALECT)) for index in sorted(table.indexes, key=lambda one: str(one.name)))
    yield from filled("compressing", {"schema": quoted(schema), "literal": quoted(schema).replace("'", "''")})
    yield from routines.statements(schema)
    yield from sealing.statements(schema)
    yield f"INSERT INTO {quoted(schema)}.store (id) VALUES ('postgres-' || gen_random_uuid())"  # noqa: S608 - a name of ours
