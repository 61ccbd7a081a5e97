"""The memory storage: the companies, and who may change them."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from deskstore.adapters.memory.backend import MemoryBackend
from deskstore.adapters.memory.company import Company
from deskstore.adapters.memory.replica import MemoryReplica
from deskstore.domain import claims, identifiers, times
from deskstore.domain.erasures import Erasure, company_hash
from deskstore.domain.errors import CompanyMoved, StorageUnavailable
from deskstore.domain.mirror import CompanyState, Copy, copy_of
from deskstore.domain.ports import Health
from deskstore.domain.processing import Processing
from deskstore.domain.unit import BufferedUnit

logger: Final = logging.getLogger("deskstore")


class MemoryStorage:
    """
    Every company's records in the memory of this process; gone with it.

    Args:
        clock: Gives the present moment, aware and UTC.
        reads_copies: Whether a company is read here that lives in another store; for who knows how old that may be, as the hybrid storage.
    """

    def __init__(self, clock: Callable[[], datetime] = times.now, *, reads_copies: bool = False) -> None:
        self.clock: Final = clock
        self.reads_copies: Final = reads_copies
        self.store_id: Final = f"memory-{uuid.uuid4()}"
        self._companies: dict[str, Company] = {}
        self._erased: dict[str, int] = {}  #: in which epoch companies were erased last
        self._erasures: list[Erasure] = []
        self._closed = False
        self.lock: Final = asyncio.Lock()  #: held while a commit decides and writes

    def unit_of_work(self, company_id: str) -> BufferedUnit:
        """A unit of work of one company."""
        return BufferedUnit(self.backend(company_id))

    def backend(self, company_id: str) -> MemoryBackend:
        """What the company's units of work stand on."""
        return MemoryBackend(self, identifiers.company_id(company_id))

    def replica(self, company_id: str) -> MemoryReplica:
        """The company as raw copies."""
        return MemoryReplica(self, identifiers.company_id(company_id))

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        """Take up to n tickets for a worker, smallest claimable_at first."""
        named = identifiers.company_id(company_id)
        wanted = claims.request(platform, n, worker, lease)
        claims.log(named, wanted)
        async with self.lock:
            now = self.clock()
            company = self.known(named)
            if company is None:
                return []
            self.writable(named, company)
            free = [one for one in company.processing_on(wanted.platform) if claims.is_claimable(one, now)]
            free.sort(key=lambda one: (times.microseconds(one.claimable_at), one.key))
            found = ((one, company.standing(one.key).text_digest) for one in free[: wanted.n])
            taken = claims.take(found, wanted, floor=company.floor, now=now)
            self.keep(company, [copy_of(one) for one in taken], now)
            return taken

    async def companies(self) -> Sequence[str]:
        """Every registered company, ascending."""
        self._open()
        return sorted(self._companies)

    async def erase(self, company_id: str) -> Erasure | None:
        """Remove a company with all that is kept of it but one line."""
        async with self.lock:
            company = self.known(identifiers.company_id(company_id))
            if company is None:
                return None
            epoch = self._erased[company_id] = self._companies.pop(company_id).state.epoch + 1
            named = company_hash(company_id)
            erasure = Erasure(company_hash=named, epoch=epoch, erased_at=self.clock(), removed=company.amount())
            self._erasures.append(erasure)
            logger.info("company erased", extra={"company_id": company_id, "operation": "erase"})
            return erasure

    async def erasures(self) -> Sequence[Erasure]:
        """What stays of all companies that were erased here, ascending by time."""
        self._open()
        return sorted(self._erasures, key=lambda one: one.erased_at)

    async def health(self) -> Health:
        """How the storage is doing."""
        return Health(adapter="memory", place="this process", companies=len(await self.companies()))

    async def aclose(self) -> None:
        """Let go of everything."""
        self._closed = True
        self._companies.clear()

    def known(self, company_id: str) -> Company | None:
        """The company, or None before its first commit."""
        self._open()
        return self._companies.get(company_id)

    def registered(self, company_id: str) -> Company:
        """The company, made if need be."""
        self._open()
        if company_id not in self._companies:
            epoch = self.erased_epoch(company_id) + 1
            self._companies[company_id] = Company(state=CompanyState(primary=self.store_id, epoch=epoch))
        return self._companies[company_id]

    def writable(self, company_id: str, company: Company) -> None:
        """Raise CompanyMoved when another store takes the company's writes, or is about to."""
        state = company.state
        if state.primary != self.store_id or state.swapping_to is not None:
            raise CompanyMoved(company_id, primary=state.primary, epoch=state.epoch, swapping_to=state.swapping_to)

    def erased_epoch(self, company_id: str) -> int:
        """The epoch in which a company of that name was erased last; 0 = never."""
        return self._erased.get(company_id, 0)

    def keep(self, company: Company, copies: Sequence[Copy], now: datetime) -> None:
        """Keep copies of this store's own making, and owe them to whoever has to be told."""
        company.keep(copies, now)
        company.owe(company.state.owed_by(self.store_id), copies)

    def _open(self) -> None:
        if self._closed:
            raise StorageUnavailable("this storage is closed: open another one with open_storage()")
