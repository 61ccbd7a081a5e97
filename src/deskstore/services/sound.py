"""Records read one after another, past those that are damaged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from deskstore.domain.errors import CorruptRecord
from deskstore.domain.identifiers import TICKET, Key, Kind
from deskstore.domain.paging import EVERYTHING, Filter
from deskstore.domain.records import Article, Ticket

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage, UnitOfWork


async def sound_records(
    storage: Storage, company_id: str, kind: Kind, where: Filter = EVERYTHING, *, damaged: list[CorruptRecord]
) -> AsyncIterator[Ticket | Article]:
    """All records that can be trusted, ascending by key; those that cannot are added to the list, and passed over."""
    after: Key | None = None
    async with storage.unit_of_work(company_id) as uow:
        while True:
            try:
                async for record in _stream(uow, kind, where, after):
                    yield record
                return
            except CorruptRecord as error:
                damaged.append(error)
                if error.key is None:  # it stands behind all others, since its place is unknown
                    return
                after = error.key


def _stream(uow: UnitOfWork, kind: Kind, where: Filter, after: Key | None) -> AsyncIterator[Ticket | Article]:
    return uow.tickets.stream(where, after=after) if kind == TICKET else uow.articles.stream(where, after=after)
