"""
What stands in a line of a backup before the payload or the content: the fields of each kind of thing, and the value they make.

The fields are digested as they stand, which is what a check does with millions of lines; a value is made of them only where it is stored.
"""

from __future__ import annotations

from hashlib import sha256
from struct import pack
from typing import Annotated, Final

from attrs import evolve
from msgspec import Meta, Struct

from deskstore.domain import identifiers, summaries, times
from deskstore.domain.identifiers import Key, Kind
from deskstore.domain.mirror import Part, Thing
from deskstore.domain.processing import Checkpoint, Claim, Processing, ProcessingStatus
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.suppressions import Suppression
from deskstore.formats.archive.fields import (
    Count,
    Field,
    FieldsLine,
    Hash,
    Us,
    Version,
    check_payload,
    exact_bytes,
    hash_of,
    is_plain,
    moment,
    seen,
)

_FLAGS: Final = {True: "true", False: "false"}


class _Line(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="part"):
    """What every line begins with; each adds the thing it is of, the fields that count for its digest, and the value it holds."""

    version: Version


class TicketLine(_Line, tag="ticket", frozen=True, kw_only=True):
    """A ticket; its payload follows."""

    platform: str
    id: str
    saved_at: Us
    sha256: Hash
    fields: FieldsLine

    @property
    def thing(self) -> Thing:
        """The ticket's name."""
        return Thing("ticket", "ticket", self.platform, self.id)

    def content(self, last: bytes) -> tuple[Field, ...]:
        """The fields that count, once the payload was seen to be the one that was hashed."""
        return (seen(last, self.sha256), *self.fields.content(), self.saved_at)

    def check(self, last: bytes) -> None:
        """See that every storage keeps the ticket as it is; raises InvalidRecord or ValueError."""
        identifiers.ticket_key(self.platform, self.id)
        check_payload(last, self.sha256)
        self.fields.check()

    def value(self, last: bytes) -> Ticket:
        """The ticket, of a line that was checked."""
        return Ticket(
            platform=self.platform,
            ticket_id=self.id,
            payload=last,
            sha256=bytes.fromhex(self.sha256),
            fields=self.fields.value(),
            saved_at=times.moment(self.saved_at),
            version=self.version,
            checked=last,
        )


class ArticleLine(_Line, tag="article", frozen=True, kw_only=True):
    """An article; its payload follows."""

    platform: str
    id: str
    locale: str
    saved_at: Us
    sha256: Hash
    fields: FieldsLine

    @property
    def thing(self) -> Thing:
        """The article's name."""
        return Thing("article", "article", self.platform, self.id, self.locale)

    def content(self, last: bytes) -> tuple[Field, ...]:
        """The fields that count, once the payload was seen to be the one that was hashed."""
        return (seen(last, self.sha256), *self.fields.content(), self.saved_at)

    def check(self, last: bytes) -> None:
        """See that every storage keeps the article as it is; raises InvalidRecord or ValueError."""
        identifiers.article_key(self.platform, self.id, self.locale)
        check_payload(last, self.sha256)
        self.fields.check()

    def value(self, last: bytes) -> Article:
        """The article, of a line that was checked."""
        return Article(
            platform=self.platform,
            article_id=self.id,
            locale=self.locale,
            payload=last,
            sha256=bytes.fromhex(self.sha256),
            fields=self.fields.value(),
            saved_at=times.moment(self.saved_at),
            version=self.version,
            checked=last,
        )


class ClaimLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who holds a ticket."""

    worker: str
    token: str
    lease_until: Us
    text_digest: Hash

    def value(self) -> Claim:
        """The claim; raises ValueError or InvalidRecord."""
        if not is_plain(self.token):
            raise ValueError("its token fits no storage")
        return Claim(
            worker=identifiers.worker(self.worker),
            token=self.token,
            lease_until=times.moment(self.lease_until),
            text_digest=exact_bytes(self.text_digest),
        )


class ProcessingLine(_Line, tag="processing", frozen=True, kw_only=True):
    """How far a ticket has come."""

    platform: str
    id: str
    status: str
    attempts: int
    error: str | None
    claim: ClaimLine | None
    claimable_at: Us | None
    changed_at: Us

    @property
    def thing(self) -> Thing:
        """The processing's name, which is the ticket's."""
        return Thing("processing", "ticket", self.platform, self.id)

    def content(self, last: bytes) -> tuple[Field, ...]:
        """The fields that count."""
        claim = self.claim
        held = (claim.worker, claim.token, claim.lease_until, hash_of(claim.text_digest)) if claim else (None,) * 4
        return (self.status, self.attempts, self.error, *held, self.claimable_at, self.changed_at)

    def value(self, last: bytes) -> Processing:
        """The processing."""
        one = Processing(
            key=identifiers.ticket_key(self.platform, self.id),
            status=ProcessingStatus(self.status),
            attempts=self.attempts,
            error=self.error,
            claim=None if self.claim is None else self.claim.value(),
            claimable_at=moment(self.claimable_at),
            changed_at=times.moment(self.changed_at),
            version=self.version,
        )
        one.check()
        return one


class SummaryLine(_Line, tag="summary", frozen=True, kw_only=True):
    """A summary of a record; its content follows."""

    kind: Kind
    platform: str
    id: str
    locale: str
    number: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    model: str | None
    prompt_id: str | None
    parameters: str
    tokens: int | None
    cost: float | None
    source_digest: Hash
    pinned: bool
    created_at: Us

    @property
    def thing(self) -> Thing:
        """The summary's name: its record's, and its number."""
        return Thing("summary", self.kind, self.platform, self.id, self.locale, self.number)

    def content(self, last: bytes) -> tuple[Field, ...]:
        """The fields that count."""
        cost = None if self.cost is None else pack(">d", self.cost).hex()
        made = (self.model, self.prompt_id, sha256(self.parameters.encode()).hexdigest(), self.tokens, cost)
        return (sha256(last).hexdigest(), *made, hash_of(self.source_digest), _FLAGS[self.pinned], self.created_at)

    def value(self, last: bytes) -> Summary:
        """The summary."""
        unsaved = Summary(
            key=identifiers.checked_key(Key(self.kind, self.platform, self.id, self.locale)),
            content=last,
            model=self.model,
            prompt_id=self.prompt_id,
            parameters=self.parameters.encode(),
            tokens=self.tokens,
            cost=self.cost,
            source_digest=exact_bytes(self.source_digest),
            pinned=self.pinned,
            created_at=times.moment(self.created_at),
        )
        return evolve(summaries.checked(unsaved), number=self.number, version=self.version)


class CheckpointLine(_Line, tag="checkpoint", frozen=True, kw_only=True):
    """How far a stream has been read."""

    platform: str
    stream: str
    cursor: str

    @property
    def thing(self) -> Thing:
        """The checkpoint's name."""
        return Thing("checkpoint", "", self.platform, self.stream)

    def content(self, last: bytes) -> tuple[Field, ...]:
        """The field that counts."""
        return (self.cursor,)

    def value(self, last: bytes) -> Checkpoint:
        """The checkpoint."""
        if not is_plain(self.cursor):
            raise ValueError("its cursor fits no storage")
        platform, stream = identifiers.platform(self.platform), identifiers.stream(self.stream)
        return Checkpoint(platform=platform, stream=stream, cursor=self.cursor, version=self.version)


class SuppressionLine(_Line, tag="suppression", frozen=True, kw_only=True):
    """A requester who was erased, and whose tickets are kept out."""

    platform: str
    digest: Hash
    secret: Hash
    created_at: Us
    tickets: Count
    summaries: Count

    @property
    def thing(self) -> Thing:
        """The suppression's name."""
        return Thing("suppression", "", self.platform, self.digest)

    def content(self, last: bytes) -> tuple[Field, ...]:
        """The fields that count."""
        return (hash_of(self.secret), self.created_at, self.tickets, self.summaries)

    def value(self, last: bytes) -> Suppression:
        """The suppression."""
        return Suppression(
            platform=identifiers.platform(self.platform),
            digest=exact_bytes(self.digest).hex(),
            secret=exact_bytes(self.secret),
            created_at=times.moment(self.created_at),
            tickets=self.tickets,
            summaries=self.summaries,
            version=self.version,
        )


Line = TicketLine | ArticleLine | ProcessingLine | SummaryLine | CheckpointLine | SuppressionLine
"""
What stands in a line before the payload or the content, or all of it.

content(last), value(last) and check(last) are given the payload's or the content's bytes. What not every storage keeps is found by check()
of a record, which takes half the time that making one does, and by value() of everything else: InvalidRecord or ValueError.
"""


class DeletedLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A thing that was deleted while the backup was taken, after an earlier line may have told of it."""

    deleted: Part
    kind: str
    platform: str
    id: str
    locale: str
    number: int
    version: Annotated[int, Meta(ge=0, le=times.LAST_US)]

    @property
    def thing(self) -> Thing:
        """The name of the thing."""
        return Thing(self.deleted, self.kind, self.platform, self.id, self.locale, self.number)
