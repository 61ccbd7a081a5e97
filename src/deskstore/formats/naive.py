"""
Files that the prototype wrote: one JSON object each, its own metadata mixed into the payload.

It kept `tickets/<ticket_id>.json`, `knowledge_base/<id>.json` and `summaries/<item_id>.json` below `<company>/<platform>`. Saving was
`payload.update(metadata)` and a dump: a key that the payload lacked was appended, in a known order, and a key that the payload had kept its
place and lost its value. So the place of a key tells who put it there, except where the payload's own key was its last; there nobody can
tell, and it counts as appended.

What was appended is cut out, as bytes; all else stays as it stands in the file. A key in its own place stays too, with the value the file
has: it is not the platform's, which is why a remark names it.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import orjson
from attrs import evolve, frozen

from deskstore.domain.errors import InvalidRecord
from deskstore.domain.identifiers import ARTICLE, TICKET, Kind, article_key, platform, record_id, ticket_key
from deskstore.domain.payloads import Parsed
from deskstore.domain.processing import COMPLETED, FAILED, PENDING, ProcessingStatus
from deskstore.domain.records import Incoming
from deskstore.formats import platforms
from deskstore.formats.json import load
from deskstore.formats.platforms import Options
from deskstore.formats.platforms.moments import moment

TICKETS: Final = "tickets"
ARTICLES: Final = "knowledge_base"
SUMMARIES: Final = "summaries"
PROGRESS: Final = "progress/progress.json"
PROCESSED_DATA: Final = "processed_data"
#: what may have been appended to a payload, in the order in which a file has it when nobody added a key between two saves
APPENDED: Final = ("company_id", "platform", "saved_at", "storage_type", "processing_status", "status_updated_at")

_STATUS: Final = ("processing_status", "status_updated_at")
_SUMMARY: Final = ("company_id", "platform", "item_id", "summary", "created_at")
_STATUSES: Final = {"pending": PENDING, "processing": PENDING, "completed": COMPLETED, "failed": FAILED}
_LARGEST: Final = 10**255  #: an integer that no file can be named for
_SPACE: Final = re.compile(r"[ \t\r\n,]*")
_COLON: Final = re.compile(r"[ \t\r\n]*:[ \t\r\n]*")
_DECODER: Final = json.JSONDecoder(parse_int=str, parse_float=str)  # only the bounds of a value matter, and digits cost time

_NO_ID: Final = "every {what} without an id was written to this one file, each over the one before: import them again from the platform"
_OVERWRITTEN: Final = "the payload had {names} of its own, whose value was overwritten and is lost: import it again from the platform"
OTHER_ID: Final = (
    "its payload has another id than its ticket_id, under which it is kept: an import from the platform will keep it under its own"
)
_IN_TREE_ALONE: Final = "the file's exact bytes are in the tree alone: its metadata stands between other keys, or cannot be kept as it is"
_RENAMED: Final = "its {id} is not the one the file is named for: it was renamed, or copied"
_BARE: Final = "it lacks metadata that the prototype added to every file: nothing was cut out of it"


@frozen
class ProcessedData:
    """What an application made of a ticket and kept inside it."""

    content: bytes  #: an object, as it stands in the file
    place: int  #: how many keys the file has before it: an application put it wherever it liked


@frozen(kw_only=True)
class FoundTicket:
    """A ticket that a file holds."""

    incoming: Incoming
    saved_at: datetime | None  #: None: the file does not say
    status: ProcessingStatus | None  #: None: nobody ever set one
    status_updated_at: datetime | None
    processed_data: ProcessedData | None
    remarks: tuple[str, ...] = ()


@frozen(kw_only=True)
class FoundArticle:
    """An article that a file holds."""

    incoming: Incoming
    saved_at: datetime | None
    remarks: tuple[str, ...] = ()


@frozen(kw_only=True)
class FoundSummary:
    """A summary that a file holds; whether of a ticket or of an article it does not say."""

    platform: str
    record_id: str
    content: bytes
    created_at: datetime | None
    remarks: tuple[str, ...] = ()


Found = FoundTicket | FoundArticle | FoundSummary


def read(source: bytes, company_id: str, path: str) -> Found:
    """
    What a file of a company holds, once it is sure that it is this company's and has the name its content gives it.

    Args:
        path: Of the file, from the company's directory on. An id with slashes or dots led to directories of its own, or out of the one it
            belongs to: wherever saving would have put the content, it is found.

    Raises:
        InvalidRecord: It cannot be placed; the message says why.
    """
    file = _File(company_id=company_id, path=path, source=source, value=load(source))
    for writer in _WRITERS:
        if file.is_from(writer):
            return writer.read(file)
    return _bare(file)


def as_written(payload: bytes, facts: Mapping[str, bytes], processed: ProcessedData | None = None) -> bytes:
    """
    The file that saving this payload wrote: facts (JSON values) that it has no key for are appended, processed data goes to its place.
    """
    added = b"".join(b',\n  "' + name.encode() + b'": ' + fact for name, fact in facts.items())
    file = payload.removesuffix(b"\n}") + added + b"\n}"
    return file if processed is None else _inserted(file.decode(), processed)


def _inserted(text: str, processed: ProcessedData) -> bytes:
    member = f'\n  "{PROCESSED_DATA}": {processed.content.decode()}'
    ends = [one.end for one in _members(text)]
    at = ends[processed.place - 1] if processed.place else text.index("{") + 1
    return (text[:at] + (f",{member}" if processed.place else f"{member},") + text[at:]).encode()


def stamp(at: datetime) -> bytes:
    """A time as the prototype wrote it, as a JSON value: UTC, without saying so."""
    return orjson.dumps(at.replace(tzinfo=None).isoformat())


# -- a file and its members ---------------------------------------------------------------------------------------------------------------


@frozen
class _Member:
    """One key of the object with its value, as places in the text."""

    name: str
    begin: int  #: of what separates it from the one before
    key: int
    value: int
    end: int


def _members(text: str) -> Iterator[_Member]:
    """The members of an object that is known to be JSON."""
    begin = text.index("{") + 1
    while text[key := _past(_SPACE, text, begin)] != "}":
        name, end = _DECODER.raw_decode(text, key)
        value = _past(_COLON, text, end)
        _, end = _DECODER.raw_decode(text, value)
        yield _Member(name, begin, key, value, end)
        begin = end


def _past(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _without(text: str, members: Sequence[_Member], names: Collection[str]) -> str:
    """The object without some of its members, every other byte as it was."""
    if not names:
        return text
    kept = [text[one.begin : one.end] for one in members if one.name not in names]
    first = next((one for one in members if one.name not in names), None)
    if first is not None:  # it takes the place, and so the separator, of the first of all
        kept[0] = text[members[0].begin : members[0].key] + text[first.key : first.end]
    return text[: members[0].begin] + "".join(kept) + text[members[-1].end :]


def cut_out(source: bytes, names: Collection[str]) -> tuple[bytes, Mapping[str, tuple[int, bytes]]]:
    """An object without some of its members, every other byte as it was; and the values that were cut out, each with its place."""
    text = source.decode()
    members = [*_members(text)]
    taken = {one.name: (place, text[one.value : one.end].encode()) for place, one in enumerate(members) if one.name in names}
    return _without(text, members, names).encode(), taken


@frozen(kw_only=True)
class _File:
    """A file that is one JSON object."""

    company_id: str
    path: str
    source: bytes
    value: Parsed

    @property
    def folder(self) -> str | None:
        """The directory below the platform's that it stands in, or below."""
        steps = self.path.split("/")
        return steps[1] if len(steps) > 2 else None

    def is_from(self, writer: _Writer) -> bool:
        """Whether the writer wrote it, here."""
        return self.has_metadata(writer) and self.value["company_id"] == self.company_id and self._place(writer) == self.path

    def has_metadata(self, writer: _Writer) -> bool:
        """Whether it has all that the writer adds."""
        told = all(isinstance(self.value.get(name), str) for name in ("company_id", "platform", writer.time))
        return told and all(name in self.value for name in writer.adds) and moment(self.value[writer.time]) is not None

    def _place(self, writer: _Writer) -> str | None:
        return place(self.value["platform"], writer.folder, writer.id_of(self.value))

    def why_not_from(self, writer: _Writer) -> str:
        """Why a file that has the writer's metadata is not this company's, or not where it belongs."""
        if self.value["company_id"] != self.company_id:
            return "its company_id is another company's"
        if self.value["platform"] != self.path.partition("/")[0]:
            return "its platform is another than its directory's"
        return _RENAMED.format(id=writer.id_name)


