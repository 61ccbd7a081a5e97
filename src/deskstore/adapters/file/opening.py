"""Opening a company: made when it is new, recovered when this process is alone, rebuilt when its database is lost."""

from __future__ import annotations

import os
import sqlite3
import uuid
from contextlib import closing, suppress
from pathlib import Path

import orjson
from attrs import asdict, frozen

from deskstore.adapters.file import database, erasing, layout, names, rebuilding, recovery
from deskstore.adapters.file.company import OpenCompany, hold, share, try_alone
from deskstore.adapters.file.index import Index, state_from
from deskstore.adapters.file.tree import StrangerInTree, Tree, flush_directory
from deskstore.domain.errors import ConfigurationError, StorageUnavailable
from deskstore.domain.mirror import CompanyState


class _ErasureUnderWay(Exception):
    """Somebody began to erase the company and did not come to the end."""


def company_path(base: Path, company_id: str) -> Path:
    """Where a company lies."""
    return base / names.encode(company_id)


def exists(base: Path, company_id: str) -> bool:
    """Whether anything of that company is there; a directory of strangers is none."""
    path = company_path(base, company_id)
    if not path.is_dir():
        return False
    with database.translated(str(path)), closing(Tree.open(path)) as tree:
        return (path / layout.OWN).is_dir() or any(True for _ in tree.walk())


def companies(base: Path) -> list[str]:
    """Every registered company below a directory, ascending; links and strangers are none."""
    if not base.is_dir():
        return []
    with database.translated(str(base)):
        found = (_company_at(Path(entry.path)) for entry in os.scandir(base) if entry.is_dir(follow_symlinks=False))
        return sorted(company for company in found if company is not None)


def _company_at(path: Path) -> str | None:
    if not (names.is_name(path.name) and (path / layout.DATABASE).is_file()):
        return None
    with closing(Tree.open(path)) as tree:
        said = read_company_file(tree)
    if said is None:
        with closing(database.connect(str(path / layout.DATABASE))) as connection:
            company_id = str(Index(connection).meta("company")) if _has_schema(connection) else None
    else:
        company_id = None if said.state.erased else said.company_id
    return company_id if company_id is not None and names.encode(company_id) == path.name else None


def open_company(base: Path, company_id: str) -> OpenCompany:
    """
    Open a company, and make it first if there is none.

    Raises:
        ConfigurationError: A newer deskstore wrote it.
        StorageUnavailable: The directory cannot be used.
    """
    path = company_path(base, company_id)
    with database.translated(str(path)):
        erasing.sweep(base)
        try:
            return _made_and_open(base, path, company_id)
        except _ErasureUnderWay:
            erasing.remove(base, path)
            return _made_and_open(base, path, company_id)


def _made_and_open(base: Path, path: Path, company_id: str) -> OpenCompany:
    _make_directories(base, path)
    tree = Tree.open(path)
    lock = hold(str(path / layout.LOCK))
    try:
        return _open(tree, path, company_id, lock)
    except BaseException:
        tree.close()
        os.close(lock)
        raise


@frozen(kw_only=True)
class CompanyFile:
    """What a company's directory says of itself, beside the database."""

    company_id: str
    store_id: str
    state: CompanyState


def read_company_file(tree: Tree) -> CompanyFile | None:
    """What a company's directory says of itself; None when it says nothing."""
    try:
        body = tree.read(layout.COMPANY_FILE)
    except StrangerInTree:
        return None
    if body is None:
        return None
    try:
        value = orjson.loads(body)
        if value["layout"] > layout.LAYOUT:
            raise ConfigurationError(f"{tree.path} has layout {value['layout']}: this release reads {layout.LAYOUT}; use a newer deskstore")
        state = state_from(orjson.dumps(value["state"]).decode())
        return CompanyFile(company_id=value["company"], store_id=value["store_id"], state=state)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


