"""
The tables of deskstore in PostgreSQL.

Every key begins with company_id. Names compare by code points (COLLATE "C") and times are microseconds since 1970 in UTC, so that order and
values are those of every other storage. Payloads are `json`, which keeps their bytes, as `jsonb` would not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import BYTEA, JSON, UUID
from sqlalchemy.types import TypeEngine

DEFAULT_SCHEMA: Final = "deskstore"
NAME: Final = Text(collation="C")
THING: Final = ("part", "kind", "platform", "id", "locale", "number")  #: the columns that name one separately versioned thing


def tables(schema: str = DEFAULT_SCHEMA) -> MetaData:
    """All tables with their keys and indexes; policies, triggers and functions are SQL of their own."""
    made = MetaData(schema=schema)
    Table("store", made, _column("id", NAME), PrimaryKeyConstraint("id"))
    _company_tables(made)
    _record_table(made, "ticket", "ticket_id")
    _record_table(made, "article", "article_id", "locale")
    _ticket_state(made)
    _summary(made)
    _sealed(made, "checkpoint", ("platform", "stream"), _column("cursor", Text()), _column("version", BigInteger()))
    _sealed(
        made,
        "suppression",
        ("platform", "digest"),
        _column("secret", BYTEA()),
        _column("created_us", BigInteger()),
        _column("tickets", BigInteger()),
        _column("summaries", BigInteger()),
        _column("version", BigInteger()),
    )
    # a debt is added and removed, never changed, so that who owes and who pays never wait for one another
    _sealed(made, "outbox", ("consumer", *THING, "version"), number=Integer(), version=BigInteger())
    _sealed(made, "tombstone", THING, _column("version", BigInteger()), number=Integer())
    _count_delta(made)
    return made


def sealed_tables(made: MetaData) -> Iterator[Table]:
    """The tables whose rows belong to one company each."""
    return (table for table in made.sorted_tables if "company_id" in table.columns)


def _company_tables(made: MetaData) -> None:
    _sealed(made, "company", ())
    _sealed(
        made,
        "company_state",
        (),
        _column("state", JSON()),  # all of it; what follows is what functions ask it for
        _column("primary_store", NAME),
        _column("is_home", Boolean()),  # whether that is this store
        _column("epoch", BigInteger()),
        _column("born", BigInteger()),  # the epoch in which the company came to be, after whatever was erased before
        _column("swapping_to", NAME, nullable=True),
        _column("erased", Boolean()),
        _column("floor", BigInteger()),  # the highest version that was ever deleted
    )
    # what is left of a company: nobody can tell from it who that was, and whoever knows the name finds out that it is gone
    Table(
        "erasure",
        made,
        _column("company_hash", BYTEA()),
        _column("epoch", BigInteger()),
        _column("erased_us", BigInteger()),
        _column("counts", JSON()),
        PrimaryKeyConstraint("company_hash", "epoch", name="erasure_pkey"),
    )


def _record_table(made: MetaData, name: str, *identity: str) -> None:
    order = [text("created_us DESC"), text("platform DESC"), *(text(f"{column} DESC") for column in identity)]
    table = _sealed(
        made,
        name,
        ("platform", *identity),
        _column("version", BigInteger()),
        _column("created_us", BigInteger()),  # the page's order: that of created_at, and behind all others without one
        _column("saved_us", BigInteger()),
        _column("subject", Text(), nullable=True),
        _column("status", NAME, nullable=True),
        _column("priority", Text(), nullable=True),
        _column("requester", Text(), nullable=True),
        _column("updated_us", BigInteger(), nullable=True),
        _column("source_field", Text(), nullable=True),
        _column("source_value", BigInteger(), nullable=True),
        _column("text_digest", BYTEA()),
        _column("sha256", BYTEA()),
        _column("payload", JSON()),
    )
    Index(f"{name}_page", table.c.company_id, *order)
    Index(f"{name}_by_status", table.c.company_id, table.c.status, *order)


def _ticket_state(made: MetaData) -> None:
    table = _sealed(
        made,
        "ticket_state",
        ("platform", "ticket_id"),
        _column("created_us", BigInteger()),  # the ticket's, so that a page of one status comes from one index
        _column("status", NAME),
        _column("attempts", Integer()),
        _column("error", Text(), nullable=True),
        _column("worker", Text(), nullable=True),
        _column("token", Text(), nullable=True),
        _column("lease_us", BigInteger(), nullable=True),
        _column("claim_digest", BYTEA(), nullable=True),
        _column("claimable_us", BigInteger(), nullable=True),
        _column("changed_us", BigInteger()),
        _column("version", BigInteger()),
    )
    table.dialect_options["postgresql"]["with"] = {"fillfactor": 80}
    order = (text("created_us DESC"), text("platform DESC"), text("ticket_id DESC"))
    Index("ticket_state_by_status", table.c.company_id, table.c.status, *order)
    queue = (table.c.company_id, table.c.platform, table.c.claimable_us, table.c.ticket_id)
    Index("ticket_state_claimable", *queue, postgresql_where=table.c.claimable_us.is_not(None))


def _summary(made: MetaData) -> None:
    _sealed(
        made,
        "summary",
        ("kind", "platform", "record_id", "locale", "number"),
        _column("content", JSON()),
        _column("model", Text(), nullable=True),
        _column("prompt_id", Text(), nullable=True),
        _column("parameters", JSON()),
        _column("tokens", BigInteger(), nullable=True),
        _column("cost", Double(), nullable=True),
        _column("source_digest", BYTEA()),
        _column("pinned", Boolean()),
        _column("created_us", BigInteger()),
        _column("version", BigInteger()),
        number=Integer(),
    )


def _count_delta(made: MetaData) -> None:
    """Counts as differences that statements append, so that no two writers ever share a row: so many went from one status to another."""
    _sealed(
        made,
        "count_delta",
        ("id",),
        _column("part", NAME),
        _column("platform", NAME),
        _column("was", NAME),  # empty: they came
        _column("status", NAME),  # empty: they went
        _column("n", BigInteger()),
        _column("changed_us", BigInteger()),
        id=UUID(),
    )


def _sealed(made: MetaData, name: str, key: tuple[str, ...], *columns: Column[Any], **types: TypeEngine[Any]) -> Table:
    # Any: columns of every type
    return Table(
        name,
        made,
        _column("company_id", NAME),
        *(_column(part, types.get(part, NAME)) for part in key),
        *columns,
        PrimaryKeyConstraint("company_id", *key, name=f"{name}_pkey"),
        CheckConstraint("company_id <> ''", name=f"{name}_names_a_company"),
    )


def _column(name: str, type_: TypeEngine[Any], *, nullable: bool = False) -> Column[Any]:
    # Any: columns of every type
    return Column(name, type_, nullable=nullable)
