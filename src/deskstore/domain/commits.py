"""
What a commit does, decided in one place for every storage that decides in Python.

The storage takes its lock, reads what stands under the keys concerned, asks decide(), and writes down the copies it gets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from attrs import Factory, define, evolve, field, frozen

from deskstore.domain import times
from deskstore.domain.changes import AddSummary, Changes, Committed, DeleteRecord, Lift, SaveProcessing, SaveRecord, Suppress
from deskstore.domain.errors import ArticleNotFound, ClaimLost, InvalidTransition, RequesterSuppressed, TicketNotFound, VersionConflict
from deskstore.domain.identifiers import TICKET, Key
from deskstore.domain.mirror import Copy, Part, Thing, Value, copy_of, thing_of
from deskstore.domain.processing import ALLOWED, COMPLETED, FAILED, PROCESSING, Processing, fresh
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.suppressions import Suppression, SuppressionName, names_of


@frozen(kw_only=True)
class Standing:
    """What is stored under one key, read under the storage's lock."""

    version: int = 0  #: of the record; 0 = there is none
    text_digest: bytes = b""
    processing: Processing | None = None
    last_summary: int = 0  #: the highest number
    summaries: tuple[int, ...] | None = None  #: the numbers there are, for a record that goes; None: all up to the last
    summary_version: int = 0  #: the highest version of them

    @property
    def highest(self) -> int:
        """The highest version of all that stands here."""
        return max(self.version, self.summary_version, self.processing.version if self.processing else 0)


NOTHING = Standing()


def standing_of(record: Ticket | Article | None, processing: Processing | None, summaries: Sequence[Summary]) -> Standing:
    """What stands under a key, of the record, the ticket's processing and all summaries, ascending by number; nothing without a record."""
    if record is None:
        return NOTHING
    return Standing(
        version=record.version,
        text_digest=record.fields.text_digest,
        processing=processing,
        last_summary=summaries[-1].number if summaries else 0,
        summaries=tuple(one.number for one in summaries),
        summary_version=max((one.version for one in summaries), default=0),
    )


NO_SUPPRESSIONS: Final[Mapping[SuppressionName, Suppression]] = MappingProxyType({})


@frozen(kw_only=True)
class Decision:
    """What to write, and what to tell the caller."""

    copies: tuple[Copy, ...]
    committed: Committed


def next_version(previous: int, floor: int, now: datetime) -> int:
    """The version after a previous one and after everything ever deleted (the floor); about the time in microseconds."""
    return _version_after(previous, floor, times.microseconds(now))


def _version_after(previous: int, floor: int, now_us: int) -> int:
    return max(max(previous, floor) + 1, now_us)


def decide(
    changes: Changes,
    standing: Mapping[Key, Standing],
    *,
    checkpoints: Mapping[tuple[str, str], int],
    floor: int,
    now: datetime,
    suppressions: Mapping[SuppressionName, Suppression] = NO_SUPPRESSIONS,
    kept_out: Collection[Key] = (),
) -> Decision:
    """
    Check the guards of all changes against what is stored, and work out what has to be written.

    Args:
        standing: What is stored under each of changes.keys, as read under the lock.
        checkpoints: The stored versions of the checkpoints concerned.
        floor: The highest version that was ever deleted in this company.
        suppressions: The stored ones of changes.suppression_names.
        kept_out: Those tickets among the changes whose requester is suppressed, by what is stored.

    Raises:
        RequesterSuppressed: Tickets of a requester whose tickets are kept out.
        TicketNotFound, ArticleNotFound: A summary or a first processing names no record.
        ClaimLost: A token is not the current one, or a claim lives and no token was given.
        VersionConflict: Records or processing were saved since they were read; keys names them all.
        InvalidTransition: A status cannot follow the present one.
    """
    decider = _checked(changes, _Decider(standing=standing, floor=floor, now=now), kept_out)
    return _carry_out(changes, decider, checkpoints, suppressions)