def place(of_platform: str, folder: str, identifier: object) -> str | None:
    """Where a save put what has this id, from the company's directory on; None for what no file can be named for."""
    if identifier is not None and not isinstance(identifier, (str, int, float)):
        return None
    if isinstance(identifier, int) and abs(identifier) >= _LARGEST:
        return None
    return posixpath.normpath(posixpath.join(of_platform, folder, f"{identifier}.json"))


# -- what was appended, and what was overwritten -------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class _Split:
    """A file as payload and metadata."""

    payload: bytes
    value: Parsed  #: of the payload
    cut: Collection[str]  #: the names of the members that were cut out
    processed_data: ProcessedData | None = None
    overwritten: tuple[str, ...] = ()


def _split(file: _File, groups: Sequence[Sequence[str]]) -> _Split:
    """Cut out what each group of metadata appended, and a ticket's processed data wherever it stands."""
    text = file.source.decode()
    members = [*_members(text)]
    names = [one.name for one in members]
    if len(set(names)) < len(names):  # by hand: who put which of two there?
        return _Split(payload=file.source, value=file.value, cut=())
    cut = {name for group in groups for name in _appended(names, group)}
    overwritten = tuple(name for group in groups for name in group if name not in cut)
    processed = _processed_data(file, text, members) if _TICKETS.adds in groups else None
    if processed is not None:
        cut.add(PROCESSED_DATA)
    return _Split(
        payload=_without(text, members, cut).encode(),
        value={name: value for name, value in file.value.items() if name not in cut},
        cut=cut,
        processed_data=processed,
        overwritten=overwritten,
    )


