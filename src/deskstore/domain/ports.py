"""
What deskstore asks of a storage, and what a storage gives its callers.

Structural protocols, matched by shape and never inherited. Every method raises StorageUnavailable when the store cannot be reached,
and CorruptRecord when what it finds is not what deskstore wrote; other errors are named where they can occur.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeVar, runtime_checkable

from attrs import frozen

from deskstore.domain.identifiers import Key
from deskstore.domain.paging import EVERYTHING, Filter, Page
from deskstore.domain.processing import Checkpoint, PlatformStats, Processing, Progress
from deskstore.domain.records import Article, Ticket

if TYPE_CHECKING:
    from deskstore.domain.changes import Changes, Committed
    from deskstore.domain.erasures import Erasure
    from deskstore.domain.findings import Check, Finding, Mended, Offer
    from deskstore.domain.mirror import CompanyState, Copy, Debt, Owed, Part, Thing, ThingDigest
    from deskstore.domain.outcomes import UnitOutcome
    from deskstore.domain.receiving import Head
    from deskstore.domain.summaries import StaleSummary, Summary
    from deskstore.domain.suppressions import Suppression, SuppressionName

R_co = TypeVar("R_co", covariant=True)

BeforeCommit = Callable[["Changes"], Awaitable[None]]
"""
Called once with a unit's changes, after its guards hold and while its locks are held; not when a guard fails.

Nobody sees anything of the unit before it has returned. What it raises comes out of apply(), and nothing is kept.
"""


class RecordReads(Protocol[R_co]):
    """Reads of tickets or of articles. Each call sees what was committed when it began."""

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, R_co]:
        """The records that exist among these keys."""
        ...

    async def heads(self, keys: Collection[Key]) -> Mapping[Key, Head]:
        """Digests, versions and processing of the records that exist among these keys, without payloads."""
        ...

    async def page(self, where: Filter, *, after: str | None = None, limit: int = 100) -> Page[R_co]:
        """
        At most limit (1 to 1,000) records that pass the filter, in the order created_us, platform, id, locale, all descending.

        Raises:
            InvalidRecord: The limit is out of range, `after` is not the `next` of such a page, the filter asks when records changed, which
                only streams tell, or for the processing of articles.
        """
        ...

    async def page_at(self, where: Filter, *, offset: int, limit: int = 100) -> Page[R_co]:
        """The same page, found by leaving out the first offset records; its cost grows with the offset."""
        ...

    def stream(self, where: Filter = EVERYTHING, *, after: Key | None = None) -> AsyncIterator[R_co]:
        """
        All records that pass the filter, ascending by code points of platform, id and locale, in batches of constant size.

        A record saved meanwhile is given in its old or its new form or, when it is new, perhaps not at all; none is given twice.

        Raises:
            CorruptRecord: At that record; stream(after=error.key) goes on behind it. One without a key comes behind all others.
            InvalidRecord: The filter asks for the processing of articles.
        """
        ...


class TicketReads(RecordReads[Ticket], Protocol):
    """Reads of tickets."""


class ArticleReads(RecordReads[Article], Protocol):
    """Reads of knowledge-base articles."""

    async def locales(self, platform: str, article_id: str) -> Sequence[str]:
        """The locales the article exists in, ascending."""
        ...


class SummaryReads(Protocol):
    """Reads of summaries."""

    async def current_many(self, keys: Collection[Key]) -> Mapping[Key, Summary]:
        """The current summaries of those records among these keys that have any: the highest pinned one, else the highest."""
        ...

    async def history(self, key: Key) -> Sequence[Summary]:
        """All summaries of a record, ascending by number."""
        ...

    def stale(self, platform: str | None = None) -> AsyncIterator[StaleSummary]:
        """Records whose current summary was written of another text than they have now, ascending by key."""
        ...


class ProgressReads(Protocol):
    """Reads of how far the processing has come."""

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, Processing]:
        """The processing of those tickets that exist among these keys."""
        ...

    async def progress(self, platform: str) -> Progress:
        """How many tickets of a platform are in which status; always equal to a recount."""
        ...

    async def stats(self) -> Sequence[PlatformStats]:
        """How many tickets and articles there are, a platform each, ascending by platform."""
        ...

    async def checkpoint(self, platform: str, stream: str) -> Checkpoint | None:
        """How far a stream has been read, or None when nothing was saved."""
        ...


class SuppressionReads(Protocol):
    """Reads of the requesters whose tickets are kept out."""

    async def secrets(self) -> Collection[bytes]:
        """The secrets under which they are hashed: none where nobody's tickets are kept out, else one as a rule."""
        ...

    async def find_many(self, names: Collection[SuppressionName]) -> Mapping[SuppressionName, Suppression]:
        """Those among these suppressions that exist."""
        ...