def decide_in_parts(
    changes: Changes,
    standing: Mapping[Key, Standing],
    *,
    size_bytes: int,
    checkpoints: Mapping[tuple[str, str], int],
    floor: int,
    now: datetime,
    suppressions: Mapping[SuppressionName, Suppression] = NO_SUPPRESSIONS,
    kept_out: Collection[Key] = (),
) -> Iterator[Decision]:
    """
    The same in parts of about a size, as far as the changes have parts that stand for themselves: see Changes.parts().

    Every guard is checked at once, and raises what decide() raises; transitions are checked with their part, which is the only one then.
    What has to be written is worked out a part at a time, when it is asked for, so that a database writes one while the next is worked out.
    """
    _checked(changes, _Decider(standing=standing, floor=floor, now=now), kept_out)
    return (
        _carry_out(part, _Decider(standing=standing, floor=floor, now=now), checkpoints, suppressions) for part in changes.parts(size_bytes)
    )


def _checked(changes: Changes, decider: _Decider, kept_out: Collection[Key]) -> _Decider:
    _check(changes, decider)
    _check_requesters(changes, kept_out)
    return decider


def _carry_out(
    changes: Changes,
    decider: _Decider,
    checkpoints: Mapping[tuple[str, str], int],
    suppressions: Mapping[SuppressionName, Suppression],
) -> Decision:
    for delete in changes.deletes:
        decider.delete(delete)
    for save in changes.records:
        decider.save(save)
    for processing in changes.processing:
        decider.process(processing)
    for summary in changes.summaries:
        decider.summarise(summary)
    for checkpoint in (change.checkpoint for change in changes.checkpoints):
        known = checkpoints.get((checkpoint.platform, checkpoint.stream), 0)
        decider.keep(evolve(checkpoint, version=decider.next_version(known)))
    for suppression in changes.suppressions:
        decider.suppress(suppression, suppressions)
    return decider.decision()


def _moment(decider: _Decider) -> int:
    return times.microseconds(decider.now)


@define(kw_only=True)
class _Decider:
    """The present state of the keys concerned while a unit's changes are carried out on it."""

    standing: Mapping[Key, Standing]
    floor: int
    now: datetime
    now_us: int = field(default=Factory(_moment, takes_self=True))
    written: dict[Thing, Copy] = field(default=Factory(dict[Thing, Copy]))
    digests: dict[Key, bytes] = field(default=Factory(dict[Key, bytes]))
    numbers: dict[Key, int] = field(default=Factory(dict[Key, int]))

    def of(self, key: Key) -> Standing:
        return self.standing.get(key, NOTHING)

    def next_version(self, previous: int) -> int:
        return _version_after(previous, self.floor, self.now_us)

    def keep(self, value: Value) -> None:
        copy = copy_of(value)
        self.written[copy.thing] = copy

    def keep_of(self, key: Key, part: Part, value: Ticket | Article | Processing) -> None:
        """The same, of a value whose name is known: most of what ever is kept."""
        thing = Thing(part, *key)
        self.written[thing] = Copy(thing, value.version, value)

    def delete(self, change: DeleteRecord) -> None:
        stood = self.of(change.key)
        # one version above them all: under a clock that went back, a summary may be newer than its record
        version = self.next_version(stood.highest)
        for thing in things_under(change.key, stood):
            self.written[thing] = Copy(thing, version, None)

    def save(self, change: SaveRecord) -> None:
        record, key = change.record, change.record.key
        stood = self.of(key)
        self.keep_of(key, key.kind, record.at_version(self.next_version(stood.version)))
        self.digests[key] = record.fields.text_digest
        if isinstance(record, Ticket) and (stood.processing is None or self._text_is_new(key, stood.processing)):
            known = stood.processing.version if stood.processing else 0
            self.keep_of(key, "processing", fresh(key, now=record.saved_at, version=self.next_version(known)))

    def _text_is_new(self, key: Key, processing: Processing) -> bool:
        return self.digests[key] != self.of(key).text_digest and not processing.is_claimed(self.now)

    def process(self, change: SaveProcessing) -> None:
        stood = self.of(change.key).processing
        known = stood.version if stood else 0
        version = self.next_version(known)
        settled = self._settled(change, stood)
        present = self._present(change.key, stood)
        if present is not None and settled.status not in (present.status, *ALLOWED[present.status]):
            raise InvalidTransition(change.key, present.status, settled.status, ALLOWED[present.status])
        self.keep(evolve(settled.bounded(self.now), version=version))

    def _present(self, key: Key, stood: Processing | None) -> Processing | None:
        """The processing that the unit's own change of the text left, or what stood before."""
        saved = self.written.get(Thing("processing", *key))
        return saved.value if saved is not None and isinstance(saved.value, Processing) else stood

    def _settled(self, change: SaveProcessing, stood: Processing | None) -> Processing:
        wanted = change.processing
        if change.token is None or stood is None or stood.claim is None:
            return wanted
        if wanted.status == PROCESSING and wanted.claim is not None:
            return evolve(stood, claim=evolve(stood.claim, lease_until=wanted.claim.lease_until))
        text = self.digests.get(change.key, self.of(change.key).text_digest)
        if wanted.status in (COMPLETED, FAILED) and text != stood.claim.text_digest:
            return fresh(change.key, now=self.now)
        return wanted

    def summarise(self, change: AddSummary) -> None:
        number = self.numbers.get(change.key, self.of(change.key).last_summary) + 1
        self.numbers[change.key] = number
        self.keep(evolve(change.summary, number=number, version=self.next_version(0)))

    def suppress(self, change: Suppress | Lift, known: Mapping[SuppressionName, Suppression]) -> None:
        if isinstance(change, Lift):
            if (lifted := known.get(change.name)) is not None:
                self.written[thing_of(lifted)] = Copy(thing_of(lifted), self.next_version(lifted.version), None)
            return
        wanted, stood = change.suppression, known.get(change.suppression.name)
        if stood is not None:
            wanted = evolve(stood, tickets=stood.tickets + wanted.tickets, summaries=stood.summaries + wanted.summaries)
        self.keep(evolve(wanted, version=self.next_version(stood.version if stood else 0)))

    def decision(self) -> Decision:
        values = [copy.value for copy in self.written.values()]
        return Decision(
            copies=tuple(self.written.values()),
            committed=Committed(
                versions={value.key: value.version for value in values if isinstance(value, Ticket | Article)},
                summaries=tuple(value for value in values if isinstance(value, Summary)),
                processing={value.key: value for value in values if isinstance(value, Processing)},
            ),
        )


