"""Whose records are kept and how many, and what stays of those that were erased."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from attrs import frozen

from deskstore.domain import identifiers

if TYPE_CHECKING:
    from deskstore.domain.erasures import Erasure
    from deskstore.domain.ports import Storage
    from deskstore.domain.processing import PlatformStats
    from deskstore.domain.things import CompanyState

ELSEWHERE: Final = (
    "backups and copies of the directory or the database that were made before",
    "files that were exported or imported, and their rejects files",
    "log files, and whatever the application itself keeps",
)  #: what no storage can reach


@frozen(kw_only=True)
class Receipt:
    """What was removed of a company, and what may hold some of it elsewhere."""

    company_id: str
    erasure: Erasure
    not_reached: tuple[str, ...]


async def list_companies(storage: Storage) -> Sequence[str]:
    """Every registered company, ascending."""
    return await storage.companies()


async def get_platform_stats(storage: Storage, company_id: str) -> Sequence[PlatformStats]:
    """How many tickets and articles of a company there are, a platform each, ascending by platform."""
    async with storage.unit_of_work(company_id) as uow:
        return await uow.progress.stats()


async def erase_company(storage: Storage, company_id: str) -> Receipt | None:
    """
    Remove a company with all that is kept of it; it cannot be brought back.

    Done again it gives the receipt of the last time; None for a company that never was.
    """
    named = identifiers.company_id(company_id)
    state = await storage.replica(named).state()
    erasure = await storage.erase(named) or await _last(storage, named)
    return None if erasure is None else Receipt(company_id=named, erasure=erasure, not_reached=(*_other_sides(state), *ELSEWHERE))


async def list_erasures(storage: Storage) -> Sequence[Erasure]:
    """What stays of all companies that were erased, ascending by time; each has the hash of its name alone."""
    return await storage.erasures()


async def _last(storage: Storage, company_id: str) -> Erasure | None:
    from deskstore.domain.erasures import company_hash  # only where there is no company of that name

    hashed = company_hash(company_id)
    return max((one for one in await storage.erasures() if one.company_hash == hashed), key=lambda one: one.epoch, default=None)


def _other_sides(state: CompanyState | None) -> tuple[str, ...]:
    """The stores beside this one that may hold the company."""
    if state is None:
        return ()
    stores = sorted({state.primary, *filter(None, (state.mirror, state.swapping_to))})
    return tuple(f"the company's other side, store {store}, unless it was erased there too" for store in stores if len(stores) > 1)
