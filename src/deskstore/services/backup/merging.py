"""Taking into a company what it lacks of a backup; nothing that it has is taken away from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence

from attrs import evolve, frozen

from deskstore.domain.mirror import Copy, copy_of
from deskstore.domain.ports import Replica, Storage
from deskstore.domain.receiving import Outcome
from deskstore.domain.records import Article, Incoming, Ticket
from deskstore.domain.suppressions import Suppression, SuppressionName, names_of
from deskstore.services.receiving import receive_all


@frozen(kw_only=True)
class Merged:
    """What became of records that the company had already, and of those that it keeps out."""

    updated: int = 0  #: the backup's payload is another one, and not an older one by the platform's own order
    unchanged: int = 0
    stale: int = 0  #: the company's payload is newer
    suppressed: int = 0  #: tickets of requesters who were erased here


async def merge(storage: Storage, company_id: str, slices: AsyncIterator[Sequence[Copy]]) -> tuple[int, Merged]:
    """
    Give a company what it lacks: how many things came in as they were, and what became of its own records.

    A record that is missing comes with its versions, processing and summaries; where it was deleted and the mirror may have to be told so,
    with a later version than that. One that is there is received like any payload, keeps its processing, and gets those summaries whose
    numbers it has not used. Done again, it goes on where it was interrupted.
    """
    replica = storage.replica(company_id)
    kept_out = [copy.value async for copy in replica.copies("suppression") if isinstance(copy.value, Suppression)]
    things, outcomes, suppressed = 0, Counter[Outcome](), 0
    async for copies in slices:
        unwelcome = _unwelcome(copies, kept_out)
        suppressed += len(unwelcome)
        welcome = [copy for copy in copies if not (copy.thing.kind and copy.thing.key in unwelcome)]
        missing, there = await _sorted_out(replica, welcome)
        things += await _apply(replica, missing)
        outcomes.update(one.outcome for one in await receive_all(storage, company_id, there))
    return things, Merged(
        updated=outcomes[Outcome.UPDATED], unchanged=outcomes[Outcome.UNCHANGED], stale=outcomes[Outcome.STALE], suppressed=suppressed
    )


async def _sorted_out(replica: Replica, copies: Sequence[Copy]) -> tuple[list[Copy], list[Incoming]]:
    """What does not stand here, and the payloads of records that do."""
    found = {copy.thing: copy for copy in await replica.read([copy.thing for copy in copies])}
    there = [_incoming(copy.value) for copy in copies if found[copy.thing].value is not None and isinstance(copy.value, Ticket | Article)]
    return [_revived(copy, found[copy.thing].version) for copy in copies if found[copy.thing].value is None], there


def _revived(copy: Copy, deleted_at: int) -> Copy:
    """The same thing, newer than its deletion, which the mirror was told of, or will be."""
    if copy.value is None or deleted_at < copy.version:
        return copy
    return copy_of(evolve(copy.value, version=deleted_at + 1))


async def _apply(replica: Replica, missing: Sequence[Copy]) -> int:
    if not missing:
        return 0
    state = await replica.state()
    return await replica.apply(missing, epoch=state.epoch if state else None)


def _incoming(record: Ticket | Article) -> Incoming:
    return Incoming(key=record.key, payload=record.payload, fields=record.fields, sha256=record.sha256, checked=record.payload)


def _unwelcome(copies: Sequence[Copy], kept_out: Sequence[Suppression]) -> set[object]:
    """Keys of tickets whose requesters were erased here."""
    tickets = [copy.value for copy in copies if isinstance(copy.value, Ticket)]
    known: set[SuppressionName] = {one.name for one in kept_out}
    names = names_of(tickets, {one.secret for one in kept_out})
    return {key for name, keys in names.items() if name in known for key in keys}
