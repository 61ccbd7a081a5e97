"""How far the processing has come: statuses set by hand, and tickets handed to workers and taken back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve

from deskstore.domain.errors import ClaimLost, InvalidRecord, TicketNotFound
from deskstore.domain.identifiers import Key, ticket_key
from deskstore.domain.processing import Claim, Processing, ProcessingStatus, Progress, checked_lease, span
from deskstore.services.attempts import until_saved

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage, UnitOfWork
    from deskstore.services.summaries import SummaryDraft

LEASE: Final = timedelta(minutes=5)  #: of a claim, where none is given


async def get_processing_progress(storage: Storage, company_id: str, platform: str) -> Progress:
    """How many tickets of a platform are in which status."""
    async with storage.unit_of_work(company_id) as uow:
        return await uow.progress.progress(platform)


async def get_processing(storage: Storage, company_id: str, platform: str, ticket_id: str) -> Processing:
    """How far a ticket has come; raises TicketNotFound when there is none."""
    async with storage.unit_of_work(company_id) as uow:
        found = await uow.progress.find(platform, ticket_id)
    if found is None:
        raise TicketNotFound(ticket_key(platform, ticket_id))
    return found


async def find_processing(storage: Storage, company_id: str, keys: Collection[Key]) -> Mapping[Key, Processing]:
    """How far those tickets have come that exist among these keys."""
    async with storage.unit_of_work(company_id) as uow:
        return await uow.progress.find_many(keys)


async def update_processing_status(storage: Storage, company_id: str, platform: str, ticket_id: str, status: str) -> Processing:
    """
    Set the processing status of a ticket that no worker holds; the status it has already changes nothing.

    Raises:
        TicketNotFound: There is no such ticket.
        InvalidTransition: The status cannot follow the present one.
        ClaimLost: A worker holds the ticket: only its token may change the status.
        InvalidRecord: There is no such status.
    """
    key, wanted = ticket_key(platform, ticket_id), _status(status)

    async def attempt() -> Processing:
        async with storage.unit_of_work(company_id) as uow:
            present = await uow.progress.find(platform, ticket_id)
            if present is None:
                raise TicketNotFound(key)
            changed = present.to(wanted, now=storage.clock())
            return present if changed is present else await _commit(uow, changed)

    return await until_saved(attempt)


async def claim_tickets(
    storage: Storage, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta = LEASE
) -> Sequence[Processing]:
    """
    Take up to n tickets for a worker, those that waited longest first; each carries the claim that complete() and its kin ask for.

    Raises:
        InvalidRecord: n is not 1 to 1,000, or the lease not longer than 0 and at most 15 minutes.
    """
    return await storage.claim(company_id, platform, n, worker=worker, lease=lease)


async def renew(storage: Storage, company_id: str, claimed: Processing, *, lease: timedelta = LEASE) -> Processing:
    """
    Hold a claimed ticket for longer: until the lease ends, counted from now.

    Raises:
        ClaimLost: Another worker took the ticket over, or it is gone.
    """
    return await _settle(storage, company_id, claimed, claimed.renewed(storage.clock() + checked_lease(lease)))


async def renew_claims(
    storage: Storage, company_id: str, claimed: Collection[Processing], *, lease: timedelta = LEASE
) -> Mapping[Key, Processing]:
    """
    Hold several claimed tickets for longer, in one unit: all of them or none.

    Raises:
        ClaimLost: `keys` names those that another worker took over, or that are gone; none was renewed.
    """
    until = storage.clock() + checked_lease(lease)
    async with storage.unit_of_work(company_id) as uow:
        for one in claimed:
            uow.progress.save(one.renewed(until), token=_claim_of(one).token)
        return (await uow.commit()).processing


async def complete(storage: Storage, company_id: str, claimed: Processing, *, summary: SummaryDraft | None = None) -> Processing:
    """
    Finish a claimed ticket, with its summary if there is one: both or neither.

    A ticket whose text changed while it was claimed keeps the summary and returns to pending.

    Raises:
        ClaimLost: Another worker took the ticket over, or it is gone; nothing was changed.
    """
    now = storage.clock()
    claim = _claim_of(claimed)
    async with storage.unit_of_work(company_id) as uow:
        if summary is not None:
            from deskstore.services.summaries import summary_of_claim  # most commands write no summary

            uow.summaries.add(summary_of_claim(claimed.key, claim, summary, now=now))
        return await _commit(uow, claimed.completed(now=now), token=claim.token)


async def fail(storage: Storage, company_id: str, claimed: Processing, reason: str, *, retry_in: timedelta | None = None) -> Processing:
    """
    Give a claimed ticket up, for a while or, without retry_in, until somebody sets it to pending.

    Raises:
        ClaimLost: Another worker took the ticket over, or it is gone.
    """
    now = storage.clock()
    return await _settle(storage, company_id, claimed, claimed.failed(reason, now=now, retry_at=_after(now, retry_in)))


async def release(storage: Storage, company_id: str, claimed: Processing) -> Processing:
    """
    Give a claimed ticket back untouched: it is pending again.

    Raises:
        ClaimLost: Another worker took the ticket over, or it is gone.
    """
    return await _settle(storage, company_id, claimed, claimed.released(now=storage.clock()))


async def give_back(storage: Storage, company_id: str, claimed: Collection[Processing]) -> Sequence[Processing]:
    """
    Give claimed tickets back as if nobody had taken them: pending, and this attempt does not count.

    Gives what became of each; a ticket that another worker took over, or that is gone, is left alone and not among them.
    """
    left = {one.key: one for one in claimed}
    while left:
        now = storage.clock()
        try:
            async with storage.unit_of_work(company_id) as uow:
                for one in left.values():
                    uow.progress.save(evolve(one.released(now=now), attempts=max(0, one.attempts - 1)), token=_claim_of(one).token)
                return [*(await uow.commit()).processing.values()]
        except ClaimLost as lost:
            left = {key: one for key, one in left.items() if key not in lost.keys}
    return []


async def _settle(storage: Storage, company_id: str, claimed: Processing, changed: Processing) -> Processing:
    token = _claim_of(claimed).token
    async with storage.unit_of_work(company_id) as uow:
        return await _commit(uow, changed, token=token)


async def _commit(uow: UnitOfWork, changed: Processing, *, token: str | None = None) -> Processing:
    uow.progress.save(changed, token=token)
    committed = await uow.commit()
    return committed.processing[changed.key]


def _claim_of(claimed: Processing) -> Claim:
    if claimed.claim is None:
        raise ClaimLost([claimed.key])
    return claimed.claim


def _after(now: datetime, pause: timedelta | None) -> datetime | None:
    return None if pause is None else now + span("retry_in", pause)


def _status(text: str) -> ProcessingStatus:
    try:
        return ProcessingStatus(text)
    except ValueError as error:
        raise InvalidRecord(f"{text!a} is not a processing status: choose one of: {', '.join(ProcessingStatus)}") from error
