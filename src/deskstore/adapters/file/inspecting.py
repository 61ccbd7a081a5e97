"""
A look through a company that changes nothing: what it finds is named, and whoever asks decides what becomes of it.

It goes past the ordinary way in, which recovers, rebuilds and finishes erasures. No lock is held: whoever opens the company alone meanwhile
may recover it, and a look that meets a file in motion looks again.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
import orjson

from deskstore.adapters.file import database, journal, layout, names, rebuilding
from deskstore.adapters.file.company import OpenCompany
from deskstore.adapters.file.envelope import NotOurs, read_record, read_summary
from deskstore.adapters.file.index import Index
from deskstore.adapters.file.loading import OnDisk, Want, load
from deskstore.adapters.file.opening import CompanyFile, read_company_file
from deskstore.adapters.file.place import Place
from deskstore.adapters.file.surveying import Entry, is_file_of_record, is_of_summary, survey, whose
from deskstore.adapters.file.tree import StrangerInTree, Tree
from deskstore.domain import times
from deskstore.domain.errors import ConfigurationError, CorruptRecord, InvalidRecord
from deskstore.domain.findings import FIRST, Finding, FindingKind, Offer
from deskstore.domain.identifiers import ARTICLE, TICKET, Key, checked_key
from deskstore.domain.mirror import Thing
from deskstore.domain.paging import EVERYTHING
from deskstore.formats.json import load as load_json

BATCH: Final = 100  #: files whose content is in memory at once
CLAIMS_FROM: Final = "claims_from_us"
_ENTRIES: Final = 1_000  #: of the tree, whose names are in memory at once


# -- which companies there are -----------------------------------------------------------------------------------------------------------------


def companies(place: Place) -> list[str]:
    """Every company of which something is there, whatever state it is in."""
    with database.translated(str(place.base)):
        try:
            paths = [Path(entry.path) for entry in os.scandir(place.base) if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        found = ((path, _company_at(place, path)) for path in paths if names.is_name(path.name))
        return sorted(company for path, company in found if company is not None and names.encode(company) == path.name)


def layout_of(place: Place, company_id: str) -> int | None:
    """The version of the layout that a company says it is kept in."""
    path = place.of(company_id)
    with database.translated(str(path)):
        if not path.is_dir():
            return None
        with closing(Tree.open(path)) as tree:
            value = _said(tree).get("layout")
        return value if isinstance(value, int) else None


def _company_at(place: Place, path: Path) -> str | None:
    with closing(Tree.open(path)) as tree:
        said = _said(tree).get("company")
        return said if isinstance(said, str) else _company_in_database(place, path) or rebuilding.company_of(tree)


def _said(tree: Tree) -> dict[str, object]:
    """What company.json says, also one of a release to come; nothing where it cannot be read."""
    try:
        value: object = orjson.loads(tree.read(layout.COMPANY_FILE) or b"{}")
    except (StrangerInTree, orjson.JSONDecodeError):
        return {}
    return {str(name): one for name, one in value.items()} if isinstance(value, dict) else {}


def _company_in_database(place: Place, path: Path) -> str | None:
    try:
        with closing(database.connect(str(path / layout.DATABASE), busy_s=place.busy_s, must_exist=True)) as connection:
            index = Index(connection)
            return str(index.meta("company")) if index.is_registered else None
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if database.is_damaged(error) or database.is_missing(error):
            return None
        raise


# -- from outside --------------------------------------------------------------------------------------------------------------------------------


def look(place: Place, company_id: str) -> Generator[Sequence[Finding], None, None]:
    """Whatever is not as it was left, a batch a step, however few its findings are."""
    path = place.of(company_id)
    with database.translated(str(path)):
        if not path.is_dir() or path.is_symlink():
            return
        outside = from_outside(place, company_id)
        yield outside
        if any(finding.kind in FIRST and finding.kind != FindingKind.STATE for finding in outside):
            return
        if not os.path.lexists(path / layout.DATABASE):
            return
        with closing(onlooker(place, company_id)) as company:
            unnamed: set[str] = set()  # files of records with faults whose names do not tell the record: long ones, so there are few
            yield [*_notes(company, place)]
            yield from _records(company, unnamed)
            yield from _summaries(company, unnamed)
            yield from _tree(company, unnamed)


def from_outside(place: Place, company_id: str) -> Sequence[Finding]:
    """What has to be settled before the records can be looked at."""
    path = place.of(company_id)
    with closing(Tree.open(path)) as tree:
        try:
            said = read_company_file(tree)
        except ConfigurationError as error:
            return [Finding(company_id=company_id, kind=FindingKind.LAYOUT, place=layout.COMPANY_FILE, what=str(error))]
        if said is not None and said.company_id != company_id:
            what = "it says that this is another company: restore it"
            return [Finding(company_id=company_id, kind=FindingKind.DATABASE, place=layout.COMPANY_FILE, what=what)]
        if said is not None and said.state.erased:
            return [_erasure(company_id)]
        return [*_of_database(place, company_id, said, has_records=said is not None or any(True for _ in tree.walk()))]


def _erasure(company_id: str) -> Finding:
    what = "somebody began to erase the company and did not come to the end"
    return Finding(company_id=company_id, kind=FindingKind.ERASURE, place=layout.COMPANY_FILE, what=what)


def _of_database(place: Place, company_id: str, said: CompanyFile | None, *, has_records: bool) -> Iterator[Finding]:
    path = place.of(company_id) / layout.DATABASE
    try:
        if path.is_symlink():
            raise StrangerInTree(layout.DATABASE, "is a symbolic link")
        with closing(database.connect(str(path), busy_s=place.busy_s, must_exist=True)) as connection:
            yield from _in_database(company_id, connection, said)
    except StrangerInTree as stranger:
        yield _bad_database(company_id, stranger.reason)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if database.is_missing(error):
            if has_records:
                yield _bad_database(company_id, "it is lost")
        elif database.is_damaged(error):
            yield _bad_database(company_id, f"it is damaged ({error})")
        else:
            raise


def _in_database(company_id: str, connection: sqlite3.Connection, said: CompanyFile | None) -> Iterator[Finding]:
    index = Index(connection)
    check_soundness(connection)
    if (number := index.number("layout")) > layout.LAYOUT:
        what = f"it has layout {number}, and this release reads {layout.LAYOUT}"
        yield Finding(company_id=company_id, kind=FindingKind.LAYOUT, place=layout.DATABASE, what=what)
    elif index.meta("company") != company_id:
        yield _bad_database(company_id, "it is of another company: put the one back that was here, or move it away")
    elif index.state().erased:
        yield _erasure(company_id)
    elif said is None and index.is_registered:
        yield Finding(company_id=company_id, kind=FindingKind.STATE, place=layout.COMPANY_FILE, what="it is missing, or says nothing")
    elif said is not None and said.state != index.state():
        what = f"it knows epoch {said.state.epoch} of where the company lives, and the database epoch {index.state().epoch}"
        yield Finding(company_id=company_id, kind=FindingKind.STATE, place=layout.COMPANY_FILE, what=what)


def check_soundness(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError when SQLite finds fault with its file."""
    (answer,) = connection.execute("pragma quick_check(1)").fetchone()
    if answer != "ok":
        raise database.Nonsense(answer)


