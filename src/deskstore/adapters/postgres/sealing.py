"""
Who sees which rows: the policies of every table, and what the application may do with it.

A policy compares with a setting that is local to one transaction. It stops whatever forgets to name its company; it stops nobody who can
send SQL of his own, since any session may set that setting.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from attrs import frozen

from deskstore.adapters.postgres.routines import quoted
from deskstore.adapters.postgres.schema import DEFAULT_SCHEMA, tables

VERSION_TABLE: Final = "schema_version"
ALL: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
#: '' is what the setting reads as where it was local to a transaction that is over; in a subquery of its own it is read once a statement
_BOUND: Final = "(SELECT nullif(current_setting('app.current_company_id', true), ''))"
_OWN: Final = f"company_id = {_BOUND}"
_OWN_HASH: Final = f"company_hash = sha256(convert_to({_BOUND}, 'UTF8'))"
_EVERY: Final = "true"
_BOUND_KEPT: Final = """( SELECT NULLIF(current_setting('app.current_company_id'::text, true), ''::text) AS "nullif")"""
#: how the server gives a condition back, the same from PostgreSQL 15 to 18
KEPT: Final = {
    _OWN: f"(company_id = {_BOUND_KEPT})",
    _OWN_HASH: f"(company_hash = sha256(convert_to({_BOUND_KEPT}, 'UTF8'::name)))",
    _EVERY: "true",
}


@frozen(kw_only=True)
class Policy:
    """One condition on the rows that a statement may see or leave behind."""

    name: str
    kind: Literal["PERMISSIVE", "RESTRICTIVE"]
    command: Literal["ALL", "SELECT", "INSERT", "UPDATE", "DELETE"]
    sees: str | None = None
    leaves: str | None = None

    def sql(self, schema: str, table: str) -> str:
        """What makes it."""
        using = f" USING ({self.sees})" if self.sees else ""
        check = f" WITH CHECK ({self.leaves})" if self.leaves else ""
        return f"CREATE POLICY {self.name} ON {quoted(schema)}.{table} AS {self.kind} FOR {self.command} TO PUBLIC{using}{check}"


@frozen(kw_only=True)
class Seal:
    """What holds of one table."""

    table: str
    leads: str | None = "company_id"  #: the column that every key begins with; None: the table holds nothing of companies
    policies: tuple[Policy, ...] = ()
    may: tuple[str, ...] = ALL  #: what the application does with it


def seals() -> list[Seal]:
    """What holds of each table, the one that counts migrations among them."""
    names = [*(table.name for table in tables(DEFAULT_SCHEMA).sorted_tables), VERSION_TABLE]
    return [_EXCEPTIONS.get(name) or Seal(table=name, policies=_both(_OWN)) for name in names]


def statements(schema: str) -> Iterator[str]:
    """What seals every table that holds something of companies."""
    for seal in seals():
        if seal.leads:
            yield f"ALTER TABLE {quoted(schema)}.{seal.table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
        yield from (policy.sql(schema, seal.table) for policy in seal.policies)


def _both(condition: str) -> tuple[Policy, ...]:
    """A policy and its twin: whatever further policy anybody adds, the twin has to agree."""
    return (
        Policy(name="own", kind="PERMISSIVE", command="ALL", sees=condition, leaves=condition),
        Policy(name="own_only", kind="RESTRICTIVE", command="ALL", sees=condition, leaves=condition),
    )


def _read_by_all(condition: str) -> tuple[Policy, ...]:
    """Policies under which everybody sees every row, and leaves none but its own."""
    return (
        Policy(name="own", kind="PERMISSIVE", command="ALL", sees=condition, leaves=condition),
        Policy(name="every", kind="PERMISSIVE", command="SELECT", sees=_EVERY),
        Policy(name="own_only_inserted", kind="RESTRICTIVE", command="INSERT", leaves=condition),
        Policy(name="own_only_updated", kind="RESTRICTIVE", command="UPDATE", sees=condition, leaves=condition),
        Policy(name="own_only_deleted", kind="RESTRICTIVE", command="DELETE", sees=condition),
    )


_EXCEPTIONS: Final = {
    seal.table: seal
    for seal in (
        # everybody may know which companies there are, and what lines stay of others: those are the reads that belong to no company
        Seal(table="company", policies=_read_by_all(_OWN), may=("SELECT", "INSERT", "DELETE")),
        Seal(table="erasure", leads="company_hash", policies=_read_by_all(_OWN_HASH), may=("SELECT", "INSERT")),
        Seal(table="store", leads=None, may=("SELECT",)),
        Seal(table=VERSION_TABLE, leads=None, may=("SELECT",)),
    )
}
