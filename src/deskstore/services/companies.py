"""Whose records are kept, and how many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from deskstore.domain.processing import PlatformStats

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage


async def list_companies(storage: Storage) -> Sequence[str]:
    """Every registered company, ascending."""
    return await storage.companies()


async def get_platform_stats(storage: Storage, company_id: str) -> Sequence[PlatformStats]:
    """How many tickets and articles of a company there are, a platform each, ascending by platform."""
    async with storage.unit_of_work(company_id) as uow:
        return await uow.progress.stats()


async def erase_company(storage: Storage, company_id: str) -> None:
    """Remove a company with all that is kept of it; it cannot be brought back."""
    await storage.erase(company_id)
