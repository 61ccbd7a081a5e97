"""Why nothing was found: mostly because a name was misspelt, so the names that there are are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage


async def why_nothing(storage: Storage, company_id: str, platform: str | None = None) -> str | None:
    """What to say of a company of which nothing is kept, or nothing from that platform; None where something is."""
    from deskstore.services.companies import get_platform_stats

    if company_id not in await storage.companies():
        return f"company {company_id!r} does not exist: see which do with `deskstore company list`"
    known = [one.platform for one in await get_platform_stats(storage, company_id)]
    if platform is None or platform in known:
        return None
    there_are = f"choose one of: {', '.join(known)}" if known else "it has no records"
    return f"nothing of company {company_id!r} came from {platform!r}: {there_are}"
