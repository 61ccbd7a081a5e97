"""How far the processing of a ticket has come: statuses, claims and the rules that bind them."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Self

from attrs import evolve, field, frozen

from deskstore.domain import identifiers, times
from deskstore.domain.errors import InvalidRecord, InvalidTransition
from deskstore.domain.identifiers import Key
from deskstore.domain.records import clean

CLOCK_SKEW: Final = timedelta(seconds=5)  #: how far the clocks of two workers may differ
LONGEST_LEASE: Final = timedelta(minutes=15)
MOST_ATTEMPTS: Final = 2**31 - 1
ERROR_LENGTH: Final = 2_000  #: code points of an error kept with a failed ticket


class ProcessingStatus(StrEnum):
    """What has become of a ticket's processing."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


PENDING: Final = ProcessingStatus.PENDING
PROCESSING: Final = ProcessingStatus.PROCESSING
COMPLETED: Final = ProcessingStatus.COMPLETED
FAILED: Final = ProcessingStatus.FAILED

ALLOWED: Final = {
    PENDING: (PROCESSING, COMPLETED, FAILED),
    PROCESSING: (COMPLETED, FAILED, PENDING),
    FAILED: (PENDING, PROCESSING),
    COMPLETED: (PENDING,),
}


@frozen(kw_only=True)
class Claim:
    """Who works on a ticket, and until when."""

    worker: str
    token: str  #: random; whoever holds it may renew, complete, fail or release
    lease_until: datetime = field(converter=times.aware_utc)
    text_digest: bytes  #: of the ticket when it was claimed: a completion of another text is none


def _error(text: str | None) -> str | None:
    return clean(text, ERROR_LENGTH)


@frozen(kw_only=True)
class Processing:
    """How far one ticket has come; a thing of its own, with its own version."""

    key: Key  #: the ticket's
    status: ProcessingStatus = PENDING
    attempts: int = 0  #: how often a worker took it since its text last changed
    error: str | None = field(default=None, converter=_error)  #: why it failed last
    claim: Claim | None = None  #: who holds it now
    claimable_at: datetime | None = field(default=None, converter=times.optional_utc)  #: from when on a worker may take it; None = never
    changed_at: datetime = field(converter=times.aware_utc)  #: when the status last changed
    version: int = 0  #: 0 = never saved

    def check(self) -> None:
        """See that every storage can count its attempts; raises InvalidRecord."""
        if not 0 <= self.attempts <= MOST_ATTEMPTS:
            raise InvalidRecord(f"attempts of {self.key} are {identifiers.shown(self.attempts)}: give 0 to {MOST_ATTEMPTS}")

    def is_claimed(self, now: datetime) -> bool:
        """Whether a claim lives: its lease, and five seconds for skew, have not run out."""
        return self.claim is not None and self.claimable_at is not None and now < self.claimable_at

    def to(self, status: ProcessingStatus, *, now: datetime) -> Self:
        """
        The same processing in another status, or itself when it has that status already.

        Who says that a ticket is in processing without a claim has no token: the ticket is left to them for as long as the longest lease,
        and then handed out again.

        Raises:
            InvalidTransition: No such step leads on from the present status.
        """
        if status == self.status:
            return self
        self._check(status)
        return evolve(self, status=status, claim=None, error=None, claimable_at=_again_at(status, now), changed_at=now)

    def claimed(self, claim: Claim, *, now: datetime, version: int | None = None) -> Self:
        """The same processing in the hands of a worker, at another version if one is given."""
        again_at = claim.lease_until + CLOCK_SKEW
        return evolve(
            self,
            status=PROCESSING,
            attempts=min(self.attempts, MOST_ATTEMPTS - 1) + 1,
            error=None,
            claim=claim,
            claimable_at=again_at,
            changed_at=now,
            version=self.version if version is None else version,
        )

    def renewed(self, lease_until: datetime) -> Self:
        """The same claim with a longer lease."""
        claim = None if self.claim is None else evolve(self.claim, lease_until=lease_until)
        return evolve(self, claim=claim, claimable_at=lease_until + CLOCK_SKEW)

    def bounded(self, now: datetime) -> Self:
        """
        The same processing without what its status rules out.

        Only in processing is it claimed, for 15 minutes at most, and never once done.
        """
        if self.status == PROCESSING and self.claim is not None:
            return self.renewed(min(self.claim.lease_until, now + LONGEST_LEASE))
        return evolve(self, claim=None, claimable_at=None if self.status == COMPLETED else self.claimable_at)

    def completed(self, *, now: datetime) -> Self:
        """The same processing, done; raises InvalidTransition."""
        return self.to(COMPLETED, now=now)

    def failed(self, reason: str, *, now: datetime, retry_at: datetime | None) -> Self:
        """The same processing, given up on for now, or for good without a retry_at; raises InvalidTransition."""
        return evolve(self.to(FAILED, now=now), error=reason, claimable_at=retry_at)

    def released(self, *, now: datetime) -> Self:
        """The same processing, given back; raises InvalidTransition."""
        return self.to(PENDING, now=now)

    def _check(self, wanted: ProcessingStatus) -> None:
        if wanted not in ALLOWED[self.status]:
            raise InvalidTransition(self.key, self.status, wanted, ALLOWED[self.status])


