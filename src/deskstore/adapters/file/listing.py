"""Which companies there are, as their directories say."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from deskstore.adapters.file import database, layout, names
from deskstore.adapters.file.company_file import CompanyFile, company_named, read_company_file
from deskstore.adapters.file.place import Place
from deskstore.adapters.file.tree import Tree
from deskstore.domain.errors import ConfigurationError


def exists(place: Place, company_id: str) -> bool:
    """Whether anything of that company is there; a directory of strangers is none."""
    path = place.of(company_id)
    with database.translated(str(path)):
        if not path.is_dir():
            return False
        with closing(Tree.open(path)) as tree:
            return (path / layout.OWN).is_dir() or any(True for _ in tree.walk())


def companies(place: Place) -> list[str]:
    """Every registered company, ascending; links and strangers are none."""
    with database.translated(str(place.base)):
        try:
            entries = [Path(entry.path) for entry in os.scandir(place.base) if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        found = (_company_at(place, path) for path in entries if names.is_name(path.name))
        return sorted(company for company in found if company is not None)


def _company_at(place: Place, path: Path) -> str | None:
    with closing(Tree.open(path)) as tree:
        try:
            said = read_company_file(tree)
        except ConfigurationError:  # a newer release wrote it: whoever opens it is told, and the others are companies all the same
            company_id = company_named(tree) or names.decode(path.name)
        else:
            company_id = _company_said(said) if said else company_in_database(place, path) or _company_in_files(tree)
    return company_id if company_id is not None and names.encode(company_id) == path.name else None


def _company_said(said: CompanyFile) -> str | None:
    return None if said.state.erased else said.company_id


def _company_in_files(tree: Tree) -> str | None:
    from deskstore.adapters.file import rebuilding  # seldom needed

    return rebuilding.company_of(tree)


def company_in_database(place: Place, path: Path) -> str | None:
    """The company that a database without a company.json is of; None when there is none, it is lost, or only a link leads there."""
    from deskstore.adapters.file.index import Index  # nearly every company says in its company.json which it is

    if (path / layout.OWN).is_symlink() or (path / layout.DATABASE).is_symlink():
        return None
    try:
        with closing(database.look_into(str(path / layout.DATABASE), busy_s=place.busy_s)) as connection:
            known = database.has_schema(connection) and Index(connection).is_registered
            return str(Index(connection).meta("company")) if known else None
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if database.is_damaged(error) or database.is_missing(error) or database.is_half_made(error):
            return None
        raise