def things_under(key: Key, stood: Standing) -> Iterable[Thing]:
    """All that goes when a record goes: itself, its processing and its summaries."""
    yield Thing(key.kind, *key)
    if stood.processing is not None:
        yield Thing("processing", *key)
    for number in range(1, stood.last_summary + 1) if stood.summaries is None else stood.summaries:
        yield Thing("summary", *key, number)


def _check_requesters(changes: Changes, kept_out: Collection[Key]) -> None:
    ours = [change.suppression for change in changes.suppressions if isinstance(change, Suppress)]
    refused = set(kept_out)
    if ours:
        named = names_of((change.record for change in changes.records), {one.secret for one in ours})
        refused |= {key for one in ours for key in named.get(one.name, ())}
    if found := [change.key for change in changes.records if change.key in refused]:
        raise RequesterSuppressed(found)


def _check(changes: Changes, decider: _Decider) -> None:
    saved = {change.key for change in changes.records}
    named = [change.key for change in changes.summaries]
    named += [change.key for change in changes.processing if change.token is None and not change.processing.version]
    for key in named:
        if key not in saved and not decider.of(key).version:
            raise TicketNotFound(key) if key.kind == TICKET else ArticleNotFound(key)
    if lost := [change.key for change in changes.processing if _is_lost(change, decider)]:
        raise ClaimLost(lost)
    if conflicts := sorted(set(_conflicts(changes, decider))):
        raise VersionConflict(conflicts)


def _is_lost(change: SaveProcessing, decider: _Decider) -> bool:
    stood = decider.of(change.key).processing
    if change.token is None:
        return stood is not None and stood.is_claimed(decider.now)
    return stood is None or stood.claim is None or stood.claim.token != change.token


def _conflicts(changes: Changes, decider: _Decider) -> Iterable[Key]:
    for save in changes.records:
        if save.record.version != decider.of(save.key).version:
            yield save.key
    for delete in changes.deletes:
        if delete.version != decider.of(delete.key).version:
            yield delete.key
    for change in changes.processing:
        stood = decider.of(change.key).processing
        if change.token is None and change.processing.version != (stood.version if stood else 0):
            yield change.key
