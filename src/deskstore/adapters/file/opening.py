"""Opening a company: made when it is new, recovered when this process is alone, rebuilt when its database is lost."""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from deskstore.adapters.file import database, erasing, layout, recovery
from deskstore.adapters.file.company import OpenCompany, hold, release, share, try_alone
from deskstore.adapters.file.company_file import CompanyFile, newer_layout, read_company_file, write_company_file
from deskstore.adapters.file.index import Index
from deskstore.adapters.file.place import Place
from deskstore.adapters.file.tree import StrangerInTree, Tree, flush_directory
from deskstore.domain.errors import StorageBusy, StorageUnavailable
from deskstore.domain.things import CompanyState, after_loss

logger: Final = logging.getLogger("deskstore")


class _Erased(Exception):
    """What stood there was erased, and is gone now."""


def open_company(place: Place, company_id: str) -> OpenCompany:
    """
    Open a company, and make it first if there is none.

    Raises:
        ConfigurationError: A newer deskstore wrote it.
        StorageUnavailable: The directory cannot be used.
    """
    path = place.of(company_id)
    with database.translated(str(path)):
        _finish_erasures(place.base)
        while True:
            with suppress(_Erased):
                return _made_and_open(place, path, company_id)


def _finish_erasures(base: Path) -> None:
    try:
        erasing.sweep(base)
    except (StorageUnavailable, StrangerInTree, OSError) as error:
        # who erased was told, or never got that far; no other company is to suffer for it
        logger.error("%s: %s", base, error)


def _made_and_open(place: Place, path: Path, company_id: str) -> OpenCompany:
    _make_directories(place.base, path)
    tree = Tree.open(path)
    lock = hold(str(path / layout.LOCK))
    try:
        return _open(place, tree, path, company_id, lock)
    except BaseException:
        tree.close()
        release(lock)
        raise


def _open(place: Place, tree: Tree, path: Path, company_id: str, lock: int) -> OpenCompany:
    alone = try_alone(lock)
    if not alone:
        share(lock, place.busy_s, str(path))
    said = read_company_file(tree)
    if said is not None and said.company_id != company_id:
        raise StorageUnavailable(f"{path} says that it is another company: restore {layout.COMPANY_FILE} or move the directory away")

    def opened() -> OpenCompany:
        writer = _connect(place, tree, company_id, said, alone=alone)
        with database.closed_on_error(writer):
            company = OpenCompany(place, company_id, tree, lock, writer)
        try:
            return _settled(place, company, said, alone=alone)
        except BaseException:
            company.disconnect()
            raise

    try:
        return opened()
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if not (alone and database.is_damaged(error)):
            raise
    from deskstore.adapters.file import rebuilding  # seldom needed

    rebuilding.set_aside(tree)
    return opened()


def _settled(place: Place, company: OpenCompany, said: CompanyFile | None, *, alone: bool) -> OpenCompany:
    _check_database(company)
    state = _agreed(company, said)
    if state.erased:
        erasing.remember(place.base, erasing.what_stays(company, state.epoch, place.clock()))
        erasing.remove(company.path, company.tree)  # somebody began it, and did not come to the end
        raise _Erased
    if said is None:
        flush_directory(company.path.parent.parent)  # the directory of all companies may be as new as this one
        flush_directory(company.path / layout.OWN)
        with suppress(StorageBusy):  # whoever is writing does it
            register(company)
    company.has_file = said is not None or company.has_file
    if alone:
        recovery.recover(company)
        _keep_suppressions(company)
        company.share()
    return company


def _keep_suppressions(company: OpenCompany) -> None:
    """Write the suppressions' file again if somebody removed it."""
    if company.index.secrets():
        from deskstore.adapters.file import suppressing  # most companies have none

        suppressing.mend(company)


def register(company: OpenCompany) -> None:
    """Give a company that something was kept in its company.json, if it has none yet, under the writer lock."""
    if company.has_file or not company.index.is_registered:
        return
    with database.transaction(company.writer, durable=False, begin=company.begin):
        if read_company_file(company.tree) is None:
            said = CompanyFile(company_id=company.company_id, store_id=company.store_id, state=company.index.state())
            write_company_file(company.tree, said)
    company.has_file = True


def _check_database(company: OpenCompany) -> None:
    if (number := company.index.number("layout")) > layout.LAYOUT:
        raise newer_layout(str(company.path), number)
    if company.index.meta("company") != company.company_id:
        raise StorageUnavailable(f"{company.database} is of another company: restore the one that was here, or move it away")


def _agreed(company: OpenCompany, said: CompanyFile | None) -> CompanyState:
    """Where the company lives: an older database put in place, or a crash between the two, must not bring back a primary given up."""
    state = company.index.state()
    if said is None or said.state == state:
        return state
    with database.transaction(company.writer, durable=True, begin=company.begin):
        state, said = company.index.state(), read_company_file(company.tree)
        if said is not None and said.state.epoch > state.epoch:
            company.index.set_state(said.state)
            return said.state
        write_company_file(company.tree, CompanyFile(company_id=company.company_id, store_id=company.store_id, state=state))
        return state


def _connect(place: Place, tree: Tree, company_id: str, said: CompanyFile | None, *, alone: bool) -> sqlite3.Connection:
    path = str(place.of(company_id) / layout.DATABASE)
    if os.path.islink(path):
        raise StrangerInTree(layout.DATABASE, "is a symbolic link")
    try:
        connection = database.connect(path, busy_s=place.busy_s, must_exist=True)
        with database.closed_on_error(connection):
            if database.has_schema(connection):
                return connection
        connection.close()
    except sqlite3.DatabaseError as error:
        if not database.is_missing(error):
            raise
    if said is not None and not alone:
        raise StorageUnavailable(f"{path} is lost: close every process that uses it; the next one rebuilds it")
    return _new_database(place, tree, path, company_id, said)


def _new_database(place: Place, tree: Tree, path: str, company_id: str, said: CompanyFile | None) -> sqlite3.Connection:
    import uuid  # only who makes a database needs it

    from deskstore.adapters.file import rebuilding  # likewise

    store_id = said.store_id if said else f"file-{uuid.uuid4()}"
    first = CompanyState(primary=store_id, epoch=erasing.erased_epoch(place.base, company_id) + 1)
    state = after_loss(said.state, store_id) if said else first
    with suppress(FileExistsError):  # SQLite gives its other files the mode of this one
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        os.chmod(path, 0o600)
    connection = database.connect(path, busy_s=place.busy_s)
    with database.closed_on_error(connection), database.transaction(connection, durable=True):
        if database.has_schema(connection):
            return connection
        for statement in _statements(database.SCHEMA):
            if not _follows_rows(statement):
                connection.execute(statement)
        index = Index(connection)
        index.set_meta("company", company_id)
        index.set_meta("layout", layout.LAYOUT)
        index.set_meta("store_id", store_id)
        index.set_state(state)
        rebuilding.rebuild(tree, connection, company_id, lost=said is not None, now=place.clock())
        for statement in filter(_follows_rows, _statements(database.SCHEMA)):
            connection.execute(statement)
    return connection


def _follows_rows(statement: str) -> bool:
    """Whether it makes what follows each row that is written: at a rebuild, sorting and counting them once costs a fraction."""
    return statement.startswith(("create index", "create trigger"))


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
    with closing(Tree.open(base.resolve())) as root:  # DATA_PATH itself may be a link: it is the user's own word
        root.make_directory(path.name)
    with closing(Tree.open(path)) as tree:
        tree.make_directory(layout.OWN)