def _bad_database(company_id: str, what: str) -> Finding:
    return Finding(company_id=company_id, kind=FindingKind.DATABASE, place=layout.DATABASE, what=what)


def onlooker(place: Place, company_id: str) -> OpenCompany:
    """The company, open to look at without a lock: nothing was recovered, and nothing may be written."""
    path = place.of(company_id)
    with ExitStack() as undo:
        tree = Tree.open(path)
        undo.callback(tree.close)
        # in place of the lock, which says that the company was recovered: others would rely on that
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        undo.callback(os.close, descriptor)
        connection = database.connect(str(path / layout.DATABASE), busy_s=place.busy_s, must_exist=True)
        undo.callback(connection.close)
        company = OpenCompany(place, company_id, tree, descriptor, connection)
        undo.pop_all()
        return company


def _notes(company: OpenCompany, place: Place) -> Iterator[Finding]:
    (waiting,) = company.writer.execute("select count(distinct file) from redo").fetchone()
    if waiting:
        what = f"{waiting:,} files of acknowledged units still stand in the journal"
        yield Finding(company_id=company.company_id, kind=FindingKind.WAITING, place=layout.DATABASE, what=what)
    until = company.index.number(CLAIMS_FROM)
    if until > times.microseconds(place.clock()):
        what = f"no ticket is handed out before {times.moment(until):%Y-%m-%d %H:%M:%S} UTC, since the database was rebuilt"
        yield Finding(company_id=company.company_id, kind=FindingKind.CLAIMS, place=layout.DATABASE, what=what)


