"""One company in memory as a unit of work stands on it: its reads, and the one place where changes are decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deskstore.adapters.memory.company import Company
from deskstore.adapters.memory.reads import MemoryArticles, MemoryProgress, MemorySummaries, MemorySuppressions, MemoryTickets
from deskstore.domain.changes import Changes, Committed
from deskstore.domain.commits import decide
from deskstore.domain.errors import CompanyErased
from deskstore.domain.identifiers import ARTICLE, TICKET
from deskstore.domain.mirror import CompanyState, Thing
from deskstore.domain.ports import BeforeCommit
from deskstore.domain.records import Article, Ticket
from deskstore.domain.things import check_home

if TYPE_CHECKING:
    from deskstore.adapters.memory.storage import MemoryStorage


class MemoryBackend:
    """One company in memory."""

    def __init__(self, storage: MemoryStorage, company_id: str) -> None:
        self._storage = storage
        self._epoch = 0
        self.company_id: Final = company_id
        self.tickets: Final = MemoryTickets(self, TICKET, Ticket)
        self.articles: Final = MemoryArticles(self, ARTICLE, Article)
        self.summaries: Final = MemorySummaries(self)
        self.progress: Final = MemoryProgress(self)
        self.suppressions: Final = MemorySuppressions(self)

    @property
    def company(self) -> Company:
        """
        The company's records, or none at all before its first commit.

        Raises:
            CompanyErased: What was seen before is gone.
            CompanyMoved: It lives in another store.
        """
        if 0 < self._epoch <= self._storage.erased_epoch(self.company_id):
            raise CompanyErased(self.company_id)
        found = self._storage.known(self.company_id)
        self._epoch = found.state.epoch if found else self._epoch
        if found is not None and not self._storage.reads_copies:
            check_home(self.company_id, found.state, self._storage.store_id)
        return found or Company(state=CompanyState(primary=self._storage.store_id))

    async def apply(self, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        """Check every guard and keep all changes, or raise and keep none."""
        async with self._storage.lock:
            company, now = self.company, self._storage.clock()
            self._storage.writable(self.company_id, company)
            standing = {key: company.standing(key) for key in changes.keys}
            decision = decide(
                changes,
                standing,
                checkpoints=_checkpoints(company, changes),
                floor=company.floor,
                now=now,
                suppressions=company.suppressed(changes.suppression_names),
                kept_out=company.kept_out(change.record for change in changes.records),
            )
            if before_commit is not None:
                await before_commit(changes)
            if decision.copies:
                self._storage.keep(self._storage.registered(self.company_id), decision.copies, now)
            return decision.committed


def _checkpoints(company: Company, changes: Changes) -> dict[tuple[str, str], int]:
    named = ((change.checkpoint.platform, change.checkpoint.stream) for change in changes.checkpoints)
    found = ((name, company.values.get(Thing("checkpoint", "", *name))) for name in named)
    return {name: value.version for name, value in found if value is not None}
