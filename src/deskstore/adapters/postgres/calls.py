"""Statements that call the database's functions, for one schema; made once each, so that the driver finds them prepared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from deskstore.adapters.postgres.routines import quoted

#: which transaction this is, and how far the server's log reached when it had written: see Transactions._was_committed
TRACE: Final = "pg_current_xact_id() || ' ' || pg_current_wal_insert_lsn()"


@frozen
class Call:
    """One function with what it is given besides the company."""

    function: str
    values: tuple[object, ...]
    size_bytes: int = 0  #: of the payloads among them


class Calls:
    """The functions of one schema."""

    def __init__(self, schema: str) -> None:
        self.schema: Final = quoted(schema)
        self._known: dict[tuple[str, int], str] = {}

    def reading(self, function: str, count: int) -> str:
        """The rows of a function of so many values."""
        known = self._known.get((function, count))
        if known is None:
            known = self._known[function, count] = f"SELECT * FROM {self.schema}.{function}({_numbered(1, count)})"  # noqa: S608 - names only
        return known

    def writing(self, company_id: str, calls: Sequence[Call]) -> tuple[str, list[object]]:
        """Several functions in one trip, in order, each given the company first; then the transaction's trace."""
        values: list[object] = [company_id]
        texts: list[str] = []
        for call in calls:
            texts.append(f"{self.schema}.{call.function}($1, {_numbered(len(values) + 1, len(call.values))})".replace(", )", ")"))
            values.extend(call.values)
        return f"SELECT {', '.join([*texts, TRACE])}", values

    def begin(self, company_id: str, *values: int | str) -> str:
        """Begin a transaction of a company, in the one trip that takes no values: the company travels as hex, the rest are ours."""
        given = ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for value in values)
        return f"BEGIN; SELECT {self.schema}.bind('{company_id.encode().hex()}', {given})"


def _numbered(first: int, count: int) -> str:
    return ", ".join(f"${number}" for number in range(first, first + count))
