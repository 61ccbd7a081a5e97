"""
Requesters erased: their tickets go with all that belongs to them, and are kept out from then on.

They are kept out first, so that no ticket comes in behind the removal; then their tickets go, a batch a unit, each of which counts what it
removed. Killed anywhere, the same call goes on where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from deskstore.domain import identifiers
from deskstore.domain.errors import CorruptRecord, VersionConflict
from deskstore.domain.identifiers import Key
from deskstore.domain.paging import Filter
from deskstore.domain.records import Ticket
from deskstore.domain.suppressions import Suppression, SuppressionName, name_of, new_secret, requester_named
from deskstore.services.attempts import MOST_ATTEMPTS, pause
from deskstore.services.observing import use_case

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage, UnitOfWork

logger: Final = logging.getLogger("deskstore")
BATCH_TICKETS: Final = 500  #: removed in one unit
ELSEWHERE: Final = (
    "tickets of others, articles and summaries of them that mention the requester",
    "the same person's tickets on other platforms, or under another identifier",
    "backups, exports, rejects files and logs, and whatever the application itself keeps",
)


@frozen(kw_only=True)
class RequesterReceipt:
    """What was removed of a requester, and what may hold some of it elsewhere; it does not say who that was."""

    company_id: str
    platform: str
    digest: str | None  #: the keyed hash that stays; None before a requester is kept out
    kept_out_since: datetime | None
    tickets: int  #: removed since then, each with its processing and claim; of a dry run: that would be
    summaries: int  #: with them
    not_examined: tuple[Key, ...] = ()  #: tickets that cannot be trusted, so that nobody knows whose they are
    not_reached: tuple[str, ...] = ELSEWHERE


@use_case
async def erase_requester(
    storage: Storage, company_id: str, platform: str, requester: str, *, dry_run: bool = False, batch_tickets: int = BATCH_TICKETS
) -> RequesterReceipt | None:
    """
    Remove all tickets of a requester with their summaries and processing, and keep such tickets out until that is lifted.

    Args:
        requester: As the tickets' field `requester` has it; what goes beyond 100 characters counts for nothing.
        dry_run: Only count.
        batch_tickets: How many tickets are removed in one unit.

    Returns:
        The receipt, with all that was removed since the requester is kept out; None where there is no such company.
    """
    asked = _Asked(
        storage=storage,
        company_id=identifiers.company_id(company_id),
        platform=identifiers.platform(platform),
        requester=requester_named(requester),
    )
    if await storage.replica(asked.company_id).state() is None:
        return None
    if dry_run:
        return await _foresee(asked, batch_tickets)
    suppression = await _keep_out(asked)
    not_examined: list[Key] = []
    async with aclosing(_batches(asked, batch_tickets, not_examined)) as batches:
        async for batch in batches:
            await _remove(asked, batch, suppression)
    logger.info("requester erased", extra={"company_id": asked.company_id, "platform": asked.platform, "operation": "erase_requester"})
    return asked.receipt(await asked.known() or suppression, not_examined)


async def lift_suppression(storage: Storage, company_id: str, platform: str, requester: str) -> bool:
    """Let the tickets of a requester in again; False where they were not kept out."""
    asked = _Asked(storage=storage, company_id=company_id, platform=identifiers.platform(platform), requester=requester_named(requester))
    async with storage.unit_of_work(company_id) as uow:
        found = await asked.find(uow)
        for name in found:
            uow.suppressions.lift(name)
        await uow.commit()
    return bool(found)


@frozen(kw_only=True)
class _Asked:
    """Who is to be erased, and where."""

    storage: Storage
    company_id: str
    platform: str
    requester: str

    @property
    def tickets(self) -> Filter:
        return Filter(platform=self.platform, requester=self.requester)

    async def find(self, uow: UnitOfWork) -> Mapping[SuppressionName, Suppression]:
        """What keeps the requester's tickets out."""
        return await uow.suppressions.find_many([name_of(self.platform, self.requester, one) for one in await uow.suppressions.secrets()])

    async def known(self) -> Suppression | None:
        async with self.storage.unit_of_work(self.company_id) as uow:
            return next(iter((await self.find(uow)).values()), None)

    def receipt(self, known: Suppression | None, not_examined: Iterable[Key]) -> RequesterReceipt:
        return RequesterReceipt(
            company_id=self.company_id,
            platform=self.platform,
            digest=known.digest if known else None,
            kept_out_since=known.created_at if known else None,
            tickets=known.tickets if known else 0,
            summaries=known.summaries if known else 0,
            not_examined=tuple(not_examined),
        )