# -- records and summaries -----------------------------------------------------------------------------------------------------------------------


def _records(company: OpenCompany, unnamed: set[str]) -> Iterator[Sequence[Finding]]:
    for kind in (TICKET, ARTICLE):
        after: Key | None = None
        while True:
            company.check_in_place()
            with company.reading() as index:
                keys = index.keys(kind, EVERYTHING, after=after, limit=BATCH)
                found = _faults(company, index, [Want(key) for key in keys])
            yield _noted(found, unnamed)
            if len(keys) < BATCH:
                break
            after = keys[-1]


def _summaries(company: OpenCompany, unnamed: set[str]) -> Iterator[Sequence[Finding]]:
    after: Thing | None = None
    while True:
        company.check_in_place()
        with company.reading() as index:
            things = index.summaries(after=after, limit=BATCH)
            found = _faults(company, index, [Want(thing.key, thing.number) for thing in things])
        yield _noted(found, unnamed)
        if len(things) < BATCH:
            return
        after = things[-1]


def _noted(found: Sequence[Finding], unnamed: set[str]) -> Sequence[Finding]:
    unnamed.update(finding.place for finding in found if whose(finding.place) is None)
    return found


def _faults(company: OpenCompany, index: Index, wants: Sequence[Want]) -> Sequence[Finding]:
    loaded = zip(wants, load(company, index, wants), strict=True)
    return [_fault(company, want, error) for want, error in loaded if isinstance(error, CorruptRecord)]


def _fault(company: OpenCompany, want: Want, error: CorruptRecord) -> Finding:
    kind, what = _judged(company.company_id, want, on_disk(company, want.file), error.reason)
    return Finding(
        company_id=company.company_id,
        kind=kind,
        place=want.file,
        what=what,
        key=want.key,
        number=want.number,
        is_healable=_is_in_journal(company, want),
    )


def _judged(company_id: str, want: Want, body: OnDisk, reason: str) -> tuple[FindingKind, str]:
    if body is None:
        return FindingKind.MISSING, "the file is missing"
    if not isinstance(body, bytes) or want.number:
        return FindingKind.DAMAGED, reason
    try:
        offer = read_offer(company_id, want.file, body)
    except InvalidRecord as refusal:
        return FindingKind.DAMAGED, f"the file is not the one deskstore wrote, and can be no record: {refusal}"
    whole = "was changed by another hand" if offer.key else "was replaced by a payload and nothing else"
    return FindingKind.EDITED, f"the file {whole}"


def _is_in_journal(company: OpenCompany, want: Want) -> bool:
    crc = want.crc(company.index)
    try:
        return crc is not None and bool(journal.newest(company, want.file, crc, want.key))
    except CorruptRecord:
        return False


def on_disk(company: OpenCompany, file: str) -> OnDisk:
    """What stands at a path, or the error in place of it."""
    (body,) = company.tree.read_many([file])
    return body


# -- what stands in the tree -----------------------------------------------------------------------------------------------------------------------


def _tree(company: OpenCompany, unnamed: set[str]) -> Iterator[Sequence[Finding]]:
    with closing(survey(company.path)) as entries:
        while batch := [*islice(entries, _ENTRIES)]:
            company.check_in_place()
            with company.reading() as index:
                suspects = [entry for entry in batch if not _is_known(index, entry)]
            yield [finding for entry in batch for finding in _open_to_others(company, entry)]
            yield [finding for entry in suspects if entry.path not in unnamed for finding in _unlisted(company, entry)]


def _is_known(index: Index, entry: Entry) -> bool:
    """Whether an entry is a directory of ours, a file of ours, or the place of a record that was looked at as such."""
    want = whose(entry.path)
    if want is not None:
        return want.crc(index) is not None
    return entry.belongs and not (entry.is_aside and entry.is_file) and not is_file_of_record(entry.path)


def _open_to_others(company: OpenCompany, entry: Entry) -> Iterator[Finding]:
    if entry.is_open_to_others and (entry.is_file or entry.is_directory):
        what = f"its rights are {entry.mode & 0o777:o} and should be {entry.mode & 0o700:o}"
        yield Finding(company_id=company.company_id, kind=FindingKind.PERMISSIONS, place=entry.path or ".", what=what)