def _processed_data(file: _File, text: str, members: Sequence[_Member]) -> ProcessedData | None:
    if not isinstance(file.value.get(PROCESSED_DATA), dict):
        return None
    place, found = next((place, one) for place, one in enumerate(members) if one.name == PROCESSED_DATA)
    return ProcessedData(text[found.value : found.end].encode(), place)


def _appended(names: Sequence[str], group: Sequence[str]) -> set[str]:
    """Those keys of a group that one update() appended: one behind the other in their order, up to the one that stands last of all."""
    places = sorted((names.index(name), rank) for rank, name in enumerate(group))
    run = [places.pop()]
    while places and places[-1][0] == run[-1][0] - 1 and places[-1][1] < run[-1][1]:
        run.append(places.pop())
    return {group[rank] for _, rank in run}


def _remarks(file: _File, split: _Split, facts: Mapping[str, bytes]) -> Iterator[str]:
    """What is to be said of a file whose metadata was cut out; facts: the metadata as deskstore keeps it."""
    if split.overwritten:
        yield _OVERWRITTEN.format(names=" and ".join(split.overwritten))
    appended = {name: facts[name] for name in APPENDED if name in split.cut}
    if as_written(split.payload, appended, split.processed_data) != file.source:
        yield _IN_TREE_ALONE


