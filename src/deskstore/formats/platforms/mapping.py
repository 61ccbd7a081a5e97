"""From a payload's value to the fields deskstore keeps beside it: one table a platform, one reader for all tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from typing import Final, cast

import orjson
from attrs import Factory, evolve, field, frozen

from deskstore.domain import times
from deskstore.domain.errors import InvalidRecord
from deskstore.domain.identifiers import RECORD_ID_LENGTH, record_id
from deskstore.domain.records import Fields, SourceVersion
from deskstore.formats.json import dump
from deskstore.formats.options import Options
from deskstore.formats.platforms.moments import moment

_CHOICE: Final = re.compile(r"\[(\w+)=(\w+)\]")
_LARGEST: Final = 10**RECORD_ID_LENGTH


def _split(path: Path) -> tuple[str, ...]:
    return tuple(path.name.split("."))


def _has_no_choices(path: Path) -> bool:
    return not any(step == "*" or step.isdecimal() or step.startswith("[") for step in path.steps)


@frozen
class Path:
    """
    The way to a value inside a payload: keys joined by dots.

    `*` stands for each item of an array or each member of an object in the order of its keys, a number for one item, `[name=text]` for
    the items that hold this text under this name. A field whose own name holds dots is found first.
    """

    name: str
    steps: tuple[str, ...] = field(default=Factory(_split, takes_self=True), init=False, eq=False, repr=False)
    #: each step is a key: one value at most, and no need to search
    is_plain: bool = field(default=Factory(_has_no_choices, takes_self=True), init=False, eq=False, repr=False)

    def follow(self, value: object) -> Iterable[object]:
        """All that is there and not null."""
        if not isinstance(value, dict):
            return _follow(value, self.steps)
        members = cast("dict[str, object]", value)
        if self.name in members:
            found = members[self.name]
            return () if found is None else (found,)
        return _reach(members, self.steps) if self.is_plain else _follow(members, self.steps)


Paths = tuple[Path, ...]


def paths(*names: str) -> Paths:
    """Ways to one value, the best first."""
    return tuple(Path(name) for name in names)


@frozen(kw_only=True)
class Flag:
    """A field that is true or false and stands for a status."""

    path: Path
    yes: str
    no: str


@frozen(kw_only=True)
class Messages:
    """Where a record's messages, or its translations, lie inside it."""

    each: Path
    texts: tuple[Paths, ...]  #: what counts of each as text


@frozen(kw_only=True)
class FieldMap:
    """Where one kind of one platform's records holds what; of several places the first that holds something usable counts."""

    id: Paths
    subject: Paths = ()
    status: Paths = ()
    status_flag: Flag | None = None  #: for a status that none of its paths leads to
    priority: Paths = ()
    requester: Paths = ()
    created_at: Paths = ()
    updated_at: Paths = ()
    version: Paths = ()  #: times that order a record's versions
    locale: Paths = ()
    body: Paths = ()  #: with the subject and the messages, what counts as text
    messages: tuple[Messages, ...] = ()
    first_message_is_body: bool = False  #: the platform gives the body again as the first message
    all_is_text: bool = False  #: any change of the payload's bytes counts as a change of text

    def changed(self, options: Options) -> FieldMap:
        """The same table with the places that the options name."""
        return evolve(
            self,
            id=_chosen(options.id_field, self.id),
            subject=_chosen(options.subject_field, self.subject),
            status=_chosen(options.status_field, self.status),
            priority=_chosen(options.priority_field, self.priority),
            requester=_chosen(options.requester_field, self.requester),
            created_at=_chosen(options.created_field, self.created_at),
            updated_at=_chosen(options.updated_field, self.updated_at),
            version=_chosen(options.updated_field, self.version),
            locale=_chosen(options.locale_field, self.locale),
        )


def _chosen(name: str | None, otherwise: Paths) -> Paths:
    return paths(name) if name else otherwise


# -- reading -----------------------------------------------------------------------------------------------------------------------------


def read_id(value: object, table: FieldMap) -> str:
    """
    The record's id as text.

    Raises:
        InvalidRecord: There is none, or it is nothing an id can be; names the field and how to choose another.
    """
    for path in table.id:
        for found in path.follow(value):
            if isinstance(found, int) and abs(found) >= _LARGEST:
                raise InvalidRecord(f"{path.name} has more than {RECORD_ID_LENGTH} digits: choose another field with --id-field")
            return record_id(found, f"{path.name} (choose another field with --id-field)")
    looked_at = " or ".join(path.name for path in table.id)
    raise InvalidRecord(f"the record has no {looked_at}: name the field that holds its id with --id-field")


