"""Erasing a company: refuse everybody, delete in batches of a transaction each, forget it; whoever erases it again goes on from there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from deskstore.adapters.postgres.calls import Call
from deskstore.adapters.postgres.committing import Transactions
from deskstore.domain import times

logger: Final = logging.getLogger("deskstore")
BATCH: Final = 2_000  #: rows deleted at once


async def erase(transactions: Transactions, company_id: str, clock: Callable[[], datetime]) -> None:
    """Delete a company with all that is kept of it; an unknown one is nothing to delete."""
    if not await transactions.pool.persistently(lambda: _forbid(transactions, company_id, clock())):
        return
    while await transactions.pool.persistently(lambda: _erase_some(transactions, company_id, clock())):
        pass
    logger.info("company erased", extra={"company_id": company_id, "operation": "erase"})


async def _forbid(transactions: Transactions, company_id: str, now: datetime) -> bool:
    async with transactions.begin(company_id, known=0, purpose="alone", now=now) as transaction:
        if not await transaction.rows("find_state"):
            return False
        await transaction.call([Call("forbid", (times.microseconds(now),))])
        await transaction.commit()
    return True


async def _erase_some(transactions: Transactions, company_id: str, now: datetime) -> bool:
    async with transactions.begin(company_id, known=0, purpose="alone", now=now) as transaction:
        was_more, _ = await transaction.call([Call("erase_some", (BATCH,))])
        await transaction.commit()
    return bool(was_more)