def _facts(file: _File, saved_at: datetime) -> dict[str, bytes]:
    known = {"company_id": file.company_id, "platform": file.value["platform"], "storage_type": "file"}
    return {name: orjson.dumps(value) for name, value in known.items()} | {"saved_at": stamp(saved_at)}


# -- tickets ------------------------------------------------------------------------------------------------------------------------------


def _ticket(file: _File) -> FoundTicket:
    with_status = moment(file.value.get("status_updated_at")) is not None and "processing_status" in file.value
    split = _split(file, (_TICKETS.adds, _STATUS) if with_status else (_TICKETS.adds,))
    saved_at = _moment(file.value["saved_at"])
    found = _found_ticket(file, split, file.value["platform"], saved_at)
    facts = _facts(file, saved_at) | {"processing_status": orjson.dumps(found.status)}
    if found.status_updated_at is not None:
        facts |= {"status_updated_at": stamp(found.status_updated_at)}
    return evolve(found, remarks=(*found.remarks, *_remarks(file, split, facts)))


def _found_ticket(file: _File, split: _Split, of_platform: str, saved_at: datetime | None) -> FoundTicket:
    incoming, of_id = _identified(split, of_platform)
    status, of_status = _status(file.value)
    return FoundTicket(
        incoming=incoming,
        saved_at=saved_at,
        status=status,
        status_updated_at=moment(file.value.get("status_updated_at")) if status else None,
        processed_data=split.processed_data,
        remarks=(*of_id, *of_status),
    )


def _identified(split: _Split, of_platform: str) -> tuple[Incoming, Sequence[str]]:
    """A ticket under its ticket_id; under the platform's own id where it has none."""
    given: object = split.value.get("ticket_id")
    if given is None:
        return _by_own_id(split, of_platform, TICKET), [_NO_ID.format(what="ticket")]
    key = ticket_key(of_platform, record_id(given, "ticket_id"))
    try:
        incoming = platforms.ticket(of_platform, split.payload, split.value)
    except InvalidRecord:  # the id it has beside its ticket_id is none
        incoming = platforms.ticket(of_platform, split.payload, split.value, Options(id_field="ticket_id"))
    return (incoming, []) if incoming.key == key else (evolve(incoming, key=key), [OTHER_ID])


def _by_own_id(split: _Split, of_platform: str, kind: Kind) -> Incoming:
    platform(of_platform)
    read_as = platforms.ticket if kind == TICKET else platforms.article
    try:
        return read_as(of_platform, split.payload, split.value)
    except InvalidRecord as error:
        raise InvalidRecord(f"{_NO_ID.format(what=kind)}; this last one has no id that the platform gave it") from error


def _status(value: Parsed) -> tuple[ProcessingStatus | None, Sequence[str]]:
    return status_of(value["processing_status"]) if "processing_status" in value else (None, [])


def status_of(said: object) -> tuple[ProcessingStatus, Sequence[str]]:
    """The status that the prototype's text stands for, and what is to be said of it."""
    if not isinstance(said, str) or said not in _STATUSES:
        return PENDING, [f"its processing_status {ascii(said)[:40]} is none of {', '.join(_STATUSES)}: it is pending"]
    return _STATUSES[said], ["it was being processed: it is pending again"] if said == "processing" else []


# -- articles and summaries ----------------------------------------------------------------------------------------------------------------


def _article(file: _File) -> FoundArticle:
    split = _split(file, (_ARTICLES.adds,))
    saved_at = _moment(file.value["saved_at"])
    found = _found_article(split, file.value["platform"], saved_at)
    return evolve(found, remarks=(*found.remarks, *_remarks(file, split, _facts(file, saved_at))))


def _found_article(split: _Split, of_platform: str, saved_at: datetime | None) -> FoundArticle:
    given = _article_id(split.value)
    if given is None:
        incoming = _by_own_id(split, of_platform, ARTICLE)
        return FoundArticle(incoming=incoming, saved_at=saved_at, remarks=(_NO_ID.format(what="article"),))
    article_key(of_platform, record_id(given, "id"))
    options = Options(id_field="id" if split.value.get("id") else "article_id")
    return FoundArticle(incoming=platforms.article(of_platform, split.payload, split.value, options=options), saved_at=saved_at)