class TicketRepo(TicketReads, Protocol):
    """The tickets of a unit of work."""

    async def find(self, platform: str, ticket_id: str) -> Ticket | None:
        """The ticket, or None when there is none."""
        ...

    def save(self, ticket: Ticket, /) -> Ticket:
        """
        Keep the ticket at the commit, if it still has the version it was read with; version 0 must not exist yet.

        Gives back the same object; the new version is in what commit() returns.
        """
        ...

    def delete(self, key: Key, *, version: int) -> None:
        """Remove the ticket at the commit, with its processing, claim and summaries, if it still has that version."""
        ...


class KBRepo(ArticleReads, Protocol):
    """The knowledge-base articles of a unit of work."""

    async def find(self, platform: str, article_id: str, locale: str = "") -> Article | None:
        """The article in that locale, or None when there is none."""
        ...

    def save(self, article: Article, /) -> Article:
        """
        Keep the article at the commit, if it still has the version it was read with; version 0 must not exist yet.

        Gives back the same object; the new version is in what commit() returns.
        """
        ...

    def delete(self, key: Key, *, version: int) -> None:
        """Remove the article in that locale at the commit, with its summaries, if it still has that version."""
        ...


class SummaryRepo(SummaryReads, Protocol):
    """The summaries of a unit of work."""

    async def find(self, key: Key, number: int) -> Summary | None:
        """One summary of a record, or None when there is none with that number."""
        ...

    async def current(self, key: Key) -> Summary | None:
        """The record's current summary, or None when it has none."""
        ...

    def add(self, summary: Summary) -> None:
        """Keep one more summary at the commit, which numbers it; TicketNotFound or ArticleNotFound when the record is missing."""
        ...


class ProgressRepo(ProgressReads, Protocol):
    """How far the processing has come, in a unit of work."""

    async def find(self, platform: str, ticket_id: str) -> Processing | None:
        """The processing of a ticket, or None when there is no such ticket."""
        ...

    def save(self, processing: Processing, *, token: str | None = None) -> Processing:
        """
        Keep it at the commit: with a token if that is still the claim's, else if it has the version it was read with and no claim lives.

        Gives back the same object. Raises ClaimLost, VersionConflict or TicketNotFound from commit().
        """
        ...

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep at the commit how far a stream has been read; the last one saved stands."""
        ...


class SuppressionRepo(SuppressionReads, Protocol):
    """The requesters whose tickets are kept out, in a unit of work; reads give what is stored."""

    def save(self, suppression: Suppression, /) -> None:
        """
        Keep a requester's tickets out from the commit on; what it counts is added to what is counted already.

        From then on a commit that saves such a ticket raises RequesterSuppressed, also one that was under way.
        """
        ...

    def lift(self, name: SuppressionName) -> None:
        """Let a requester's tickets in again from the commit on."""
        ...


class UnitOfWork(Protocol):
    """
    Changes of one company that are kept all together or not at all.

    Nothing is written before commit(); leaving without it discards, and raises UncommittedChanges if there was something to keep and
    nothing else went wrong. One task at a time may use it: a second one gets UnitOfWorkMisuse.
    """

    @property
    def company_id(self) -> str: ...
    @property
    def tickets(self) -> TicketRepo: ...
    @property
    def articles(self) -> KBRepo: ...
    @property
    def summaries(self) -> SummaryRepo: ...
    @property
    def progress(self) -> ProgressRepo: ...
    @property
    def suppressions(self) -> SuppressionRepo: ...
    @property
    def outcome(self) -> UnitOutcome: ...

    async def commit(self) -> Committed:
        """
        Keep all changes, durably, or none; once.

        A cancellation is delivered when the outcome is known, and `outcome` tells it.

        Raises:
            VersionConflict: Somebody else saved first; `keys` names all records that must be read again.
            RequesterSuppressed: Tickets are of somebody who was erased; `keys` names all of them.
            ClaimLost: A token is no longer the current one, or a claim lives and none was given.
            TicketNotFound, ArticleNotFound: A summary or a processing names no record.
            StorageBusy: Somebody else held the store for too long.
            CommitOutcomeUnknown: The store broke at the one moment in which nobody can tell.
        """
        ...

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...