def write_company_file(tree: Tree, said: CompanyFile) -> None:
    """Keep durably, in a file of its own, which company this is and where it lives; a lost database is rebuilt from it."""
    value = {"layout": layout.LAYOUT, "company": said.company_id, "store_id": said.store_id, "state": asdict(said.state)}
    body = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    tree.replace_many({layout.COMPANY_FILE: body})
    tree.make_durable([layout.COMPANY_FILE])


def _open(tree: Tree, path: Path, company_id: str, lock: int) -> OpenCompany:
    alone = try_alone(lock)
    if not alone:
        share(lock)
    said = read_company_file(tree)
    if said is not None and said.company_id != company_id:
        raise StorageUnavailable(f"{path} says that it is another company: restore {layout.COMPANY_FILE} or move the directory away")
    writer = _connect(tree, path, company_id, said, alone=alone)
    try:
        return _opened(OpenCompany(company_id, path, tree, lock, writer), said, alone=alone)
    except BaseException:
        writer.close()
        raise


def _opened(company: OpenCompany, said: CompanyFile | None, *, alone: bool) -> OpenCompany:
    state = company.index.state()
    if state.erased:
        raise _ErasureUnderWay
    if said is None:
        flush_directory(company.path.parent.parent)  # the directory of all companies may be as new as this one
        write_company_file(company.tree, CompanyFile(company_id=company.company_id, store_id=company.store_id, state=state))
    if alone:
        recovery.recover(company)
        company.share()
    return company


def _connect(tree: Tree, path: Path, company_id: str, said: CompanyFile | None, *, alone: bool) -> sqlite3.Connection:
    place = str(path / layout.DATABASE)
    try:
        connection = database.connect(place, must_exist=True)
        if _has_schema(connection):
            return connection
        connection.close()
    except sqlite3.DatabaseError as error:
        if not (database.is_damaged(error) or database.is_missing(error)):
            raise
        if alone and database.is_damaged(error):
            rebuilding.set_aside(tree)
    if said is not None and not alone:
        raise StorageUnavailable(f"{place} is lost or damaged: close every process that uses it; the next one rebuilds it")
    return _new_database(tree, place, company_id, said)


def _has_schema(connection: sqlite3.Connection) -> bool:
    (tables,) = connection.execute("select count(*) from sqlite_master where name = 'meta'").fetchone()
    return bool(tables)


def _new_database(tree: Tree, place: str, company_id: str, said: CompanyFile | None) -> sqlite3.Connection:
    store_id = said.store_id if said else f"file-{uuid.uuid4()}"
    state = said.state if said else CompanyState(primary=store_id)
    with suppress(FileExistsError):  # SQLite gives its other files the mode of this one
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        os.chmod(place, 0o600)
    connection = database.connect(place)
    with database.transaction(connection, durable=True):
        if _has_schema(connection):
            return connection
        for statement in _statements(database.SCHEMA):
            connection.execute(statement)
        index = Index(connection)
        index.set_meta("company", company_id)
        index.set_meta("layout", layout.LAYOUT)
        index.set_meta("store_id", store_id)
        index.set_state(state)
        rebuilding.rebuild(tree, connection, company_id, lost=said is not None)
    return connection


def _statements(script: str) -> list[str]:
    """The statements of a script, one by one: executescript() would commit before each run."""
    found: list[str] = []
    gathered = ""
    for line in script.strip().splitlines():
        gathered += line + "\n"
        if sqlite3.complete_statement(gathered):
            found.append(gathered)
            gathered = ""
    return found


def _make_directories(base: Path, path: Path) -> None:
    for missing in [above for above in (*reversed(base.parents), base) if not above.exists()]:
        missing.mkdir(mode=0o700, exist_ok=True)
        flush_directory(missing.parent)
    with closing(Tree.open(base)) as root:
        root.make_directory(path.name)
    with closing(Tree.open(path)) as tree:
        tree.make_directory(layout.OWN)
