"""
Payloads on their way in: judged against what is stored, kept in one unit of work.

judge() is the one rule; here it is applied to several payloads in the order in which they came, so that a batch ends as if each had been
received by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from attrs import evolve, frozen

from deskstore.domain.changes import Committed
from deskstore.domain.errors import CorruptRecord, RequesterSuppressed, VersionConflict
from deskstore.domain.identifiers import ARTICLE, TICKET, Key
from deskstore.domain.ports import Storage, UnitOfWork
from deskstore.domain.processing import Checkpoint
from deskstore.domain.receiving import CREATED, SUPPRESSED, UPDATED, Head, Outcome, Received, judge
from deskstore.domain.records import Article, Incoming, Record, Ticket, new_article, new_ticket
from deskstore.formats import json
from deskstore.services.attempts import MOST_ATTEMPTS, pause

BATCH_RECORDS: Final = 1_000
BATCH_BYTES: Final = 8 * 2**20

Payload = bytes | Mapping[str, object]
"""What a platform sent: the bytes, or their value."""

Heads = Mapping[Key, Head]


@frozen(kw_only=True)
class Plan:
    """What a batch of payloads does: what becomes of each, in order, and the records to keep."""

    outcomes: tuple[Outcome, ...]
    saves: Mapping[Key, Ticket | Article]
    refused: frozenset[int] = frozenset()  #: places of payloads whose record the run met before, where nothing orders the two


Requesters = set[tuple[str, str | None]]
"""Platforms and requesters, as their tickets name them, whose tickets are kept out."""

Judge = Callable[[Heads, Requesters], Plan]


class _Given(NamedTuple):
    by_value: bool  #: it was given as its value, so bytes that differ may hold the same
    incoming: Incoming


def as_bytes(payload: Payload) -> bytes:
    """A payload's bytes: those given, or some that hold the value given."""
    return payload if isinstance(payload, bytes) else json.dump(payload)


async def receive_payloads(
    storage: Storage, company_id: str, payloads: Iterable[Payload], read: Callable[[Payload], Incoming], *, force: bool
) -> list[Received]:
    """Receive payloads in their order, once all of them were read: where one cannot be kept, none is."""
    given = [_Given(isinstance(payload, Mapping), read(payload)) for payload in payloads]
    received: list[Received] = []
    for by_value, group in itertools.groupby(given, key=lambda one: one.by_value):
        received += await receive_all(storage, company_id, [one.incoming for one in group], by_value=by_value, force=force)
    return received


async def receive_all(
    storage: Storage, company_id: str, incoming: Iterable[Incoming], *, by_value: bool = False, force: bool = False
) -> list[Received]:
    """
    Receive payloads in their order, in units of a batch.

    Args:
        by_value: Payloads that hold the same value are unchanged even if their bytes differ: for those made from a dict.

    Raises:
        VersionConflict: Other writers won every race for the same records; batches before that one were kept.
    """
    received: list[Received] = []
    for batch in batches(incoming):
        received += await _receive(storage, company_id, batch, by_value=by_value, force=force)
    return received


def batches(incoming: Iterable[Incoming]) -> Iterator[list[Incoming]]:
    """The payloads in units of a batch; none holds a record twice, so that the later payload meets the earlier one's record."""
    batch: dict[Key, Incoming] = {}
    size_bytes = 0
    for one in incoming:
        if one.key in batch or len(batch) >= BATCH_RECORDS or size_bytes + len(one.payload) > BATCH_BYTES:
            if batch:
                yield [*batch.values()]
            batch, size_bytes = {}, 0
        batch[one.key] = one
        size_bytes += len(one.payload)
    if batch:
        yield [*batch.values()]


async def _receive(storage: Storage, company_id: str, batch: Sequence[Incoming], *, by_value: bool, force: bool) -> list[Received]:
    known: Heads = {}

    def judged(heads: Heads, kept_out: Requesters) -> Plan:
        nonlocal known
        known = heads
        return plan(batch, heads, now=storage.clock(), force=force, kept_out=kept_out)

    made, committed = await keep(storage, company_id, batch, judged, by_value=by_value)
    return [_received(one.key, outcome, known, committed) for one, outcome in zip(batch, made.outcomes, strict=True)]


