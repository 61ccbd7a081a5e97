"""Tickets and articles: the payload a platform sent, byte for byte, with the fields taken from it beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Final, NamedTuple, NotRequired, Self, TypedDict, Unpack

from attrs import Factory, evolve, field, fields, frozen

from deskstore.domain import payloads, times
from deskstore.domain.errors import InvalidRecord
from deskstore.domain.identifiers import ARTICLE, TICKET, Key

SUBJECT_LENGTH: Final = 500  #: code points
TEXT_LENGTH: Final = 100  #: code points of status, priority, requester and source_version
_UNKEEPABLE: Final = "[\x00\ud800-\udfff]"  # compiled when first met: a set so wide takes long


def clean(text: str | None, longest: int = TEXT_LENGTH) -> str | None:
    """Text fit for every storage: NUL and lone surrogates become U+FFFD, what is longer is cut."""
    if text is None:
        return None
    cut = text[:longest]
    # what nearly every text is can be told in a fifth of the time
    return cut if cut.isascii() and "\0" not in cut else re.sub(_UNKEEPABLE, "\ufffd", cut)


def _subject(text: str | None) -> str | None:
    return clean(text, SUBJECT_LENGTH)


class SourceVersion(NamedTuple):
    """Where a payload stands in the platform's own order: comparable only when both were taken from the same field."""

    field: str  #: the payload's field it was taken from, such as "updated_at"
    value: int  #: microseconds since 1970, or the platform's own count

    def is_older_than(self, other: SourceVersion) -> bool:
        """Whether the platform made this one earlier; False when the two cannot be compared."""
        return self.field == other.field and self.value < other.value


def _comparable(version: SourceVersion | None) -> SourceVersion | None:
    return version if version is not None and times.fits(version.value) else None


@frozen(kw_only=True)
class Fields:
    """
    What deskstore reads out of a payload to filter, order and compare; the payload itself is never changed.

    Text is cleaned on the way in: NUL and lone surrogates become U+FFFD, the subject is cut at 500 characters, the rest at 100.
    """

    subject: str | None = field(default=None, converter=_subject)
    status: str | None = field(default=None, converter=clean)  #: the platform's own text for it
    priority: str | None = field(default=None, converter=clean)
    requester: str | None = field(default=None, converter=clean)
    created_at: datetime | None = field(default=None, converter=times.optional_utc)
    updated_at: datetime | None = field(default=None, converter=times.optional_utc)
    source_version: SourceVersion | None = field(default=None, converter=_comparable)  #: None where nothing of 64 bits orders its versions
    text_digest: bytes  #: sha256 of what counts as the record's text, 32 bytes


def _payload_digest(incoming: Incoming) -> bytes:
    return payloads.digest(incoming.payload)


@frozen(kw_only=True)
class Incoming:
    """A payload on its way in, with what the platform's mapping read from it."""

    key: Key
    payload: bytes  #: exactly as the platform sent it
    fields: Fields
    sha256: bytes = field(default=Factory(_payload_digest, takes_self=True))  #: of the payload, 32 bytes
    checked: bytes | None = field(default=None, eq=False, repr=False)  #: the very payload, from who saw that it keeps the rule for JSON


@frozen(kw_only=True)
class Record:
    """What a ticket and an article have in common; equal when all of it is equal."""

    payload: bytes = field(repr=False)  #: exactly as the platform sent it
    sha256: bytes = field(repr=False)  #: of the payload, 32 bytes
    fields: Fields
    saved_at: datetime = field(converter=times.aware_utc)  #: when this payload was received
    version: int = 0  #: 0 = never saved; the storage assigns it, and it never repeats for a key
    checked: bytes | None = field(default=None, eq=False, repr=False)  #: the very payload, if somebody saw that it keeps the rule for JSON

    def receive(self, incoming: Incoming, *, now: datetime) -> Self:
        """The same record with another payload: records replace, they never merge."""
        return evolve(self, **_received(incoming, now))

    def at_version(self, version: int) -> Self:
        """The same record at the version that a storage gives it, which makes it no other: nothing is checked or worked out anew."""
        same = object.__new__(type(self))
        for name in _STAYS[type(self)]:
            object.__setattr__(same, name, getattr(self, name))
        object.__setattr__(same, "version", version)
        return same

    @property
    def data(self) -> payloads.Parsed:
        """The payload's value, parsed anew at each call, integers exact."""
        return payloads.parse(self.payload)


@frozen(kw_only=True)
class Ticket(Record):
    """A support ticket of one platform."""

    platform: str
    ticket_id: str

    @cached_property  # a commit asks for it a dozen times
    def key(self) -> Key:
        """The ticket's name within its company."""
        return Key(TICKET, self.platform, self.ticket_id)


@frozen(kw_only=True)
class Article(Record):
    """A knowledge-base article of one platform in one locale; translations share the id."""

    platform: str
    article_id: str
    locale: str = ""  #: empty where the platform has none

    @cached_property  # a commit asks for it a dozen times
    def key(self) -> Key:
        """The article's name within its company."""
        return Key(ARTICLE, self.platform, self.article_id, self.locale)


#: what a record keeps when its version changes: all other fields, and the key, which was worked out of them
_STAYS: Final[Mapping[type[Record], tuple[str, ...]]] = {
    kind: (*(one.name for one in fields(kind) if one.name != "version"), "key") for kind in (Ticket, Article)
}


def check_record(record: Ticket | Article) -> None:
    """
    See that the payload of a record keeps the rule for JSON and is the one its sha256 is of; once, where formats saw to the first already.

    Raises:
        InvalidRecord: It does not.
    """
    if record.checked is not record.payload:
        payloads.check(record.payload, f"the payload of {record.key}")
        if payloads.digest(record.payload) != record.sha256:
            raise InvalidRecord(f"the sha256 of {record.key} is another payload's: let new_ticket(), new_article() or receive() set both")


class Kept(TypedDict):
    """What a storage keeps of a record beside its key."""

    payload: bytes
    sha256: bytes
    fields: Fields
    saved_at: datetime
    version: NotRequired[int]
    checked: NotRequired[bytes | None]


def record_of(key: Key, **kept: Unpack[Kept]) -> Ticket | Article:
    """The record that a key names."""
    return ticket_of(key, **kept) if key.kind == TICKET else article_of(key, **kept)


def ticket_of(key: Key, **kept: Unpack[Kept]) -> Ticket:
    """The ticket that a key names."""
    return Ticket(platform=key.platform, ticket_id=key.id, **kept)


def article_of(key: Key, **kept: Unpack[Kept]) -> Article:
    """The article that a key names."""
    return Article(platform=key.platform, article_id=key.id, locale=key.locale, **kept)


def new_ticket(incoming: Incoming, *, now: datetime) -> Ticket:
    """The ticket of a payload of which no earlier one is known."""
    return ticket_of(incoming.key, **_received(incoming, now))


def new_article(incoming: Incoming, *, now: datetime) -> Article:
    """The article of a payload of which no earlier one is known."""
    return article_of(incoming.key, **_received(incoming, now))


def _received(incoming: Incoming, now: datetime) -> Kept:
    came = incoming
    return {"payload": came.payload, "sha256": came.sha256, "fields": came.fields, "saved_at": now, "checked": came.checked}
