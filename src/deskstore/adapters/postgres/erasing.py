"""Erasing a company: refuse everybody, delete in batches of a transaction each, forget it; whoever erases it again goes on from there."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from deskstore.adapters.postgres.calls import Call
from deskstore.adapters.postgres.committing import Transactions
from deskstore.adapters.postgres.rows import Columns
from deskstore.domain import times
from deskstore.domain.erasures import Erasure, Removed

logger: Final = logging.getLogger("deskstore")
BATCH: Final = 2_000  #: rows deleted at once


async def erase(transactions: Transactions, company_id: str, clock: Callable[[], datetime]) -> Erasure | None:
    """Delete a company with all that is kept of it but one line, and give that; None for an unknown one."""
    if not await transactions.pool.persistently(lambda: _forbid(transactions, company_id, clock())):
        return None
    while await transactions.pool.persistently(lambda: _erase_some(transactions, company_id, clock())):
        pass
    logger.info("company erased", extra={"company_id": company_id, "operation": "erase"})
    (line,) = await transactions.read(company_id, "last_erasure")
    return erasure_of(line)


def erasure_of(row: Columns) -> Erasure:
    """The line that stays of a company."""
    hashed, epoch, erased_us, counts = row
    removed = Removed(**json.loads(counts))
    return Erasure(company_hash=hashed.hex(), epoch=epoch, erased_at=times.moment(erased_us), removed=removed)


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
