"""Handing out tickets to workers, none of whom waits for another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Final

from deskstore.adapters.postgres.committing import Transaction, Transactions
from deskstore.adapters.postgres.rows import Found, company_of
from deskstore.adapters.postgres.writing import Audience, audience, slices, told
from deskstore.domain import claims, times
from deskstore.domain.identifiers import TICKET, Key
from deskstore.domain.mirror import copy_of
from deskstore.domain.processing import CLOCK_SKEW, PROCESSING, Claim, Processing

_TICKET: Final = 5  #: columns of claim that tell of a ticket; those behind tell of the company


async def claim(transactions: Transactions, company_id: str, wanted: claims.Request, clock: Callable[[], datetime]) -> Sequence[Processing]:
    """Take up to n tickets for a worker, smallest claimable_at first; commits by itself."""
    now = clock()
    tokens = claims.new_tokens(wanted.n)
    until = now + wanted.lease
    moments = (times.microseconds(moment) for moment in (now, until, until + CLOCK_SKEW))
    async with transactions.begin(company_id, known=0, purpose="write", now=now) as transaction:
        *found, last = await transaction.rows("claim", wanted.platform, wanted.worker, tokens, *moments)
        store_id, state, transaction.trace = last[_TICKET:]
        transactions.check_store(company_id, store_id)
        taken = _taken(found, wanted, tokens, now)
        if taken:
            await _tell(transaction, taken, audience(company_of(state), store_id))
            await transaction.commit()
    return taken


def _taken(found: Found, wanted: claims.Request, tokens: Sequence[str], now: datetime) -> list[Processing]:
    """What the database wrote, smallest claimable_at first: what claims.take would have decided."""
    until = now + wanted.lease
    again_at = until + CLOCK_SKEW
    return [
        Processing(
            key=Key(TICKET, wanted.platform, ticket_id),
            status=PROCESSING,
            attempts=attempts,
            claim=Claim(worker=wanted.worker, token=tokens[int(place)], lease_until=until, text_digest=text_digest),
            claimable_at=again_at,
            changed_at=now,
            version=version,
        )
        for place, ticket_id, text_digest, attempts, version, *_ in sorted(found, key=itemgetter(0))
    ]


async def _tell(transaction: Transaction, taken: Sequence[Processing], listeners: Audience) -> None:
    """Let whoever follows the company know what was taken."""
    if listeners.is_there:
        for together in slices(told([copy_of(one) for one in taken], listeners)):
            await transaction.call(together)
