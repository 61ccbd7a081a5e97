"""
Every error deskstore raises.

StorageError
├── InvalidRecord            what was given cannot be kept as it is
│   └── InvalidIdentifier    an id, platform, locale or company id breaks the rules for names
│       └── CompanyRequired  no company was named
├── TicketNotFound
├── ArticleNotFound
├── VersionConflict          somebody else saved first: read again and retry
├── ClaimLost                the claim's token is no longer the current one
├── InvalidTransition        a processing status cannot follow the present one
├── UncommittedChanges       a unit of work was left with changes and without commit()
├── UnitOfWorkMisuse         two tasks in one unit, a unit too large, a unit used after its end
├── CorruptRecord            what is stored is not what deskstore wrote
├── StorageUnavailable       the store cannot be reached or does not work
│   └── StorageBusy          somebody else held the store for too long
├── CommitOutcomeUnknown     nobody could tell whether the last commit took place
├── CompanyMoved             the company's records live elsewhere by now
├── CompanyErased            the company was erased while it was in use
├── MigrationError
└── ConfigurationError       the settings do not fit together

A message says what, which, and what to do next; the parts a program may need are attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deskstore.domain.identifiers import Key


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
        named = ", ".join(str(key) for key in keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
        super().__init__(f"{named} changed since you read it: read it again and retry")
        self.keys = tuple(keys)  #: all that conflict, so that a batch reads just those again


class ClaimLost(StorageError):
    """The token is no longer the ticket's current one; nothing of the unit was written."""

    def __init__(self, keys: Sequence[Key]) -> None:
        named = ", ".join(str(key) for key in keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
        super().__init__(f"the claim on {named} is not yours: another worker holds it, or the ticket is gone; claim again")
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

    def __init__(self, key: Key | None, place: str, reason: str) -> None:
        super().__init__(
            f"{key or 'a record'} cannot be trusted: {place}: {reason}; nothing of it is returned; `deskstore doctor` tells what can be done"
        )
        self.key = key  #: pass it to stream(after=…) to go on behind this record
        self.place = place  #: the file, or the row
        self.reason = reason


class StorageUnavailable(StorageError):
    """The store cannot be reached or does not work; what was not acknowledged was not kept."""


class StorageBusy(StorageUnavailable):
    """Somebody else held the store for too long; nothing was written, try again."""


class CommitOutcomeUnknown(StorageError):
    """Nobody could tell whether the last commit took place; read before you write again."""


class CompanyMoved(StorageError):
    """The company's records live elsewhere by now, or another store stands in this place."""


class CompanyErased(StorageError):
    """The company was erased; nothing can be read or written through what was open."""


class MigrationError(StorageError):
    """A migration cannot go on; both sides are as the message says."""


class ConfigurationError(StorageError):
    """The settings do not fit together; every fault is named, with the accepted values."""