def _again_at(status: ProcessingStatus, now: datetime) -> datetime | None:
    """From when on a worker may take a ticket whose status was set without a claim."""
    match status:
        case ProcessingStatus.PENDING:
            return now
        case ProcessingStatus.PROCESSING:
            return now + LONGEST_LEASE + CLOCK_SKEW
        case ProcessingStatus.COMPLETED | ProcessingStatus.FAILED:
            return None


def span(name: str, value: object) -> timedelta:
    """A length of time; raises InvalidRecord for anything else, a number for one: nobody could tell its unit."""
    if not isinstance(value, timedelta):
        raise InvalidRecord(f"{name} is {identifiers.shown(value)}: give a datetime.timedelta, for example timedelta(minutes=2)")
    return value


def checked_lease(value: object) -> timedelta:
    """A lease, longer than nothing and at most 15 minutes; raises InvalidRecord."""
    lease = span("the lease", value)
    if not timedelta(0) < lease <= LONGEST_LEASE:
        raise InvalidRecord(
            f"the lease is {lease}: give more than nothing and at most {LONGEST_LEASE}; "
            "work may take longer, since work_off() and claims() renew it by themselves, and renew() does for other programs"
        )
    return lease


def fresh(key: Key, *, now: datetime, version: int = 0) -> Processing:
    """The processing of a ticket whose text nobody has looked at yet."""
    return Processing(key=key, claimable_at=now, changed_at=now, version=version)


@frozen(kw_only=True)
class Progress:
    """How far the tickets of one platform have come; always equal to a recount."""

    platform: str
    pending: int = 0
    processing: int = 0
    completed: int = 0
    failed: int = 0
    last_updated: datetime | None = None  #: when a status last changed or a ticket came or went; None without any

    @property
    def total(self) -> int:
        """All tickets of the platform."""
        return self.pending + self.processing + self.completed + self.failed

    @property
    def percentage(self) -> float:
        """Completed tickets in per cent of all, 0.0 to 100.0."""
        return 100.0 * self.completed / self.total if self.total else 0.0


@frozen(kw_only=True)
class PlatformStats:
    """What is kept of one platform."""

    platform: str
    tickets: int = 0
    articles: int = 0

    @property
    def total(self) -> int:
        """Tickets and articles, all locales counted."""
        return self.tickets + self.articles


@frozen(kw_only=True)
class Checkpoint:
    """How far a stream of one platform has been read, saved in the unit of the batch it belongs to."""

    platform: str
    stream: str
    cursor: str
    version: int = 0
