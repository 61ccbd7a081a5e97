"""What a unit of work holds back until commit(): one change a thing, in key order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from deskstore.domain.identifiers import Key
from deskstore.domain.processing import Checkpoint, Processing
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary

if TYPE_CHECKING:
    from deskstore.domain.suppressions import Suppression, SuppressionName


@frozen
class SaveRecord:
    """Keep a record; its version is the one that was read, 0 for one that must not exist yet."""

    record: Ticket | Article

    @property
    def key(self) -> Key:
        """The record's key."""
        return self.record.key


@frozen
class DeleteRecord:
    """Remove a record with its processing, claim and summaries."""

    key: Key
    version: int  #: the one that was read


@frozen
class SaveProcessing:
    """Keep how far a ticket has come, guarded by the claim's token, or by version and the absence of a live claim."""

    processing: Processing
    token: str | None = None

    @property
    def key(self) -> Key:
        """The ticket's key."""
        return self.processing.key


@frozen
class AddSummary:
    """Keep one more summary of a record; it gets its number at the commit."""

    summary: Summary

    @property
    def key(self) -> Key:
        """The record's key."""
        return self.summary.key


@frozen
class SaveCheckpoint:
    """Keep how far a stream has been read."""

    checkpoint: Checkpoint


@frozen
class Suppress:
    """Keep a requester's tickets out; the numbers of what was removed are added to those that are known."""

    suppression: Suppression


@frozen
class Lift:
    """Let a requester's tickets in again."""

    name: SuppressionName


@frozen(kw_only=True)
class Changes:
    """All that one unit of work wants to change; every part in key order."""

    records: tuple[SaveRecord, ...] = ()
    deletes: tuple[DeleteRecord, ...] = ()
    processing: tuple[SaveProcessing, ...] = ()
    summaries: tuple[AddSummary, ...] = ()
    checkpoints: tuple[SaveCheckpoint, ...] = ()
    suppressions: tuple[Suppress | Lift, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.records or self.deletes or self.processing or self.summaries or self.checkpoints or self.suppressions)

    @property
    def suppresses(self) -> bool:
        """Whether somebody's tickets are to be kept out from now on, so that no commit may run beside this one."""
        return any(isinstance(change, Suppress) and not change.suppression.version for change in self.suppressions)

    @property
    def suppression_names(self) -> tuple[SuppressionName, ...]:
        """The name of every suppression that is concerned, ascending."""
        return tuple(sorted(one.suppression.name if isinstance(one, Suppress) else one.name for one in self.suppressions))

    def parts(self, size_bytes: int) -> Sequence[Changes]:
        """
        The same changes, some at a time that can be decided by themselves, each with payloads of at most about that size.

        Only records that are saved stand for themselves, and only those of one kind, since whoever writes them may have an order of kinds;
        where there is anything else, all of it is one part.
        """
        total = sum(len(change.record.payload) for change in self.records)
        count = -(-total // size_bytes)
        if count < 2 or self != Changes(records=self.records) or self.records[0].key.kind != self.records[-1].key.kind:
            return [self]
        found: list[list[SaveRecord]] = [[] for _ in range(count)]
        before = 0
        for change in self.records:
            found[before * count // total].append(change)
            before += len(change.record.payload)
        return [Changes(records=tuple(some)) for some in found if some]

    @property
    def keys(self) -> tuple[Key, ...]:
        """The key of every record that is concerned, once, ascending."""
        concerned = (change.key for part in (self.records, self.deletes, self.processing, self.summaries) for change in part)
        return tuple(sorted(set(concerned)))


@frozen(kw_only=True)
class Committed:
    """What a commit assigned."""

    versions: Mapping[Key, int]  #: of the records that were saved
    summaries: tuple[Summary, ...] = ()  #: as they were kept, with their numbers
    processing: Mapping[Key, Processing] = {}  #: of the tickets whose processing was saved or reset
