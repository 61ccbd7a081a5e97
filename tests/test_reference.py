"""The reference pages on errors and on the tables in PostgreSQL say what the code says."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Final

import pytest

import deskstore
from deskstore.cli.failures import code_of
from deskstore.domain import errors
from deskstore.domain.errors import StorageError
from tests.pages import ROOT

ERRORS: Final = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
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
