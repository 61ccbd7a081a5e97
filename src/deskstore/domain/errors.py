"""
Every error deskstore raises.

StorageError
├── InvalidRecord            what was given cannot be kept as it is
│   └── InvalidIdentifier    an id, platform, locale or company id breaks the rules for names
│       └── CompanyRequired  no company was named
├── TicketNotFound
├── ArticleNotFound
├── VersionConflict          somebody else saved first: read again and retry
├── RequesterSuppressed      a ticket is of somebody who was erased, and whose tickets are kept out
├── ClaimLost                the claim's token is no longer the current one
├── InvalidTransition        a processing status cannot follow the present one
├── UncommittedChanges       a unit of work was left with changes and without commit()
├── UnitOfWorkMisuse         two tasks in one unit, a unit too large, a unit used after its end
├── CorruptRecord            what is stored is not what deskstore wrote
├── StorageUnavailable       the store cannot be reached or does not work
│   └── StorageBusy          somebody else held the store for too long
├── CommitOutcomeUnknown     nobody could tell whether the last commit took place
├── CompanyMoved             the company lives elsewhere by now, is on its way, or is in another epoch
├── StoreReplaced            another directory or database stands where the company was opened
├── CompanyErased            the company was erased while it was in use
├── MigrationError           a company cannot go from one store to another, or not now
│   └── ErasedBefore         a company of that name was erased there in a later epoch than this one is in
├── BackupError              a backup cannot be taken or restored as asked
│   └── DamagedBackup        a file is cut off, was changed, or never was a backup
└── ConfigurationError       the settings do not fit together

A message says what, which, and what to do next; the parts a program may need are attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deskstore.domain.identifiers import Key

RESTORE: Final = "restore of "  #: what a company is on its way to while a backup is restored into it, before the backup's own hash
_HOW_TO_OPEN: Final = "by STORAGE_TYPE, where hybrid opens both"


class StorageError(Exception):
    """Something went wrong in deskstore; catch this to catch all of it."""


class InvalidRecord(StorageError):
    """What was given cannot be kept as it is; nothing of it was kept."""


class InvalidIdentifier(InvalidRecord):
    """An id, platform, locale or company id breaks the rules for names."""


class CompanyRequired(InvalidIdentifier):
    """No company was named: without a company there is no access."""


class TicketNotFound(StorageError):
    """There is no such ticket in this company."""

    def __init__(self, key: Key) -> None:
        super().__init__(f"{key} does not exist in this company: save it first, or check its platform and id")
        self.key = key


class ArticleNotFound(StorageError):
    """There is no such article in this company."""

    def __init__(self, key: Key) -> None:
        super().__init__(f"{key} does not exist in this company: save it first, or check its platform, id and locale")
        self.key = key


class VersionConflict(StorageError):
    """Somebody else saved first; nothing of the unit was written."""

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__(f"{_some_of(keys)} changed since you read it: read it again and retry")
        self.keys = tuple(keys)  #: all that conflict, so that a batch reads just those again


class RequesterSuppressed(StorageError):
    """Tickets are of a requester who was erased, and whose tickets are kept out; nothing of the unit was written."""

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__(
            f"{_some_of(keys)} would bring back somebody who was erased here: leave it out, "
            "or let that requester's tickets in again (deskstore company erase-requester --lift)"
        )
        self.keys = tuple(keys)  #: all of them


class ClaimLost(StorageError):
    """The token is no longer the ticket's current one; nothing of the unit was written."""

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__(f"the claim on {_some_of(keys)} is not yours: another worker holds it, or the ticket is gone; claim again")
        self.keys = tuple(keys)


class InvalidTransition(StorageError):
    """A processing status cannot follow the present one; nothing was changed."""

    def __init__(self, key: Key, present: str, wanted: str, allowed: Sequence[str]) -> None:
        super().__init__(f"{key} is {present} and cannot become {wanted}; from here it may become {', '.join(allowed)}")
        self.key = key
        self.present = present
        self.wanted = wanted
        self.allowed = tuple(allowed)


class UncommittedChanges(StorageError):
    """A unit of work was left with changes that were never committed; they are discarded."""


class UnitOfWorkMisuse(StorageError):
    """A unit of work was used in a way that could lose or mix data."""


