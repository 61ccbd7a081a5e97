"""What a unit of work is about to change, before it is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from deskstore.domain.errors import UnitOfWorkMisuse

if TYPE_CHECKING:
    from deskstore.domain.changes import Changes, Lift, SaveProcessing, Suppress
    from deskstore.domain.identifiers import Key
    from deskstore.domain.processing import Checkpoint
    from deskstore.domain.records import Article, Ticket
    from deskstore.domain.summaries import Summary
    from deskstore.domain.suppressions import SuppressionName

MOST_CHANGES: Final = 10_000  #: in one unit
MOST_BYTES: Final = 64 * 1024 * 1024  #: of payloads and summaries in one unit

T = TypeVar("T")


class Pending:
    """The changes of a unit, one a thing; what is saved again replaces what was saved before."""

    def __init__(self) -> None:
        self.records: dict[Key, Ticket | Article] = {}
        self.deleted: dict[Key, int] = {}
        self.processing: dict[Key, SaveProcessing] = {}
        self.summaries: dict[Key, list[Summary]] = {}
        self.checkpoints: dict[tuple[str, str], Checkpoint] = {}
        self.suppressions: dict[SuppressionName, Suppress | Lift] = {}
        self._summaries = 0
        self._size_bytes = 0

    @property
    def count(self) -> int:
        """How many changes there are."""
        records = len(self.records) + len(self.deleted) + len(self.processing)
        return records + len(self.checkpoints) + len(self.suppressions) + self._summaries

    def put_record(self, record: Ticket | Article) -> None:
        """Keep a record; raises as all that follow UnitOfWorkMisuse when the unit would become too large, or deletes that record."""
        self._not_deleted(record.key)
        self._admit(len(record.payload), instead_of=_length(self.records.get(record.key)))
        self.records[record.key] = record

    def put_processing(self, change: SaveProcessing) -> None:
        """Keep a processing."""
        self._not_deleted(change.key)
        self._admit(0, instead_of=0 if change.key in self.processing else None)
        self.processing[change.key] = change

    def put_checkpoint(self, named: tuple[str, str], checkpoint: Checkpoint) -> None:
        """Keep a checkpoint."""
        known = self.checkpoints.get(named)
        self._admit(len(checkpoint.cursor), instead_of=None if known is None else len(known.cursor))
        self.checkpoints[named] = checkpoint

    def put_suppression(self, name: SuppressionName, change: Suppress | Lift) -> None:
        """Keep a requester's tickets out, or let them in again."""
        self._admit(0, instead_of=0 if name in self.suppressions else None)
        self.suppressions[name] = change

    def add_summary(self, key: Key, summary: Summary) -> None:
        """Add to those that the record will have."""
        self._not_deleted(key)
        self._admit(_bytes_of(summary), instead_of=None)
        self.summaries.setdefault(key, []).append(summary)
        self._summaries += 1

    def delete(self, key: Key, version: int | None) -> None:
        """Take back all that this unit would have kept of a record, and delete it if a version of it is stored."""
        self._size_bytes -= _length(self.records.pop(key, None)) or 0
        self.processing.pop(key, None)
        dropped = self.summaries.pop(key, [])
        self._summaries -= len(dropped)
        self._size_bytes -= sum(map(_bytes_of, dropped))
        if version is not None:
            self._admit(0, instead_of=0 if key in self.deleted else None)
            self.deleted[key] = version

    def _admit(self, size_bytes: int, *, instead_of: int | None) -> None:
        """Make room for a change, instead of one of that size or beside all others."""
        size = self._size_bytes + size_bytes - (instead_of or 0)
        if self.count + (instead_of is None) > MOST_CHANGES or size > MOST_BYTES:
            raise UnitOfWorkMisuse(
                f"a unit of work holds at most {MOST_CHANGES:,} changes and {MOST_BYTES >> 20} MB: commit, and go on in another one"
            )
        self._size_bytes = size

    def _not_deleted(self, key: Key) -> None:
        if key in self.deleted:
            raise UnitOfWorkMisuse(f"{key} is deleted in this unit of work: commit first, then save it anew")

    def changes(self) -> Changes:
        """All changes, every part in key order."""
        from deskstore.domain.changes import AddSummary, Changes, DeleteRecord, SaveCheckpoint, SaveRecord  # not for reading

        return Changes(
            records=tuple(SaveRecord(record) for _, record in sorted(self.records.items())),
            deletes=tuple(DeleteRecord(key, version) for key, version in sorted(self.deleted.items())),
            processing=tuple(change for _, change in sorted(self.processing.items(), key=_first)),
            summaries=tuple(AddSummary(one) for _, added in sorted(self.summaries.items(), key=_first) for one in added),
            checkpoints=tuple(SaveCheckpoint(checkpoint) for _, checkpoint in sorted(self.checkpoints.items())),
            suppressions=tuple(self.suppressions[name] for name in sorted(self.suppressions)),
        )


def _first(pair: tuple[Key, T]) -> Key:
    return pair[0]


def _length(record: Ticket | Article | None) -> int | None:
    return None if record is None else len(record.payload)


def _bytes_of(summary: Summary) -> int:
    return len(summary.content) + len(summary.parameters)