def read_locale(value: object, table: FieldMap) -> str:
    """The record's locale; empty when it has none."""
    return _first_text(value, table.locale) or ""


def read_fields(value: object, payload: bytes, table: FieldMap) -> Fields:
    """Everything the table names, except id and locale; what is missing or unusable is None."""
    created, updated = _first_moment(value, table.created_at), _first_moment(value, table.updated_at)
    version = updated if table.version == table.updated_at else _first_moment(value, table.version)
    return Fields(
        subject=_first_text(value, table.subject),
        status=_first_text(value, table.status) or _flag(value, table.status_flag),
        priority=_first_text(value, table.priority),
        requester=_first_text(value, table.requester),
        created_at=created[1] if created else None,
        updated_at=updated[1] if updated else None,
        source_version=SourceVersion(version[0].name, times.microseconds(version[1])) if version else None,
        text_digest=sha256(payload).digest() if table.all_is_text else text_digest(value, table),
    )


def _reach(value: object, steps: tuple[str, ...]) -> Iterable[object]:
    for step in steps:
        value = cast("dict[str, object]", value).get(step) if isinstance(value, dict) else None
    return () if value is None else (value,)


def _follow(value: object, steps: tuple[str, ...]) -> Iterator[object]:
    if not steps:
        if value is not None:
            yield value
        return
    for child in _children(value, steps[0]):
        yield from _follow(child, steps[1:])


def _children(value: object, step: str) -> Iterable[object]:
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        if step == "*":
            return [members[key] for key in sorted(members)]
        return (members[step],) if step in members else ()
    return _items(cast("list[object]", value), step) if isinstance(value, list) else ()


def _items(items: list[object], step: str) -> Iterable[object]:
    if step == "*":
        return items
    if step.isdecimal():
        return items[int(step) :][:1]
    choice = _CHOICE.fullmatch(step)
    if choice is None:
        return ()
    name, text = choice.groups()
    return [item for item in items if _holds(item, name, text)]


def _holds(item: object, name: str, text: str) -> bool:
    return isinstance(item, dict) and cast("dict[str, object]", item).get(name) == text


def _first_text(value: object, places: Paths) -> str | None:
    for path in places:
        for found in path.follow(value):
            text = found if isinstance(found, str) else _text(found)
            if text:
                return text
    return None


def _text(found: object) -> str | None:
    """The decimal text of a number, or the word for a truth value; 2, 2.0 and "2" are the same."""
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, float):
        return str(int(found)) if found.is_integer() else repr(found)
    return str(found) if isinstance(found, int) and abs(found) < _LARGEST else None


def _flag(value: object, flag: Flag | None) -> str | None:
    if flag is None:
        return None
    found = next(iter(flag.path.follow(value)), None)
    return (flag.yes if found else flag.no) if isinstance(found, bool) else None


def _first_moment(value: object, places: Paths) -> tuple[Path, datetime] | None:
    """The first usable time, and where it stands."""
    for path in places:
        for found in path.follow(value):
            read = moment(found)
            if read is not None:
                return path, read
    return None


# -- what counts as text -----------------------------------------------------------------------------------------------------------------


def text_digest(value: object, table: FieldMap) -> bytes:
    """
    The sha256 of subject, body and messages, each with its kind and length in front, so that no two texts run together.

    Where a platform gives a body both as text and as HTML, the text counts: links inside the HTML are signed anew at each export.
    """
    subject, body = _content(value, table.subject), _content(value, table.body)
    messages = [part for message in table.messages for part in _message_texts(value, message)]
    if table.first_message_is_body and messages and (not body or messages[0] == body):
        body = messages.pop(0)
    hashed = sha256()
    for part in (subject, body, *messages):
        hashed.update(b"%d:" % len(part))
        hashed.update(part)
    return hashed.digest()


def _message_texts(value: object, messages: Messages) -> Iterator[bytes]:
    for message in messages.each.follow(value):
        texts = [_content(message, places) for places in messages.texts]
        if any(texts):
            yield from texts


def _content(value: object, places: Paths) -> bytes:
    """The first content there is, after a letter for its kind; nothing for none."""
    for path in places:
        for found in path.follow(value):
            if isinstance(found, str):
                if found:
                    return b"t" + found.encode("utf-8", errors="surrogatepass")
            elif isinstance(found, (dict, list)):
                return b"j" + _canonical(cast(object, found))
    return b""


def _canonical(tree: object) -> bytes:
    """A text that is kept as a tree (Jira's documents), the same whatever the order of its keys."""
    try:
        return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return dump({"tree": tree})  # it holds what only the exact encoder writes
