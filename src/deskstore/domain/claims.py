"""Handing out tickets to workers: what may be taken, in which order, and the claim that goes with it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from deskstore.domain import identifiers
from deskstore.domain.commits import next_version
from deskstore.domain.errors import InvalidRecord, StorageError
from deskstore.domain.processing import Claim, Processing, checked_lease

if TYPE_CHECKING:
    from deskstore.domain.ports import UnitOfWork

logger: Final = logging.getLogger("deskstore")
MOST_AT_ONCE: Final = 1_000  #: tickets in one claim
_TOKEN_BYTES: Final = 16


@frozen(kw_only=True)
class Request:
    """A worker's wish for tickets, checked."""

    platform: str
    n: int
    worker: str
    lease: timedelta


def request(platform: str, n: int, worker: str, lease: timedelta) -> Request:
    """
    A checked wish for tickets.

    Raises:
        InvalidIdentifier: The platform's or the worker's name breaks the rules for names.
        InvalidRecord: n is not 1 to 1,000, or the lease not longer than 0 and at most 15 minutes.
    """
    if not 1 <= n <= MOST_AT_ONCE:
        raise InvalidRecord(f"n is {identifiers.shown(n)}: claim 1 to {MOST_AT_ONCE:,} tickets at once")
    name = identifiers.worker(worker)
    return Request(platform=identifiers.platform(platform), n=n, worker=name, lease=checked_lease(lease))


def log(company_id: str, wanted: Request) -> None:
    """Log a worker's wish, as each operation of a unit is."""
    logger.debug("claim", extra={"company_id": company_id, "platform": wanted.platform, "operation": "claim"})


def is_claimable(processing: Processing, now: datetime) -> bool:
    """Whether a worker may take the ticket now: pending, given up on until now, or held by a claim that ran out."""
    return processing.claimable_at is not None and processing.claimable_at <= now


def new_tokens(n: int) -> list[str]:
    """Tokens for so many claims, at random, so that nobody can guess one."""
    drawn = secrets.token_hex(n * _TOKEN_BYTES)
    return [drawn[begin : begin + 2 * _TOKEN_BYTES] for begin in range(0, len(drawn), 2 * _TOKEN_BYTES)]


def take(found: Iterable[tuple[Processing, bytes]], wanted: Request, *, floor: int, now: datetime) -> list[Processing]:
    """
    The processing of each ticket in the hands of the worker, with a token of its own and the next version.

    Args:
        found: Claimable tickets with their text_digest, smallest claimable_at first.
        floor: The highest version that was ever deleted in this company.
    """
    taken: list[Processing] = []
    standing = list(found)
    for (processing, text_digest), token in zip(standing, new_tokens(len(standing)), strict=True):
        claim = Claim(worker=wanted.worker, token=token, lease_until=now + wanted.lease, text_digest=text_digest)
        version = next_version(processing.version, floor, now)
        taken.append(processing.claimed(claim, now=now, version=version))
    return taken


async def delivered(
    unit: Callable[[], UnitOfWork], taking: Awaitable[Sequence[Processing]], clock: Callable[[], datetime]
) -> Sequence[Processing]:
    """The tickets that were taken; when whoever asked is cancelled, they are given back first, as if nobody had taken them."""
    task = asyncio.ensure_future(taking)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        if task.exception() is None:
            await _give_back(unit(), task.result(), clock())
        raise


async def _give_back(uow: UnitOfWork, taken: Sequence[Processing], now: datetime) -> None:
    with suppress(StorageError):  # where that fails, they are handed out again once the lease has run out
        async with uow:
            for one in taken:
                uow.progress.save(evolve(one.released(now=now), attempts=one.attempts - 1), token=one.claim.token if one.claim else None)
            await uow.commit()
