"""Records removed with all that belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deskstore.domain.errors import ArticleNotFound, TicketNotFound
from deskstore.domain.identifiers import ARTICLE, TICKET, Key
from deskstore.services.attempts import until_saved

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage

_NOT_FOUND: Final = {TICKET: TicketNotFound, ARTICLE: ArticleNotFound}


async def delete_record(storage: Storage, company_id: str, key: Key) -> None:
    """Remove a record with its processing, claim and summaries; raises TicketNotFound or ArticleNotFound when there is none."""
    from deskstore.services.receiving import version_of  # who only reads starts without it

    async def attempt() -> None:
        async with storage.unit_of_work(company_id) as uow:
            version = await version_of(uow, key)
            if not version:
                raise _NOT_FOUND[key.kind](key)
            records = uow.tickets if key.kind == TICKET else uow.articles
            records.delete(key, version=version)
            await uow.commit()

    await until_saved(attempt)