def _received(key: Key, outcome: Outcome, heads: Heads, committed: Committed) -> Received:
    stood = heads[key].version if key in heads else 0
    return Received(key=key, outcome=outcome, version=committed.versions.get(key, stood))


def plan(
    batch: Iterable[Incoming],
    heads: Heads,
    *,
    now: datetime,
    force: bool = False,
    was_met: Callable[[Key], bool] | None = None,
    kept_out: Collection[tuple[str, str | None]] = (),
) -> Plan:
    """
    Judge payloads one after another, each against what those before it would leave.

    Args:
        was_met: Whether an earlier batch of the same run held the record; given, repetitions that nothing orders are refused.
        kept_out: Whose tickets are not let in.
    """
    outcomes: list[Outcome] = []
    saves: dict[Key, Ticket | Article] = {}
    seen: set[Key] = set()
    refused: set[int] = set()
    for place, one in enumerate(batch):
        stands = saves.get(one.key) or heads.get(one.key)
        outcome = judge(one, stands, force=force)
        if outcome in (CREATED, UPDATED) and one.key.kind == TICKET and requester_of(one) in kept_out:
            outcome = SUPPRESSED
        elif outcome is UPDATED and was_met is not None and not _is_newer(one, stands) and (one.key in seen or was_met(one.key)):
            refused.add(place)
        elif outcome in (CREATED, UPDATED):
            saves[one.key] = _record(one, heads.get(one.key), now)
        seen.add(one.key)
        outcomes.append(outcome)
    return Plan(outcomes=tuple(outcomes), saves=saves, refused=frozenset(refused))


def requester_of(one: Incoming | Ticket) -> tuple[str, str | None]:
    """By what platform and text the requester of a ticket is known."""
    return one.key.platform, one.fields.requester


def _is_newer(one: Incoming, stands: Head | Record | None) -> bool:
    if stands is None:
        return True
    known = stands.fields.source_version if isinstance(stands, Record) else stands.source_version
    came = one.fields.source_version
    return came is not None and known is not None and known.is_older_than(came)


def _record(incoming: Incoming, head: Head | None, now: datetime) -> Ticket | Article:
    made = new_ticket(incoming, now=now) if incoming.key.kind == TICKET else new_article(incoming, now=now)
    return evolve(made, version=head.version) if head else made


async def keep(
    storage: Storage,
    company_id: str,
    batch: Sequence[Incoming],
    judged: Judge,
    *,
    by_value: bool = False,
    checkpoint: Callable[[Plan], Checkpoint | None] | None = None,
    kept_out: Requesters | None = None,
) -> tuple[Plan, Committed]:
    """
    Judge a batch and keep what it saves, with its checkpoint, in one unit; where another writer was first, only those records are read
    again.

    Args:
        kept_out: Whose tickets are known to be kept out; those that a commit refuses are added.

    Raises:
        VersionConflict: Other writers won every race; nothing of the batch was kept.
    """
    heads: dict[Key, Head] = {}
    unsure: Collection[Key] = {one.key for one in batch}
    refused: Requesters = set() if kept_out is None else kept_out
    attempt = 0
    while True:
        async with storage.unit_of_work(company_id) as uow:
            heads = {key: head for key, head in heads.items() if key not in unsure} | await _heads(uow, batch, unsure, by_value=by_value)
            made = judged(heads, refused)
            _buffer(uow, made, checkpoint)
            try:
                return made, await uow.commit()
            except RequesterSuppressed as refusal:
                # each time at least one more requester is known, so that this ends
                refused |= {requester_of(ticket) for key in refusal.keys if isinstance(ticket := made.saves[key], Ticket)}
                unsure = ()
                continue
            except VersionConflict as conflict:
                attempt += 1
                if attempt == MOST_ATTEMPTS:
                    raise
                unsure = set(conflict.keys)
        await pause(attempt - 1)