def _article_id(value: Parsed) -> object:
    return value.get("id") or value.get("article_id")


def _summary(file: _File) -> FoundSummary:
    summary: object = file.value["summary"]
    if file.value.keys() != {*_SUMMARY}:
        raise InvalidRecord("it holds more than the prototype wrote into a summary")
    if summary is None:
        raise InvalidRecord("it holds no summary")
    text = file.source.decode()
    content = next(text[one.value : one.end] for one in reversed([*_members(text)]) if one.name == "summary")
    is_object = isinstance(summary, dict)
    return FoundSummary(
        platform=platform(file.value["platform"]),
        record_id=record_id(file.value["item_id"], "item_id"),
        content=(content if is_object else f'{{"summary": {content}}}').encode(),
        created_at=moment(file.value["created_at"]),
        remarks=() if is_object else ('its summary is not an object: it was put into one, under the key "summary"',),
    )


# -- who wrote what, and what nobody wrote -------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class _Writer:
    """One of the prototype's three ways to save."""

    folder: str
    adds: tuple[str, ...]  #: to the payload, in this order
    time: str
    id_name: str
    id_of: Callable[[Parsed], object]
    read: Callable[[_File], Found]


_TICKETS: Final = _Writer(
    folder=TICKETS,
    adds=("company_id", "platform", "saved_at", "storage_type"),
    time="saved_at",
    id_name="ticket_id",
    id_of=lambda value: value.get("ticket_id"),
    read=_ticket,
)
_ARTICLES: Final = _Writer(
    folder=ARTICLES, adds=("company_id", "platform", "saved_at"), time="saved_at", id_name="id", id_of=_article_id, read=_article
)
_SUMMARIES: Final = _Writer(
    folder=SUMMARIES, adds=_SUMMARY, time="created_at", id_name="item_id", id_of=lambda value: value.get("item_id"), read=_summary
)
_WRITERS: Final = (_SUMMARIES, _TICKETS, _ARTICLES)


def _bare(file: _File) -> Found:
    """A record that somebody put into the tree by hand under its own id, where the prototype's reads found it."""
    writer = next((one for one in _WRITERS if one.folder == file.folder), None)
    if writer is None:
        raise InvalidRecord("it stands where the prototype kept neither tickets nor articles nor summaries")
    if file.has_metadata(writer):
        raise InvalidRecord(file.why_not_from(writer))
    if writer is _SUMMARIES:
        raise InvalidRecord("it stands among the summaries, and is none that the prototype wrote")
    of_platform = file.path.partition("/")[0]
    split = _Split(payload=file.source, value=file.value, cut=())
    found = _found_ticket(file, split, of_platform, None) if writer is _TICKETS else _found_article(split, of_platform, None)
    if file.path not in (place(of_platform, writer.folder, one) for one in (found.incoming.key.id, writer.id_of(file.value))):
        raise InvalidRecord(_RENAMED.format(id=writer.id_name))
    return evolve(found, remarks=(*found.remarks, _BARE))


def _moment(text: object) -> datetime:
    found = moment(text)
    if found is None:
        raise InvalidRecord(f"{ascii(text)[:40]} is not a time")
    return found


# -- progress ------------------------------------------------------------------------------------------------------------------------------


COUNTS: Final = ("total_tickets", "processed_tickets", "failed_tickets")


def read_progress(source: bytes) -> Mapping[str, int | str]:
    """The counts that a progress file says, whatever else than a number as text; raises InvalidRecord for what is no JSON object."""
    value = load(source)
    return {name: _count(value[name]) for name in COUNTS if name in value}


def _count(said: object) -> int | str:
    return said if isinstance(said, int) and abs(said) < _LARGEST else ascii(said)[:40]
