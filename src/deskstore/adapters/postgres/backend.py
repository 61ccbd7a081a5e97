"""One company in PostgreSQL: reads in one trip each, and commits in four."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from deskstore.adapters.postgres import suppressing
from deskstore.adapters.postgres.committing import Locked, Purpose, Transactions
from deskstore.adapters.postgres.reads import PostgresArticles, PostgresProgress, PostgresSummaries, PostgresTickets
from deskstore.adapters.postgres.rows import Found
from deskstore.adapters.postgres.suppressing import PostgresSuppressions
from deskstore.adapters.postgres.writing import MOST_BYTES
from deskstore.domain.changes import Changes, Committed
from deskstore.domain.commits import Decision, decide_in_parts
from deskstore.domain.mirror import Copy, Thing, thing_of
from deskstore.domain.ports import BeforeCommit


class PostgresBackend:
    """One company in PostgreSQL."""

    def __init__(self, transactions: Transactions, clock: Callable[[], datetime], company_id: str, *, reads_copies: bool) -> None:
        self.company_id: Final = company_id
        self._transactions: Final = transactions
        self._clock: Final = clock
        self._reads_copies: Final = reads_copies
        self._epoch = 0  #: in which the company was seen; 0 = not yet
        self.tickets: Final = PostgresTickets(self)
        self.articles: Final = PostgresArticles(self)
        self.summaries: Final = PostgresSummaries(self)
        self.progress: Final = PostgresProgress(self)
        self.suppressions: Final = PostgresSuppressions(self)

    async def apply(self, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        """Check every guard and keep all changes, or raise and keep none."""
        return await self._transactions.pool.persistently(lambda: self._apply(changes, before_commit))

    async def rows(self, function: str, *values: object) -> Found:
        """The rows a function of the database gives that reads this company."""
        known = self._epoch if self._reads_copies else -1 - self._epoch  # as the function `enter` wants to be told
        found = await self._transactions.read(self.company_id, function, known, *values)
        if found:
            self._epoch = found[0][0]
        return [row[1:] for row in found]

    async def _apply(self, changes: Changes, before_commit: BeforeCommit | None) -> Committed:
        now = self._clock()
        streams = [(change.checkpoint.platform, change.checkpoint.stream) for change in changes.checkpoints]
        requesters = suppressing.requesters(changes)
        # whoever suppresses a requester waits for commits that are under way, and those that come after see it
        purpose: Purpose = "write alone" if changes.suppresses else "write"
        async with self._transactions.begin(self.company_id, known=self._epoch, purpose=purpose, now=now) as transaction:
            locked = await transaction.lock(changes.keys, streams, requesters)
            self._transactions.check_store(self.company_id, locked.store_id)
            suppressions = await suppressing.locked(transaction, changes)
            decisions = decide_in_parts(
                changes,
                locked.standing,
                size_bytes=MOST_BYTES,
                checkpoints=locked.checkpoints,
                floor=locked.floor,
                now=now,
                suppressions=suppressions,
                kept_out={key for one in locked.kept_out for key in requesters[one]},
            )
            committed: list[Committed] = []
            existing = _existing(locked) | {thing_of(one) for one in suppressions.values()}
            epoch = await transaction.write(locked, _copies(decisions, committed), existing)
            if before_commit is not None:
                await before_commit(changes)
            await transaction.commit()
        self._epoch = epoch or self._epoch
        return _together(committed)


def _copies(decisions: Iterable[Decision], committed: list[Committed]) -> Iterator[Sequence[Copy]]:
    """What each decision has written, and beside it what it commits."""
    for decision in decisions:
        committed.append(decision.committed)
        yield decision.copies


def _together(parts: Sequence[Committed]) -> Committed:
    if len(parts) == 1:
        return parts[0]
    return Committed(
        versions={key: version for part in parts for key, version in part.versions.items()},
        processing={key: one for part in parts for key, one in part.processing.items()},
    )


def _existing(locked: Locked) -> set[Thing]:
    """The names of what a commit found; a summary is always new."""
    found = {Thing(key.kind, *key) for key in locked.standing}
    found |= {Thing("processing", *key) for key, stood in locked.standing.items() if stood.processing is not None}
    return found | {Thing("checkpoint", "", *name) for name in locked.checkpoints}
