"""
What each helpdesk platform calls the things deskstore keeps beside a payload.

The mapping is chosen by the platform's name: freshdesk, zendesk, intercom and jira have tables of their own, every other name is
`generic`. Older and newer shapes of one platform are told apart by their keys. A record without the platform's own id may say it under
`ticket_id` or `article_id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from deskstore.domain.identifiers import ARTICLE, TICKET, Kind, article_key, ticket_key
from deskstore.domain.payloads import Parsed
from deskstore.domain.records import Incoming
from deskstore.formats.json import load
from deskstore.formats.options import Options
from deskstore.formats.platforms import freshdesk, generic, intercom, jira, zendesk
from deskstore.formats.platforms.mapping import FieldMap, read_fields, read_id, read_locale
from deskstore.formats.platforms.shapes import Shape

__all__ = ["PLATFORMS", "Options", "article", "kind_of", "platform_of", "refusal", "standard_labels", "ticket"]

_OWN: Final = {own.NAME: own for own in (freshdesk, zendesk, intercom, jira)}
PLATFORMS: Final = tuple(_OWN)  #: those with a table of their own
#: in the order in which they are tried: what says its type first, what any platform may have last
_SHAPES: Final[tuple[Shape, ...]] = (*intercom.SHAPES, *jira.SHAPES, *zendesk.SHAPES, *freshdesk.SHAPES, *generic.SHAPES)
_KEYS: Final = frozenset(key for shape in _SHAPES for key in shape.needs | shape.one_of | shape.lacks)  #: that tell shapes apart
_TYPES: Final = frozenset(type_ for shape in _SHAPES for type_ in shape.types)
_AS_GIVEN: Final = Options()


def ticket(platform: str, payload: bytes, value: Parsed | None = None, options: Options = _AS_GIVEN) -> Incoming:
    """
    A ticket's payload on its way in; pass its value where it is known already.

    Raises:
        InvalidRecord: The payload breaks the rule for JSON, or has no usable id.
        InvalidIdentifier: The platform's name or the id breaks the rules for names.
    """
    known = load(payload) if value is None else value
    table = _table(platform, TICKET, options)
    key = ticket_key(platform, read_id(known, table))
    return Incoming(key=key, payload=payload, fields=read_fields(known, payload, table), checked=payload)


def article(
    platform: str, payload: bytes, value: Parsed | None = None, *, locale: str | None = None, options: Options = _AS_GIVEN
) -> Incoming:
    """
    An article's payload on its way in; a locale that is given counts instead of what the payload says.

    Raises:
        InvalidRecord: The payload breaks the rule for JSON, or has no usable id.
        InvalidIdentifier: The platform's name, the id or the locale breaks the rules for names.
    """
    known = load(payload) if value is None else value
    table = _table(platform, ARTICLE, options)
    key = article_key(platform, read_id(known, table), read_locale(known, table) if locale is None else locale)
    return Incoming(key=key, payload=payload, fields=read_fields(known, payload, table), checked=payload)


def standard_labels(platform: str) -> Mapping[str, str]:
    """The names by which people know a platform's statuses, in lower case, and its own text for each; empty where they are the same."""
    return freshdesk.LABELS if platform == freshdesk.NAME else MappingProxyType({})


def kind_of(value: Mapping[str, object]) -> Kind | None:
    """What an object is, judged by its keys; None for messages, people and all else that is neither ticket nor article."""
    shape = _shape_of(value)
    return shape.kind if shape else None


def platform_of(value: Mapping[str, object]) -> str | None:
    """The platform an object comes from, judged by its keys; None when they do not tell."""
    shape = _shape_of(value)
    return shape.platform if shape else None


def refusal(platform: str, value: Mapping[str, object], kind: Kind | None = None) -> str | None:
    """
    Why an object is not to be imported, and what to do instead; None for one that may be.

    A kind that the caller names counts for an object nobody knows, but makes no ticket of a message. Platforms without a table of
    their own may send anything.
    """
    if platform not in _OWN:
        return None
    shape = _shape_of(value)
    if shape is None:
        return None if kind else _unknown(value)
    if shape.kind is None:
        return f"it is {shape.what}: {shape.advice}"
    return f"it is {shape.what}: import it with --kind {shape.kind}" if kind and kind != shape.kind else None


def _unknown(value: Mapping[str, object]) -> str:
    keys = ", ".join(ascii(key)[1:-1][:30] for key in list(value)[:5]) or "none"
    return f"it is neither a ticket nor an article (its first keys: {keys}): export those, or name what it is with --kind"


def _shape_of(value: Mapping[str, object]) -> Shape | None:
    said = value.get("type")
    return _shape_with(_KEYS.intersection(value), said if isinstance(said, str) and said in _TYPES else None)


@lru_cache(maxsize=128)
def _shape_with(keys: frozenset[str], type_: str | None) -> Shape | None:
    """The shape of objects that have these of the keys that tell: found once for the records of an export, which are alike."""
    return next((shape for shape in _SHAPES if shape.fits(keys, type_)), None)


@lru_cache(maxsize=64)
def _table(platform: str, kind: Kind, options: Options) -> FieldMap:
    own = _OWN.get(platform)
    if kind == TICKET:
        return (own.TICKET if own else generic.TICKET).changed(options)
    return (own.ARTICLE if own else generic.ARTICLE).changed(options)
