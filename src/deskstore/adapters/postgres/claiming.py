"""Handing out tickets to workers, none of whom waits for another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from deskstore.adapters.postgres.committing import Transactions
from deskstore.adapters.postgres.rows import company_of, state_of
from deskstore.adapters.postgres.writing import audience, calls, slices
from deskstore.domain import claims, times
from deskstore.domain.mirror import copy_of
from deskstore.domain.processing import Processing


async def claim(transactions: Transactions, company_id: str, wanted: claims.Request, clock: Callable[[], datetime]) -> Sequence[Processing]:
    """Take up to n tickets for a worker, smallest claimable_at first; commits by itself."""
    now = clock()
    async with transactions.begin(company_id, known=0, purpose="write", now=now) as transaction:
        found = await transaction.rows("lock_claimable", wanted.platform, wanted.n, times.microseconds(now))
        if not found:
            return []
        store_id, floor, state = found[0][:3]
        transactions.check_store(company_id, store_id)
        standing = [(state_of((wanted.platform, row[3], *row[5:])), row[4]) for row in found]
        taken = claims.take(standing, wanted, floor=floor, now=now)
        copies = [copy_of(processing) for processing in taken]
        told = audience(company_of(state), store_id)
        for together in slices(calls(copies, existing={copy.thing for copy in copies}, floor=floor, audience=told)):
            await transaction.call(together)
        await transaction.commit()
    return taken