def _unlisted(company: OpenCompany, entry: Entry) -> Iterator[Finding]:
    if entry.is_aside:
        yield _found(company, FindingKind.LEFTOVER, entry, "it was set aside")
    elif not entry.belongs:
        yield _found(company, FindingKind.STRANGER, entry, f"it is {entry.type}, and belongs to no record")
    else:
        yield from _without_a_row(company, entry)


def _without_a_row(company: OpenCompany, entry: Entry) -> Iterator[Finding]:
    body = on_disk(company, entry.path)
    want = whose(entry.path) or _named_inside(body)
    if body is None or (want is not None and not _is_added(company, want)):
        return
    if is_of_summary(entry.path):
        yield _found(company, FindingKind.STRANGER, entry, "it is a summary that nobody saved")
        return
    key = want.key if want else None
    try:
        offer = _offered(company.company_id, entry.path, body)
        yield _found(company, FindingKind.ADDED, entry, "another hand put it there", key=offer.key or key)
    except InvalidRecord as refusal:
        yield _found(company, FindingKind.DAMAGED, entry, f"the index does not know it, and it can be no record: {refusal}", key=key)


def _is_added(company: OpenCompany, want: Want) -> bool:
    """Whether a file stands where none is to be, and is not on its way out either."""
    with company.reading() as index:
        (error,) = load(company, index, [want]) if want.crc(index) is None else (None,)
    return isinstance(error, CorruptRecord)


def _named_inside(body: OnDisk) -> Want | None:
    """The record that a file names itself; for names that do not tell."""
    if not isinstance(body, bytes):
        return None
    try:
        return Want(read_record(body)[1].key)
    except NotOurs:
        pass
    try:
        summary = read_summary(body)[1]
    except NotOurs:
        return None
    return Want(summary.key, summary.number)


def _found(company: OpenCompany, kind: FindingKind, entry: Entry, what: str, *, key: Key | None = None) -> Finding:
    return Finding(company_id=company.company_id, kind=kind, place=entry.path, what=what, key=key)


# -- what another hand wrote -----------------------------------------------------------------------------------------------------------------------


def offer(place: Place, finding: Finding) -> Offer:
    """What a file that another hand wrote holds; raises InvalidRecord."""
    path = place.of(finding.company_id)
    with database.translated(str(path)), closing(Tree.open(path)) as tree:
        (body,) = tree.read_many([finding.place])
    return _offered(finding.company_id, finding.place, body)


def _offered(company_id: str, file: str, body: OnDisk) -> Offer:
    if not isinstance(body, bytes):
        raise InvalidRecord("the file is missing" if body is None else "the file cannot be read")
    return read_offer(company_id, file, body)


def read_offer(company_id: str, file: str, body: bytes) -> Offer:
    """
    The payload in a file, and the record it names, if it is an envelope.

    Raises:
        InvalidRecord: It is no JSON object, or it names another company, or another record than its place does.
    """
    parts = _parts(body)
    if "deskstore" not in parts or "payload" not in parts:
        load_json(payload := body.strip())
        return Offer(payload=payload)
    load_json(payload := bytes(parts["payload"]))
    company, *names_of_key = (_text(parts, name) for name in ("company", "kind", "platform", "id", "locale"))
    if company != company_id:
        raise InvalidRecord("it names another company")
    key = _key(names_of_key)
    if layout.record_path(key) != file:
        raise InvalidRecord("it names another record than its place does")
    return Offer(payload=payload, key=key)


def _parts(body: bytes) -> dict[str, msgspec.Raw]:
    """The members of an object, each in its own bytes."""
    try:
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRecord(f"it is no JSON object ({error})") from error


def _text(parts: dict[str, msgspec.Raw], name: str) -> str:
    try:
        return msgspec.json.decode(parts[name], type=str)
    except (msgspec.DecodeError, KeyError) as error:
        raise InvalidRecord(f"its envelope is broken: {name!r} is missing, or no text") from error


def _key(names_of_key: Sequence[str]) -> Key:
    kind, platform, identifier, locale = names_of_key
    return checked_key(Key(ARTICLE if kind == ARTICLE else TICKET, platform, identifier, locale))
