"""The names that applications use, all of them from `deskstore`."""

import ast
from importlib import import_module
from inspect import cleandoc
from pathlib import Path

import pytest

import deskstore

SOURCE = Path(deskstore.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted({*deskstore.__all__} - {"__version__"}))
def test_every_public_name_is_documented_in_a_sentence_of_its_own(name: str) -> None:
    found = getattr(deskstore, name)

    # a class without one would show its parent's
    written = vars(found)["__doc__"] if isinstance(found, type) else found.__doc__
    first, *_ = cleandoc(written).split("\n\n")

    assert first[0].isupper()
    assert first.endswith(".")


def test_what_type_checkers_see_is_what_is_loaded() -> None:
    imports = [
        node for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("deskstore.")
    ]
    seen = {alias.name: node.module for node in imports for alias in node.names}

    assert {*seen} == {*deskstore.__all__} - {"__version__"}
    for name, module in seen.items():
        assert getattr(import_module(str(module)), name) is getattr(deskstore, name)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = getattr(deskstore, "nothing")  # noqa: B009 - the type checkers know that it is not there


def test_the_names_are_listed() -> None:
    assert {*deskstore.__all__} <= {*dir(deskstore)}