async def foresee(storage: Storage, company_id: str, batch: Sequence[Incoming], judged: Judge) -> Plan:
    """What keep() would do, without doing it."""
    async with storage.unit_of_work(company_id) as uow:
        heads = await _heads(uow, batch, {one.key for one in batch}, by_value=False)
        return judged(heads, await kept_out_among(uow, batch))


async def kept_out_among(uow: UnitOfWork, batch: Iterable[Incoming]) -> Requesters:
    """Those requesters of a batch whose tickets are not let in."""
    requesters = {requester_of(one) for one in batch if one.key.kind == TICKET}
    secrets = await uow.suppressions.secrets()
    if not secrets:
        return set()
    from deskstore.domain.suppressions import name_of  # most companies let everybody in

    named = {
        name_of(platform, requester, secret): (platform, requester)
        for platform, requester in requesters
        if requester is not None
        for secret in secrets
    }
    return {named[name] for name in await uow.suppressions.find_many(named)}


async def version_of(uow: UnitOfWork, key: Key) -> int:
    """A record's version, 0 when there is none; also of one that is damaged, which can still be deleted or replaced."""
    try:
        heads = await (uow.tickets if key.kind == TICKET else uow.articles).heads([key])
    except CorruptRecord as error:
        if not error.version:
            raise
        return error.version
    return heads[key].version if key in heads else 0


async def damaged_among(storage: Storage, company_id: str, keys: Collection[Key]) -> dict[Key, CorruptRecord]:
    """Those of these records whose stored one cannot be trusted; each is read once, however many they are."""
    damaged: dict[Key, CorruptRecord] = {}
    for kind in (TICKET, ARTICLE):
        rest = [key for key in keys if key.kind == kind]
        while rest:
            try:
                async with storage.unit_of_work(company_id) as uow:
                    await (uow.tickets if kind == TICKET else uow.articles).heads(rest)
                break
            except CorruptRecord as error:
                if error.key is None or error.key not in rest:
                    raise
                damaged[error.key] = error
                rest = rest[rest.index(error.key) + 1 :]
    return damaged


def head_of(record: Ticket | Article) -> Head:
    """A record that is not stored yet, as judge() wants it."""
    fields = record.fields
    return Head(
        key=record.key,
        sha256=record.sha256,
        text_digest=fields.text_digest,
        source_version=fields.source_version,
        version=record.version,
        processing=None,
    )


def _buffer(uow: UnitOfWork, made: Plan, checkpoint: Callable[[Plan], Checkpoint | None] | None) -> None:
    for record in made.saves.values():
        if isinstance(record, Ticket):
            uow.tickets.save(record)
        else:
            uow.articles.save(record)
    behind = checkpoint(made) if checkpoint is not None else None
    if behind is not None:
        uow.progress.save_checkpoint(behind)


async def _heads(uow: UnitOfWork, batch: Sequence[Incoming], keys: Collection[Key], *, by_value: bool) -> dict[Key, Head]:
    tickets = [key for key in keys if key.kind == TICKET]
    articles = [key for key in keys if key.kind == ARTICLE]
    found = dict(await uow.tickets.heads(tickets)) if tickets else {}
    found |= await uow.articles.heads(articles) if articles else {}
    return found | await _of_equal_value(uow, batch, found) if by_value else found


async def _of_equal_value(uow: UnitOfWork, batch: Sequence[Incoming], heads: Heads) -> dict[Key, Head]:
    """The heads of stored records that hold the value of the payload that came, as if they held its bytes."""
    differ = {one.key: one for one in batch if one.key in heads and heads[one.key].sha256 != one.sha256}
    tickets = [key for key in differ if key.kind == TICKET]
    articles = [key for key in differ if key.kind == ARTICLE]
    stored: dict[Key, Ticket | Article] = dict(await uow.tickets.find_many(tickets)) if tickets else {}
    stored |= await uow.articles.find_many(articles) if articles else {}
    return {
        key: evolve(heads[key], sha256=differ[key].sha256)
        for key, record in stored.items()
        if record.version == heads[key].version and json.same_value(json.load(record.payload), json.load(differ[key].payload))
    }
