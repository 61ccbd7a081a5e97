"""The reference pages on errors and on the tables in PostgreSQL say what the code says."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any, Final

import pytest
from attrs import fields
from sqlalchemy import Column, Table
from sqlalchemy.dialects.postgresql.base import PGDialect

import deskstore
from deskstore.adapters.postgres.checks import REVISION
from deskstore.adapters.postgres.schema import tables
from deskstore.cli.failures import code_of
from deskstore.domain import errors
from deskstore.domain.errors import StorageError
from deskstore.domain.things import CompanyState
from tests.pages import ROOT

ERRORS: Final = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
DIALECT: Final = PGDialect()  # type: ignore[no-untyped-call]  # SQLAlchemy types its results only
SCHEMA: Final = (ROOT / "docs/reference/sql-schema.md").read_text(encoding="utf-8")
WRITTEN: Final = {'text collate "c"': "name", "double precision": "double"}  #: types that the page gives a name of its own
FAMILY: Final = {name: made for name, made in vars(errors).items() if inspect.isclass(made) and issubclass(made, StorageError)}
ROWS: Final = {
    name: (attributes, int(code))
    for name, attributes, code in re.findall(r"^\| `(\w+)` \|[^|]+\|[^|]+\| ([^|]*)\| (\d+) \|$", ERRORS, re.MULTILINE)
}


def test_every_error_is_on_the_page_once() -> None:
    named = re.findall(r"^\| `(\w+)` \|", ERRORS, re.MULTILINE)

    assert sorted(named) == sorted(ROWS) == sorted({*FAMILY} - {"StorageError"})


@pytest.mark.parametrize("name", sorted(ROWS))
def test_an_error_ends_a_command_with_the_code_on_the_page(name: str) -> None:
    _, code = ROWS[name]

    assert code_of(FAMILY[name].__new__(FAMILY[name])) == code


@pytest.mark.parametrize("name", sorted(ROWS))
def test_an_error_has_the_attributes_on_the_page(name: str) -> None:
    attributes, _ = ROWS[name]

    assert set(re.findall(r"`(\w+)`", attributes)) == attributes_of(FAMILY[name])


def test_the_drawing_of_the_family_is_that_of_the_code() -> None:
    drawn = re.findall(r"^([│ ]*)[├└]── (\w+)", inspect.getdoc(errors) or "", re.MULTILINE)
    shown = re.findall(r"^([│ ]*)[├└]── (\w+)", ERRORS, re.MULTILINE)

    assert shown == drawn
    assert {name: len(indent) // 4 for indent, name in shown} == {name: depth(made) for name, made in FAMILY.items() if name in ROWS}


def test_an_error_that_the_front_door_does_not_give_is_named_with_its_place() -> None:
    inner = {name for name in ROWS if name not in deskstore.__all__}

    assert inner == set(re.findall(r"^\| `(\w+)` \|.*`from deskstore.domain.errors`", ERRORS, re.MULTILINE))


def attributes_of(made: type[StorageError]) -> set[str]:
    """What a class sets on itself."""
    targets = [node.target if isinstance(node, ast.AnnAssign) else node.targets[0] for node in assignments(made)]
    return {target.attr for target in targets if isinstance(target, ast.Attribute)}


def assignments(made: type[StorageError]) -> list[ast.Assign | ast.AnnAssign]:
    return [node for node in ast.walk(ast.parse(inspect.getsource(made))) if isinstance(node, ast.Assign | ast.AnnAssign)]


def depth(made: type[StorageError]) -> int:
    """How many errors stand between it and StorageError."""
    return len(made.__mro__) - len(StorageError.__mro__) - 1


@pytest.mark.parametrize("table", tables().sorted_tables, ids=lambda table: table.name)
def test_a_table_is_on_the_page_with_its_columns(table: Table) -> None:
    rows = re.findall(r"^\| (\**)(?!column )(\w+)\** \| (\w+\??) \|", section(table.name), re.MULTILINE)

    shown = [(name, type_, bool(stars)) for stars, name, type_ in rows]

    assert shown == [(column.name, said_of(column), column.primary_key) for column in table.columns]


def test_the_page_has_no_table_that_does_not_exist_and_the_revision_of_the_migrations() -> None:
    assert sorted(re.findall(r"^### (\w+)$", SCHEMA, re.MULTILINE)) == sorted(table.name for table in tables().sorted_tables)
    assert f"this page tells of `{REVISION}`" in SCHEMA


def test_the_fields_of_a_companys_state_are_on_the_page() -> None:
    (row,) = re.findall(r"^\| state \|.*", SCHEMA, re.MULTILINE)

    assert re.findall(r"`(\w+)`", row) == [field.name for field in fields(CompanyState)]


def section(table: str) -> str:
    found = re.search(rf"^### {table}\n(.*?)(?=^##|\Z)", SCHEMA, re.MULTILINE | re.DOTALL)
    assert found, f"docs/reference/sql-schema.md has no section on {table}"
    return found[1]


def said_of(column: Column[Any]) -> str:  # Any: columns of every type
    """A type as the page writes it."""
    type_ = column.type.compile(dialect=DIALECT).lower()
    return WRITTEN.get(type_, type_) + ("?" if column.nullable else "")