async def _foresee(asked: _Asked, batch_tickets: int) -> RequesterReceipt:
    tickets = summaries = 0
    not_examined: list[Key] = []
    async with aclosing(_batches(asked, batch_tickets, not_examined)) as batches:
        async for batch in batches:
            async with asked.storage.unit_of_work(asked.company_id) as uow:
                tickets += len(batch)
                summaries += await _summaries_of(uow, batch)
    known = await asked.known()
    return evolve(asked.receipt(known, not_examined), tickets=tickets, summaries=summaries)


async def _keep_out(asked: _Asked) -> Suppression:
    """What keeps the requester's tickets out from now on."""
    async with asked.storage.unit_of_work(asked.company_id) as uow:
        if (known := next(iter((await asked.find(uow)).values()), None)) is not None:
            return known
        secrets = sorted(await uow.suppressions.secrets())
        name = name_of(asked.platform, asked.requester, secret := secrets[0] if secrets else new_secret())
        made = Suppression(platform=name.platform, digest=name.digest, secret=secret, created_at=asked.storage.clock())
        uow.suppressions.save(made)
        await uow.commit()
    return await asked.known() or made


async def _batches(asked: _Asked, most: int, not_examined: list[Key]) -> AsyncGenerator[dict[Key, int], None]:
    """The requester's tickets with their versions; those that cannot be trusted are noted, and passed over."""
    batch: dict[Key, int] = {}
    async with aclosing(_tickets(asked, not_examined)) as tickets:
        async for ticket in tickets:
            batch[ticket.key] = ticket.version
            if len(batch) == most:
                yield batch
                batch = {}
    if batch:
        yield batch


async def _tickets(asked: _Asked, not_examined: list[Key]) -> AsyncGenerator[Ticket, None]:
    after: Key | None = None
    while True:
        try:
            async with asked.storage.unit_of_work(asked.company_id) as uow:
                async for ticket in uow.tickets.stream(asked.tickets, after=after):
                    yield ticket
            return
        except CorruptRecord as error:
            if error.key is None:
                raise
            not_examined.append(error.key)
            after = error.key


async def _remove(asked: _Asked, batch: Mapping[Key, int], suppression: Suppression) -> None:
    versions = batch
    for attempt in range(MOST_ATTEMPTS):
        async with asked.storage.unit_of_work(asked.company_id) as uow:
            summaries = await _summaries_of(uow, versions)
            for key, version in versions.items():
                uow.tickets.delete(key, version=version)
            uow.suppressions.save(evolve(suppression, tickets=len(versions), summaries=summaries))
            try:
                await uow.commit()
                return
            except VersionConflict:
                if attempt == MOST_ATTEMPTS - 1:
                    raise
        await pause(attempt)
        versions = await _still_theirs(asked, versions)
        if not versions:
            return


async def _still_theirs(asked: _Asked, keys: Iterable[Key]) -> dict[Key, int]:
    """Those of the tickets that are there and of the requester, after others changed some of them."""
    async with asked.storage.unit_of_work(asked.company_id) as uow:
        found = await uow.tickets.find_many([*keys])
    return {key: ticket.version for key, ticket in found.items() if ticket.fields.requester == asked.requester}


async def _summaries_of(uow: UnitOfWork, keys: Iterable[Key]) -> int:
    return sum([len(await uow.summaries.history(key)) for key in keys])
