"""Pages of tickets as dicts, by offset and as long as they are asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from deskstore.domain.paging import LARGEST_PAGE, Filter, checked_offset
from deskstore.facade import dicts

if TYPE_CHECKING:
    from deskstore.domain.payloads import Parsed
    from deskstore.domain.ports import UnitOfWork


def tickets_of(platform: str | None, status: str | int | None) -> Filter:
    """The tickets of a platform, or of all, that have a status: the helpdesk's own text, or the name by which people know it."""
    if status is None or status == "":
        return Filter(platform=platform)
    from deskstore.formats import platforms  # for the names of their statuses

    text = str(status)
    labels = ((name, platforms.standard_labels(name).get(text.lower())) for name in ([platform] if platform else platforms.PLATFORMS))
    return Filter(platform=platform, status=text, status_aliases=tuple((name, own) for name, own in labels if own))


async def page(uow: UnitOfWork, where: Filter, *, offset: int, limit: int) -> list[Parsed]:
    """At most limit tickets behind the first offset ones; raises InvalidRecord for an offset below 0."""
    skipped = checked_offset(min(offset, sys.maxsize))
    return await _read(uow, where, skipped, limit) if limit else []


async def _read(uow: UnitOfWork, where: Filter, offset: int, limit: int) -> list[Parsed]:
    page = await uow.tickets.page_at(where, offset=offset, limit=min(limit, LARGEST_PAGE))
    found = await dicts.as_dicts(uow, page.items)
    while page.next and len(found) < limit:
        page = await uow.tickets.page(where, after=page.next, limit=min(limit - len(found), LARGEST_PAGE))
        found += await dicts.as_dicts(uow, page.items)
    return found
