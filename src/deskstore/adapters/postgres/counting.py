"""Folding counts: each commit appends differences, and now and then many of them become one."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Final

from deskstore.adapters.postgres.calls import Calls
from deskstore.adapters.postgres.pool import Pool
from deskstore.domain.errors import StorageError

logger: Final = logging.getLogger("deskstore")
_COMPANIES: Final = 10_000  #: whose commits are counted at once
COMMITS: Final = 250  #: of one company in this process, after which its counts are folded


class Folding:
    """Folds the counts of companies in the background; what goes wrong is logged, since sums stay right without it."""

    def __init__(self, pool: Pool, statements: Calls) -> None:
        self._pool: Final = pool
        self._text: Final = statements.reading("fold_counts", 1)
        self._commits: Counter[str] = Counter()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    def note_commit(self, company_id: str) -> None:
        """Count a commit, and fold after many."""
        if len(self._commits) > _COMPANIES:
            self._commits.clear()  # so many companies that hardly one of them has much to fold; whoever reads its counts sees to it
        self._commits[company_id] += 1
        if self._commits[company_id] >= COMMITS:
            self.begin(company_id)

    def begin(self, company_id: str) -> None:
        """Fold a company's counts soon, unless that is under way; does not wait."""
        self._commits.pop(company_id, None)
        if company_id not in self._under_way and not self._closed:
            folding = asyncio.ensure_future(self._fold(company_id))
            self._under_way[company_id] = folding
            folding.add_done_callback(lambda _: self._under_way.pop(company_id, None))

    async def aclose(self) -> None:
        """Wait for what is under way, and begin nothing more."""
        self._closed = True
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _fold(self, company_id: str) -> None:
        try:
            async with self._pool.session(company_id) as session:
                await session.rows(self._text, company_id)
        except StorageError as error:
            logger.warning("counts not folded yet: %s", error, extra={"company_id": company_id, "operation": "fold_counts"})