class Backend(Protocol):
    """What an adapter implements for one company; the unit of work is built on it, and decorators wrap it."""

    @property
    def company_id(self) -> str: ...
    @property
    def tickets(self) -> TicketReads: ...
    @property
    def articles(self) -> ArticleReads: ...
    @property
    def summaries(self) -> SummaryReads: ...
    @property
    def progress(self) -> ProgressReads: ...
    @property
    def suppressions(self) -> SuppressionReads: ...

    async def apply(self, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        """Check every guard under the lock and keep all changes, or raise and keep none; raises what commit() raises."""
        ...


class Replica(Protocol):
    """Raw copies of one company, versions kept: a side of hybrid, migration, verification or backup."""

    async def store_id(self) -> str:
        """Which store this is; it is given its place if it has none yet. A copy of the place has the same id."""
        ...

    async def state(self) -> CompanyState | None:
        """Where the company lives, as this store knows it; None when it does not know the company."""
        ...

    async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
        """
        Set the state durably if it is as expected; False, and nothing changed, if it is not.

        What was owed to a consumer that is none any more is forgotten, and with the last consumer what is known of deletions.

        Raises:
            MigrationError: The primary changes, or a mirror goes, or the company begins after an erasure, without a higher epoch: what
                comes late would be kept.
        """
        ...

    def copies(self, part: Part, *, after: Thing | None = None) -> AsyncIterator[Copy]:
        """All things of one part as they stand, ascending by their names."""
        ...

    async def read(self, things: Collection[Thing]) -> Sequence[Copy]:
        """These things as they stand, ascending; what does not exist has value None and the version it was deleted at, or 0."""
        ...

    async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
        """Any at most limit things that a consumer, one of the state's, has yet to be told of."""
        ...

    async def owed(self, consumer: str, limit: int) -> Owed:
        """
        What a consumer has yet to be told of, as it stands, and where the company lives: all of one moment, between two commits.

        At most limit things, and fewer where they are heavy; for a last step, since commits may have to wait meanwhile.

        Raises:
            CorruptRecord: One of them cannot be trusted; outbox() and read() tell of the others.
        """
        ...

    async def acknowledge(self, consumer: str, debts: Collection[Debt], *, epoch: int | None) -> None:
        """
        Forget these debts to one consumer, each only up to its version: a later change of the same thing stays owed.

        The epoch is as for apply().
        """
        ...

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        """
        Keep those copies that are newer than what stands here, all in one commit, and say how many those were.

        A processing or a summary goes with its record: one whose record is neither here nor among the copies is not kept.

        Args:
            epoch: Of this store's state, read before the copies were; compared inside the commit. None, for a restore alone, takes the
                company as it is, and makes it where there is none.

        Raises:
            CompanyMoved: The company is in another epoch by now; nothing was kept.
            CompanyErased: The company is gone, or going; nothing was kept.
        """
        ...

    def digests(self, part: Part, *, after: Thing | None = None, rehash: bool = False) -> AsyncIterator[ThingDigest]:
        """Name, version and digest_of() of all things of one part, ascending by name; payloads are hashed anew if that is asked for."""
        ...


@frozen(kw_only=True)
class Health:
    """How a storage is doing."""

    adapter: str  #: "memory", "file", …
    place: str  #: where it keeps its records, without secrets
    companies: int
    cache: str | None = None  #: where a cache is and how it is doing; None without one


class Storage(Protocol):
    """A place that keeps the records of many companies, each sealed off from the others."""

    def unit_of_work(self, company_id: str) -> UnitOfWork:
        """
        A unit of work of one company; opening it does no I/O.

        Raises:
            CompanyRequired: No company was named.
            InvalidIdentifier: The company's id breaks the rules for names.
        """
        ...

    def backend(self, company_id: str) -> Backend:
        """What the company's units of work stand on; for decorators and for replication, not for applications."""
        ...

    def replica(self, company_id: str) -> Replica:
        """The company as raw copies; raises as unit_of_work does."""
        ...

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        """
        Take up to n tickets for a worker until the lease ends, at most 15 minutes on; commits by itself.

        Pending tickets, those whose claim ran out more than 5 s ago and failed ones whose back-off is over; smallest claimable_at first.
        """
        ...

    async def companies(self) -> Sequence[str]:
        """Every registered company, ascending."""
        ...

    async def erase(self, company_id: str) -> Erasure | None:
        """
        Remove a company with all that is kept of it but one line; whoever has it open gets CompanyErased or StorageUnavailable.

        Gives that line, or None where there was no company; one that was left half erased is erased to the end.
        """
        ...

    async def erasures(self) -> Sequence[Erasure]:
        """What stays of all companies that were erased here, ascending by time."""
        ...

    async def health(self) -> Health:
        """How the storage is doing; raises StorageUnavailable when it does not work."""
        ...

    def clock(self) -> datetime:
        """The present moment, aware and UTC."""
        ...

    async def aclose(self) -> None:
        """Finish what is under way and let go of everything; later calls raise StorageUnavailable."""
        ...


class Inspection(Protocol):
    """A look through what a storage keeps, past the ways by which it is read, and the means to mend it."""

    async def checks(self) -> Sequence[Check]:
        """What can be told of the storage's place, whatever is kept there."""
        ...

    async def companies(self) -> Sequence[str]:
        """Every company of which something is there, ascending; also those that no other read lists, since something is wrong with them."""
        ...

    async def layout(self, company_id: str) -> int | None:
        """In which version of the layout a company is kept; None when nothing tells."""
        ...

    def findings(self, company_id: str) -> AsyncIterator[Finding]:
        """Whatever of a company is not as it was left, in batches of constant size; changes nothing, also while others are at work."""
        ...

    async def offer(self, finding: Finding) -> Offer:
        """What a file that another hand wrote holds; raises InvalidRecord when that can be no record."""
        ...

    async def mend(self, finding: Finding) -> Mended:
        """Heal what was found, or set it aside, in one durable commit; what became right meanwhile stays."""
        ...

    async def release_claims(self, company_id: str) -> bool:
        """Hand tickets out again before the wait after a lost database is over; False when nobody had to wait."""
        ...


@runtime_checkable
class Inspectable(Protocol):
    """What a storage may offer beside Storage."""

    def inspection(self) -> Inspection:
        """A look through what it keeps."""
        ...


@frozen(kw_only=True)
class CacheState:
    """How a cache is doing."""

    place: str  #: where it is, without secrets
    is_answering: bool
    detail: str

    def __str__(self) -> str:
        return f"{self.place}, {self.detail}"


@runtime_checkable
class Caching(Protocol):
    """What a storage with a cache before it offers beside Storage."""

    async def cache_state(self) -> CacheState:
        """How the cache is doing; never raises."""
        ...

    async def cache_counts(self, company_id: str) -> Mapping[str, int]:
        """How many values of a company were hits, misses, bypasses and errors, by every process, since the cache was emptied last."""
        ...

    async def flush_cache(self, company_id: str) -> None:
        """End all that is cached of a company; raises StorageUnavailable where the cache does not answer."""
        ...


@runtime_checkable
class Measured(Protocol):
    """What a storage may offer beside Storage."""

    def figures(self) -> Mapping[str, float]:
        """Numbers of this process alone, at hand without asking the store; may be called from any thread."""
        ...


@runtime_checkable
class Warming(Protocol):
    """What a storage may offer beside Storage whose first calls take longer than all others."""

    async def warm_up(self, company_id: str, calls: int) -> None:
        """Make ready for so many units of a company at once; changes nothing of it."""
        ...


@runtime_checkable
class Mirroring(Protocol):
    """What a storage offers beside Storage that reaches both sides of a company."""

    async def drained(self, company_id: str) -> None:
        """Wait until the company's mirror has all that was committed before."""
        ...


@runtime_checkable
class ServingUnits(Protocol):
    """What a backend may offer beside Backend that has to know the unit of work that stands on it."""

    def serve(self, unit: Buffer, /) -> None:
        """Stand beneath this unit from now on."""
        ...


class Buffer(Protocol):
    """What a backend may have to know of a unit of work."""

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to commit yet."""
        ...
