"""
Tickets put back into the line by hand: those that failed, those whose summary should be written anew, those a worker sits on.

What is found is told first; nothing is changed by looking. A ticket that a live claim protects is never requeued past it: taking a claim
back ends its token, and whoever still holds that saves nothing more with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

from deskstore.domain.errors import ClaimLost, CorruptRecord, VersionConflict
from deskstore.domain.identifiers import TICKET, Key
from deskstore.domain.paging import Filter
from deskstore.domain.processing import COMPLETED, FAILED, PROCESSING, Processing, ProcessingStatus, fresh
from deskstore.services.attempts import until_saved
from deskstore.services.processing import find_processing, give_back
from deskstore.services.sound import sound_records
from deskstore.services.summaries import stale_summaries

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage

BATCH: Final = 200  #: tickets that are looked at in one trip, or changed in one unit
T = TypeVar("T")


async def list_claims(
    storage: Storage,
    company_id: str,
    platform: str | None = None,
    *,
    worker: str | None = None,
    until: datetime | None = None,
) -> AsyncIterator[Processing]:
    """
    Tickets that are in processing: those a worker holds, and those somebody works on without a claim; ascending by key.

    Args:
        worker: Those of this worker alone.
        until: Those that were taken at this moment or before.
    """
    async for one in _in_status(storage, company_id, platform, PROCESSING, until):
        if worker is None or (one.claim is not None and one.claim.worker == worker):
            yield one


async def failed_tickets(
    storage: Storage, company_id: str, platform: str | None = None, *, until: datetime | None = None
) -> AsyncIterator[Processing]:
    """Tickets that failed, at this moment or before if one is given, whether they are tried again or not; ascending by key."""
    async for one in _in_status(storage, company_id, platform, FAILED, until):
        yield one


async def outdated_tickets(
    storage: Storage,
    company_id: str,
    platform: str | None = None,
    *,
    model: str | None = None,
    prompt_id: str | None = None,
    until: datetime | None = None,
) -> AsyncIterator[Processing]:
    """
    Tickets that are done with, and whose summary is stale or was written by another model or prompt; ascending by key.

    Where a person wrote the current summary there is nothing to do: no other one would be shown.

    Args:
        until: Those that were completed, or failed, at this moment or before.
    """
    stale = stale_summaries(storage, company_id, platform, model=model, prompt_id=prompt_id)
    keys = (one.key async for one in stale if one.key.kind == TICKET and not one.summary.pinned)
    async for batch in _batches(keys):
        for one in await _found(storage, company_id, batch, until):
            if one.status in (COMPLETED, FAILED):
                yield one


async def take_back(storage: Storage, company_id: str, taken: Collection[Processing]) -> Sequence[Processing]:
    """
    Take tickets out of the hands of their workers: they are pending again, and the tokens that the workers hold are worth nothing.

    Gives those that were; one that came to its end meanwhile, or went to another worker, is left as it is.
    """
    given_back = await give_back(storage, company_id, [one for one in taken if one.claim is not None])
    by_hand = [one.key for one in taken if one.claim is None]
    return [*given_back, *(await requeue(storage, company_id, by_hand, of=(PROCESSING,)))]


async def requeue(
    storage: Storage, company_id: str, keys: Sequence[Key], *, of: Collection[ProcessingStatus] = (COMPLETED, FAILED)
) -> Sequence[Processing]:
    """
    Make tickets pending again, to be taken at once and with all their attempts before them.

    Gives those that were; one that is in another status by now, is in a worker's hands, or is gone, is left as it is.

    Args:
        of: In which status they must be.
    """
    requeued: list[Processing] = []
    for start in range(0, len(keys), BATCH):
        requeued += await _requeued(storage, company_id, keys[start : start + BATCH], of)
    return requeued


async def _requeued(storage: Storage, company_id: str, keys: Sequence[Key], of: Collection[ProcessingStatus]) -> list[Processing]:
    async def attempt() -> list[Processing]:
        now = storage.clock()
        async with storage.unit_of_work(company_id) as uow:
            for one in (await uow.progress.find_many(keys)).values():
                if one.status in of and not one.is_claimed(now):
                    uow.progress.save(fresh(one.key, now=now, version=one.version))
            try:
                return [*(await uow.commit()).processing.values()]
            except ClaimLost as lost:  # somebody took one since it was read
                raise VersionConflict(lost.keys) from lost

    return await until_saved(attempt)


async def _in_status(
    storage: Storage, company_id: str, platform: str | None, status: ProcessingStatus, until: datetime | None
) -> AsyncIterator[Processing]:
    async for batch in _batches(_keys(storage, company_id, Filter(platform=platform, processing=status))):
        for one in await _found(storage, company_id, batch, until):
            if one.status == status:
                yield one


async def _keys(storage: Storage, company_id: str, where: Filter) -> AsyncIterator[Key]:
    """The keys of tickets; those of damaged ones, whose processing is as sound as any, come last."""
    damaged: list[CorruptRecord] = []
    async for record in sound_records(storage, company_id, TICKET, where, damaged=damaged):
        yield record.key
    for error in damaged:
        if error.key is not None:
            yield error.key


async def _found(storage: Storage, company_id: str, keys: Sequence[Key], until: datetime | None) -> list[Processing]:
    found = await find_processing(storage, company_id, keys)
    return [found[key] for key in keys if key in found and (until is None or found[key].changed_at <= until)]


async def _batches(values: AsyncIterator[T]) -> AsyncIterator[list[T]]:
    batch: list[T] = []
    async for value in values:
        batch.append(value)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
