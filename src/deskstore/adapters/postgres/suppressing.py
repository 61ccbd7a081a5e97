"""The requesters whose tickets are kept out: read beside commits, and inside them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from deskstore.adapters.postgres.rows import suppression_of
from deskstore.domain.identifiers import Key
from deskstore.domain.suppressions import Suppression, SuppressionName, names_of

if TYPE_CHECKING:
    from deskstore.adapters.postgres.committing import Transaction
    from deskstore.adapters.postgres.reads import Reader
    from deskstore.domain.changes import Changes


class PostgresSuppressions:
    """The requesters of one company whose tickets are kept out, in PostgreSQL."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def secrets(self) -> Collection[bytes]:
        """The secrets under which they are hashed."""
        return [row[0] for row in await self._reader.rows("find_secrets")]

    async def find_many(self, names: Collection[SuppressionName]) -> Mapping[SuppressionName, Suppression]:
        """Those among these suppressions that exist."""
        found = (suppression_of(row) for row in await self._reader.rows("find_suppressions", *_columns(names)))
        return {one.name: one for one in found}


async def locked(transaction: Transaction, changes: Changes) -> dict[SuppressionName, Suppression]:
    """The suppressions that a unit changes, as they stand, locked until the end."""
    names = changes.suppression_names
    if not names:
        return {}
    found = (suppression_of(row) for row in await transaction.rows("lock_suppressions", *_columns(names)))
    return {one.name: one for one in found}


async def kept_out(transaction: Transaction, changes: Changes, secrets: Collection[bytes]) -> set[Key]:
    """Those of a unit's tickets whose requester is suppressed."""
    named = names_of((change.record for change in changes.records), secrets)
    if not named:
        return set()
    found = (suppression_of(row[1:]) for row in await transaction.rows("find_suppressions", 0, *_columns(named)))
    return {key for one in found for key in named[one.name]}


def _columns(names: Iterable[SuppressionName]) -> list[list[str]]:
    ordered = sorted(names)
    return [[name.platform for name in ordered], [name.digest for name in ordered]]
