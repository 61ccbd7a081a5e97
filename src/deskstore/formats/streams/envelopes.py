"""
Telling records from what is wrapped around them.

Known are Airbyte and Singer lines, an object with one record under a name such as `ticket`, and a page of records under a name such as
`tickets` or `results`. An object with an id, or one that is a ticket or an article by its keys, is a record whatever else it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from attrs import frozen

from deskstore.domain.errors import InvalidRecord
from deskstore.formats.json import load
from deskstore.formats.platforms import kind_of
from deskstore.formats.streams.scanning import OPEN_LIST, OPEN_OBJECT, Window, next_key

#: under which pages hold their records, the surest first
LISTS: Final = ("tickets", "conversations", "issues", "articles", "results", "requests", "records", "data", "values", "items")
OBJECTS: Final = ("ticket", "helpdesk_ticket", "conversation", "issue", "article", "request")  #: under which one record lies
_IDS: Final = frozenset({"id", "ticket_id", "display_id", "issueId", "article_id", "pageId", "_id", "uuid", "key"})
RECORD_KEYS: Final = _IDS | {"subject"}  #: keys that no page has
#: what connectors write between records, each with the keys of which it has one
_NOTES: Final = {
    "STATE": ("state", "value"),
    "SCHEMA": ("schema",),
    "ACTIVATE_VERSION": ("version",),
    "LOG": ("log",),
    "SPEC": ("spec",),
    "TRACE": ("trace",),
    "CATALOG": ("catalog",),
    "CONTROL": ("control",),
    "CONNECTION_STATUS": ("connectionStatus",),
}

_LONGEST_TEXT: Final = 4096  #: bytes of a text that is read: those of any id

Value = Mapping[str, Any]  # Any: payloads hold anything


@frozen(kw_only=True)
class Envelope:
    """Where inside an object its records lie."""

    name: str  #: "airbyte", "singer", or the key
    path: tuple[str, ...] = ()  #: keys that lead to the record or the list; none where there is nothing inside to keep
    stream: str = ""  #: the connector's name for the kind of record


def is_exported(value: Value) -> bool:
    """Whether it is a record in the envelope of our own exports: its metadata, and under `payload` what the platform sent."""
    # an object, its text, or what outline() gives for a long text
    return value.get("deskstore") == 1 and "payload" in value and isinstance(value["payload"], dict | str | None)


def envelope_of(value: Value, *, whole: bool, sound: bool, id_fields: frozenset[str]) -> Envelope | None:
    """
    What is wrapped around records here; None for a record itself.

    A whole document may hold its records under any name, a line or an item of a list only under a known one. What breaks the rule for
    JSON is not opened on the strength of an unknown name: it is refused as it stands.
    """
    if not (_IDS.isdisjoint(value) and id_fields.isdisjoint(value)):
        return None
    connector = _connector(value)
    if connector or kind_of(value):
        return connector
    return _one_record(value, any_name=sound) or _page(value, whole=whole)


def _connector(value: Value) -> Envelope | None:
    kind, record, data = value.get("type"), value.get("record"), value.get("data")
    if kind == "RECORD" and isinstance(record, dict):
        members = cast(Value, record)
        if isinstance(members.get("data"), dict) and "stream" in members:
            return Envelope(name="airbyte", path=("record", "data"), stream=str(members["stream"]))
        return Envelope(name="singer", path=("record",), stream=str(value.get("stream") or ""))
    if "stream" in value and "emitted_at" in value and isinstance(data, dict):
        return Envelope(name="airbyte", path=("data",), stream=str(value["stream"]))
    is_note = isinstance(kind, str) and "subject" not in value and any(key in value for key in _NOTES.get(kind, ()))
    return Envelope(name="singer") if is_note else None


def _one_record(value: Value, *, any_name: bool) -> Envelope | None:
    name: str | None = next((key for key in OBJECTS if isinstance(value.get(key), dict)), None)
    if name is None and any_name and len(value) == 1:
        name = next((key for key, inner in value.items() if isinstance(inner, dict)), None)
    return None if name is None else Envelope(name=name, path=(name,))


def _page(value: Value, *, whole: bool) -> Envelope | None:
    lists = {key: cast("list[object]", inner) for key, inner in value.items() if isinstance(inner, list)}
    name: str | None = next((key for key in LISTS if key in lists and (not lists[key] or isinstance(lists[key][0], dict))), None)
    if name is None and whole:
        of_objects = [key for key, inner in lists.items() if inner and isinstance(inner[0], dict)]
        name = of_objects[0] if len(of_objects) == 1 else None
    return None if name is None else Envelope(name=name, path=(name,))


async def outline(window: Window, levels: int = 2) -> dict[str, object]:
    """
    The object at the window's position without what lies deep inside: enough to know an envelope by, at no cost in memory.

    Raises:
        CutOff, TooLong, ValueError: It is no whole object.
    """
    found: dict[str, object] = {}
    window.pos += 1
    while (key := await next_key(window)) is not None:
        byte = window.data[window.pos]
        if byte == OPEN_OBJECT and levels > 1:
            found[key] = await outline(window, levels - 1)
        else:
            found[key] = await _begun(window, byte)
    return found


async def _begun(window: Window, byte: int) -> object:
    """An array as one empty object or nothing, text and numbers as they are, objects empty."""
    begin = window.pos
    if byte == OPEN_LIST:
        inner = Window(data=window.data[begin + 1 : begin + 4096])
        first = await inner.significant()
        await window.skip()
        return [dict[str, object]()] if first == OPEN_OBJECT else []
    size = await window.skip()
    if byte == OPEN_OBJECT or size > _LONGEST_TEXT:
        return {} if byte == OPEN_OBJECT else None
    try:
        return load(b'{"_":' + window.data[begin : window.pos] + b"}")["_"]
    except InvalidRecord:
        return None


async def enter(window: Window, path: tuple[str, ...]) -> bool:
    """Move to the value that a path of keys leads to; False when it is not there."""
    for step in path:
        if await window.significant() != OPEN_OBJECT:
            return False
        window.pos += 1
        while (key := await next_key(window)) != step:
            if key is None:
                return False
            await window.skip()
    return True
