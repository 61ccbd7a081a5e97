"""The names of things: one rule for all storages, applied before anything is read or written."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from deskstore.domain.errors import CompanyRequired, InvalidIdentifier, InvalidRecord

Kind = Literal["ticket", "article"]
TICKET: Final[Kind] = "ticket"
ARTICLE: Final[Kind] = "article"

COMPANY_ID_LENGTH: Final = 100  #: code points
PLATFORM_LENGTH: Final = 50
RECORD_ID_LENGTH: Final = 255
LOCALE_LENGTH: Final = 35
STREAM_LENGTH: Final = 255
WORKER_LENGTH: Final = 255

_LONG_BITS: Final = 240  #: of a number that is too long to be shown
_FORBIDDEN: Final = "[\x00-\x1f\x7f-\x9f\ud800-\udfff]"  # compiled when first met: a set so wide takes long


class Key(NamedTuple):
    """
    A ticket or an article of one company; sorts by code points.

    Articles have a locale, because translations share their id; a ticket's is empty.
    """

    kind: Kind
    platform: str
    id: str
    locale: str = ""

    def __str__(self) -> str:
        where = f" ({self.locale})" if self.locale else ""
        return f"{self.kind} {self.id!r}{where} on {self.platform!r}"


def company_id(value: object) -> str:
    """
    Check a company id.

    Raises:
        CompanyRequired: It is missing or empty.
        InvalidIdentifier: It is no text, too long, or holds what no name may hold.
    """
    if value is None or value == "":
        raise CompanyRequired("no company was named: pass the company_id whose records you mean")
    return _name(value, "company_id", COMPANY_ID_LENGTH)


def platform(value: object) -> str:
    """Check a platform's name, at most 50 characters; raises InvalidIdentifier."""
    return _platform(value) if isinstance(value, str) else _name(value, "platform", PLATFORM_LENGTH)


def stream(value: object) -> str:
    """Check the name of a checkpoint's stream, at most 255 characters; raises InvalidIdentifier."""
    return _name(value, "stream", STREAM_LENGTH)


def worker(value: object) -> str:
    """Check the name of a worker, at most 255 characters; raises InvalidIdentifier."""
    return _name(value, "worker", WORKER_LENGTH)


def locale(value: object) -> str:
    """Check a locale, at most 35 characters, which may be empty; raises InvalidIdentifier."""
    return "" if value == "" else _name(value, "locale", LOCALE_LENGTH)


def ticket_key(of_platform: str, ticket_id: str) -> Key:
    """The key of a ticket; raises InvalidIdentifier."""
    return Key(TICKET, platform(of_platform), _name(ticket_id, "ticket id", RECORD_ID_LENGTH))


def article_key(of_platform: str, article_id: str, in_locale: str = "") -> Key:
    """The key of an article in one locale; raises InvalidIdentifier."""
    return Key(ARTICLE, platform(of_platform), _name(article_id, "article id", RECORD_ID_LENGTH), locale(in_locale))


def checked_key(key: Key) -> Key:
    """The same key, once every part of it passed its rule; raises InvalidIdentifier."""
    if key.kind == ARTICLE:
        return article_key(key.platform, key.id, key.locale)
    if key.kind == TICKET and key.locale == "":
        return ticket_key(key.platform, key.id)
    raise InvalidIdentifier(f"{shown(tuple(key))} is not a key: it is of a ticket, which has no locale, or of an article")


@lru_cache(maxsize=64)  # each key names one, and a company has hardly more than a handful
def _platform(value: str) -> str:
    return _name(value, "platform", PLATFORM_LENGTH)


def record_id(value: object, field: str) -> str:
    """
    An id as a payload gives it, as text: 7, 7.0 and "7" are one id.

    Raises:
        InvalidRecord: It is missing, a bool, a float with a fraction, or anything else that is no id.
        InvalidIdentifier: It is text that breaks the rules for names.
    """
    if isinstance(value, str):
        return _name(value, field, RECORD_ID_LENGTH)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**RECORD_ID_LENGTH:
        return str(value)
    raise InvalidRecord(f"{field} is {shown(value)}: an id is text or a whole number; name the field that holds it")


def _name(value: object, what: str, longest: int) -> str:
    if not isinstance(value, str):
        raise InvalidIdentifier(f"{what} is {shown(value)}: it must be text")
    if not value:
        raise InvalidIdentifier(f"{what} is empty: give at least one character")
    if len(value) > longest:
        raise InvalidIdentifier(f"{what} has {len(value)} characters: at most {longest} are allowed")
    if not (value.isascii() and value.isprintable()) and re.search(_FORBIDDEN, value):
        raise InvalidIdentifier(f"{what} {shown(value)} holds a control character or a lone surrogate: remove it")
    if value != value.strip():
        raise InvalidIdentifier(f"{what} {shown(value)} begins or ends with white space: remove it")
    return value


def shown(value: object) -> str:
    """A value that was refused, as a message may name it: short, and whatever it is."""
    if isinstance(value, int) and value.bit_length() > _LONG_BITS:  # Python refuses to write the longest ones at all
        return "a number of more than 70 digits"
    if isinstance(value, dict | list):  # a part of a payload, whose text is nobody's business
        return "an object" if isinstance(value, dict) else "an array"
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