class CorruptRecord(StorageError):
    """What is stored is not what deskstore wrote."""

    def __init__(self, key: Key | None, place: str, reason: str, *, number: int = 0) -> None:
        super().__init__(
            f"{key or 'a record'} cannot be trusted: {place}: {reason}; nothing of it is returned; "
            "`deskstore doctor` tells what can be done"
        )
        self.key = key  #: pass it to stream(after=…) to go on behind this record
        self.number = number  #: of the record's summary that it is; 0: the record itself
        self.place = place  #: the file, or the row
        self.reason = reason
        self.version = 0  #: which the record has according to the store, where heads() says it: enough to delete the record, or replace it

    def at_version(self, version: int) -> Self:
        """The same error, which also tells the record's version."""
        self.version = version
        return self


class StorageUnavailable(StorageError):
    """The store cannot be reached or does not work; what was not acknowledged was not kept."""


class StorageBusy(StorageUnavailable):
    """Somebody else held the store for too long; nothing was written, try again."""


class CommitOutcomeUnknown(StorageError):
    """Nobody could tell whether the last commit took place; read before you write again."""


class CompanyMoved(StorageError):
    """The company lives in another store by now, is on its way there, or is in another epoch than was counted on; nothing was written."""

    def __init__(
        self,
        company_id: str,
        *,
        primary: str | None = None,
        epoch: int | None = None,
        swapping_to: str | None = None,
        expected_epoch: int | None = None,
    ) -> None:
        if expected_epoch is not None:
            what = f"is in epoch {epoch}, and this was meant for epoch {expected_epoch}: read where it lives now, and begin from there"
        elif swapping_to is not None and swapping_to.startswith(RESTORE):
            what = "is being restored from a backup: wait until it is whole, or undo what was interrupted (deskstore backup restore --undo)"
        elif swapping_to is not None and swapping_to == primary:
            what = "lost its database, and its mirror may know more: run `deskstore migrate repair` (or `finish --without-mirror`)"
        elif swapping_to is not None:
            what = f"is moving to the store {swapping_to}: wait until it has, then open that one ({_HOW_TO_OPEN})"
        else:
            what = f"lives in the store {primary or 'that it moved to'} now: open that one ({_HOW_TO_OPEN})"
        super().__init__(f"company {company_id!r} {what}; nothing was written")
        self.company_id = company_id
        self.primary = primary  #: the id of the store that takes its writes
        self.epoch = epoch  #: the present one
        self.swapping_to = swapping_to  #: the id of the store that is about to take them
        self.expected_epoch = expected_epoch  #: the one that was named with what came too late


class StoreReplaced(StorageError):
    """Another directory or database, or none, stands where the company was opened; nothing can be kept through what was open."""

    def __init__(self, company_id: str, place: str) -> None:
        super().__init__(
            f"the directory or database of company {company_id!r} was removed or replaced while it was in use ({place}): "
            "nothing can be kept there; close this storage and open it again to work with what is there now"
        )
        self.company_id = company_id
        self.place = place


class CompanyErased(StorageError):
    """The company was erased; nothing can be read or written through what was open, and nothing that comes late is kept."""

    def __init__(self, company_id: str) -> None:
        super().__init__(f"company {company_id!r} was erased: nothing is kept of it or for it; open a new unit of work to begin it anew")
        self.company_id = company_id


class MigrationError(StorageError):
    """A migration cannot go on; both sides are as the message says."""


class ErasedBefore(MigrationError):
    """A company of that name was erased there, in an epoch that this one must begin above; nothing was changed."""

    def __init__(self, company_id: str, *, erased_epoch: int, epoch: int) -> None:
        super().__init__(
            f"company {company_id!r} was erased here in epoch {erased_epoch}, and is to begin anew in epoch {epoch}: "
            f"give it an epoch above {erased_epoch}; nothing was changed"
        )
        self.erased_epoch = erased_epoch


class BackupError(StorageError):
    """A backup cannot be taken or restored as asked; the message says what was changed, if anything."""


class DamagedBackup(BackupError):
    """A file is cut off, was changed, or never was a backup; nothing of it was kept."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place} is no whole backup: {reason}; use another copy of it, or another backup")
        self.place = place
        self.reason = reason


class ConfigurationError(StorageError):
    """The settings do not fit together; every fault is named, with the accepted values."""


def _some_of(keys: Sequence[Key]) -> str:
    return ", ".join(str(key) for key in keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
