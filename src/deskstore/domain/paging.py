"""Filters, pages and the opaque cursors between them."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Generic, TypeVar

from attrs import field, frozen

from deskstore.domain import identifiers, times
from deskstore.domain.errors import InvalidRecord
from deskstore.domain.identifiers import TICKET, Key, Kind, checked_key
from deskstore.domain.processing import Processing, ProcessingStatus
from deskstore.domain.records import Article, Ticket, clean

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
LARGEST_PAGE: Final = 1_000  #: records


def _platform(value: str | None) -> str | None:
    return None if value is None else identifiers.platform(value)


@frozen(kw_only=True)
class Filter:
    """
    Which records are meant; what is None lets everything through, and all that is given must hold.

    Raises:
        InvalidIdentifier: The platform's name breaks the rules for names.
    """

    platform: str | None = field(default=None, converter=_platform)
    status: str | None = field(default=None, converter=clean)  #: the platform's own text, exactly; cleaned as the text it is compared with
    status_aliases: tuple[tuple[str, str], ...] = ()  #: platforms with another text that means the status; of no effect without one
    processing: ProcessingStatus | None = None  #: of tickets; refused where articles are asked for
    created_from: datetime | None = field(default=None, converter=times.optional_utc)  #: this moment or later
    created_to: datetime | None = field(default=None, converter=times.optional_utc)  #: earlier than this moment
    #: received at this moment or later; of streams, and refused by pages
    changed_since: datetime | None = field(default=None, converter=times.optional_utc)
    requester: str | None = field(default=None, converter=clean)  #: exactly; of streams, and refused by pages

    @property
    def statuses(self) -> tuple[tuple[str | None, str], ...]:
        """Every (platform, text) that passes as the status, each ticket at most by one of them; empty when any status will do."""
        if self.status is None:
            return ()
        others = tuple((platform, text) for platform, text in self.status_aliases if text != self.status)
        return ((None, self.status), *others)

    def passes(self, record: Ticket | Article, processing: Processing | None) -> bool:
        """Whether a record with this processing is meant, for storages that look at each."""
        created_at = record.fields.created_at
        return (
            self.platform in (None, record.platform)
            and (self.status is None or any(_means(status, record) for status in self.statuses))
            and self.processing in (None, processing.status if processing else None)
            and (self.created_from is None or (created_at is not None and created_at >= self.created_from))
            and (self.created_to is None or (created_at is not None and created_at < self.created_to))
            and (self.changed_since is None or record.saved_at >= self.changed_since)
            and self.requester in (None, record.fields.requester)
        )


def _means(status: tuple[str | None, str], record: Ticket | Article) -> bool:
    platform, text = status
    return platform in (None, record.platform) and text == record.fields.status


EVERYTHING: Final = Filter()


class Position(tuple[int, str, str, str]):
    """Where a record stands in a page's order: (created_us, platform, id, locale), all descending."""

    __slots__ = ()

    @classmethod
    def of(cls, created_at: datetime | None, key: Key) -> Position:
        """The position of a record with this key and time."""
        return cls((times.microseconds(created_at), key.platform, key.id, key.locale))


@frozen(kw_only=True)
class Page(Generic[T_co]):
    """Some records, and where to go on."""

    items: tuple[T_co, ...]
    next: str | None = None  #: pass it as after= for the following page; None at the end


def cursor(kind: Kind, position: Position) -> str:
    """The opaque text that stands for a position."""
    return base64.urlsafe_b64encode(json.dumps([kind[0], *position]).encode()).decode().rstrip("=")


def position(kind: Kind, cursor_text: str) -> Position:
    """
    The position a cursor stands for.

    Raises:
        InvalidRecord: The text is not a cursor of such a page.
    """
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor_text + "=" * (-len(cursor_text) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _not_a_cursor(cursor_text) from error
    match parts:
        case [str(first), int(created_us), str(platform), str(identifier), str(locale)] if first == kind[0] and times.fits(created_us):
            return Position((created_us, *checked_key(Key(kind, platform, identifier, locale))[1:]))
        case _:
            raise _not_a_cursor(cursor_text)


def page_of(kind: Kind, found: Sequence[tuple[Position, T]], limit: int) -> Page[T]:
    """A page of at most limit items, out of up to one more than that."""
    shown = found[:limit]
    following = cursor(kind, shown[-1][0]) if len(found) > limit else None
    return Page(items=tuple(item for _, item in shown), next=following)


def checked_filter(where: Filter, kind: Kind) -> Filter:
    """The same filter; raises InvalidRecord when records of the kind have not what it asks for."""
    if kind != TICKET and where.processing is not None:
        raise InvalidRecord(f"processing is a filter of tickets: an {kind} is not processed, so none could pass")
    return where


def checked_limit(limit: int) -> int:
    """The same limit; raises InvalidRecord unless it is 1 to 1,000."""
    if not 1 <= limit <= LARGEST_PAGE:
        raise InvalidRecord(f"limit is {identifiers.shown(limit)}: a page holds 1 to {LARGEST_PAGE} records; for all of them use stream()")
    return limit


def checked_offset(offset: int) -> int:
    """The same offset; raises InvalidRecord when it is negative, or has more than 64 bits."""
    if not 0 <= offset <= times.LAST_US:
        raise InvalidRecord(f"offset is {identifiers.shown(offset)}: it counts the records to leave out, from 0 to {times.LAST_US}")
    return offset


def _not_a_cursor(text: str) -> InvalidRecord:
    return InvalidRecord(f"{text[:40]!a} is not a cursor of this page: pass the `next` of the page before, or nothing")
