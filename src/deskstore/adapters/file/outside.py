"""Companies seen from outside: which there are, and what has to be settled before their records can be looked at."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from deskstore.adapters.file import database, layout, names, rebuilding
from deskstore.adapters.file.company_file import CompanyFile, read_company_file
from deskstore.adapters.file.index import Index
from deskstore.adapters.file.listing import company_in_database
from deskstore.adapters.file.place import Place
from deskstore.adapters.file.tree import StrangerInTree, Tree
from deskstore.domain.errors import ConfigurationError, InvalidRecord
from deskstore.domain.findings import Finding, FindingKind
from deskstore.domain.payloads import Parsed
from deskstore.formats.json import load


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
    try:
        with closing(Tree.open(path)) as tree:
            said = _said(tree).get("company")
            return said if isinstance(said, str) else company_in_database(place, path) or rebuilding.company_of(tree)
    except PermissionError:
        if (company_id := names.decode(path.name)) is not None:  # a look at it will fail, and say why
            return company_id
        raise


def _said(tree: Tree) -> Parsed:
    """What company.json says, also one of a release to come; nothing where it cannot be read."""
    try:
        return load(tree.read(layout.COMPANY_FILE) or b"{}")
    except (StrangerInTree, InvalidRecord):
        return {}


def look(place: Place, company_id: str) -> Sequence[Finding]:
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


def has_database(place: Place, company_id: str) -> bool:
    """Whether there is a database; a file that was made and never filled is none, and stays as it is."""
    path = place.of(company_id) / layout.DATABASE
    if not os.path.lexists(path) or not path.stat().st_size:
        return False
    with closing(database.connect(str(path), busy_s=place.busy_s, must_exist=True)) as connection:
        return database.has_schema(connection)


def _of_database(place: Place, company_id: str, said: CompanyFile | None, *, has_records: bool) -> Iterator[Finding]:
    path = place.of(company_id) / layout.DATABASE
    try:
        if path.is_symlink() or path.parent.is_symlink():
            raise StrangerInTree(layout.DATABASE, "is a symbolic link, or its directory is one")
        if has_database(place, company_id):
            with closing(database.connect(str(path), busy_s=place.busy_s, must_exist=True)) as connection:
                yield from _in_database(company_id, connection, said)
        elif has_records:
            yield _bad_database(company_id, "it is lost")
    except StrangerInTree as stranger:
        yield _bad_database(company_id, stranger.reason)
    except ConfigurationError as error:
        yield Finding(company_id=company_id, kind=FindingKind.LAYOUT, place=layout.DATABASE, what=str(error))
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
        raise database.UnexpectedValue(answer)


def _bad_database(company_id: str, what: str) -> Finding:
    return Finding(company_id=company_id, kind=FindingKind.DATABASE, place=layout.DATABASE, what=what)
