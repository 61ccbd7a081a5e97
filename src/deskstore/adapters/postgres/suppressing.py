"""The requesters whose tickets are kept out: read beside commits, and locked inside them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from deskstore.adapters.postgres.rows import suppression_of
from deskstore.domain.identifiers import Key
from deskstore.domain.records import Ticket
from deskstore.domain.suppressions import Suppression, SuppressionName

if TYPE_CHECKING:
    from deskstore.adapters.postgres.committing import Requester, Transaction
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


def requesters(changes: Changes) -> dict[Requester, list[Key]]:
    """Whose tickets a unit saves, and which of them."""
    found: dict[Requester, list[Key]] = {}
    for record in (change.record for change in changes.records):
        if isinstance(record, Ticket) and record.fields.requester is not None:
            found.setdefault((record.platform, record.fields.requester), []).append(record.key)
    return found


def _columns(names: Iterable[SuppressionName]) -> list[list[str]]:
    ordered = sorted(names)
    return [[name.platform for name in ordered], [name.digest for name in ordered]]
