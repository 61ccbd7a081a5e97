"""
Which tests hold which case of what must hold: reads acceptance.toml, and writes docs/acceptance.md from it.

    python -m tests.acceptance
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from attrs import frozen

ROOT: Final = Path(__file__).resolve().parent.parent
MAP: Final = ROOT / "tests" / "acceptance.toml"
PAGE: Final = ROOT / "docs" / "acceptance.md"
CONTRACT: Final = "src/deskstore/testing/contract"

SUBJECTS: Final = {
    "Isolation": range(1, 17),
    "Lossless": range(17, 29),
    "Cache": range(29, 38),
    "Files": range(38, 48),
    "Hybrid and migration": range(48, 57),
    "Transactions and faults": range(57, 66),
    "Processing, claims, summaries": range(66, 73),
    "Import, export, command line": range(73, 81),
    "Backup": range(81, 84),
    "Found by attacking the design": range(84, 94),
}
HEAD: Final = """# What must hold, and the tests that hold it

Made by `python -m tests.acceptance` out of `tests/acceptance.toml`; a test fails when this page is older than that, or names a test that is
not there. What the contract kit (`deskstore.testing.contract`) promises runs on every storage, in memory, on files, on PostgreSQL, on both
at once and behind Redis, and each of its promises has a saboteur that breaks it and is caught (`tests/test_contract_kit.py`).
`python3 dev.py chaos` runs crashes, faults, races and hostile names at full size.
"""


@frozen(kw_only=True)
class Held:
    """One test function."""

    path: str  #: of its file, from the root of the project
    name: str

    @property
    def is_there(self) -> bool:
        """Whether the file has such a test."""
        return self.name in tests_in(self.path)


@frozen(kw_only=True)
class Case:
    """One thing that must hold."""

    number: int
    promise: str
    tests: Sequence[Held]
    chaos: Sequence[str]  #: parts of `chaos` that hold it at size, or with what a fresh machine has not; the beginnings of their names
    missing: str  #: what of it no test holds yet; empty where nothing is known to be missing
    later: str  #: the stage it waits for; empty where tests hold it today


def cases(text: str) -> list[Case]:
    """The cases of a map, as acceptance.toml writes it."""
    return [_case(int(number), told) for number, told in tomllib.loads(text).items()]


def _case(number: int, told: dict[str, Any]) -> Case:  # Any: TOML
    return Case(
        number=number,
        promise=told["promise"],
        tests=[_test(name) for name in told.get("tests", [])],
        chaos=told.get("chaos", []),
        missing=told.get("missing", ""),
        later=told.get("later", ""),
    )


def _test(text: str) -> Held:
    place, _, name = text.partition("::")
    folder, _, rest = place.partition("/")
    is_promise = folder == "contract" and not rest.startswith("test_")  # a kit is no test module of its own
    return Held(path=f"{CONTRACT}/{rest}" if is_promise else f"tests/{place}", name=name)


@cache
def tests_in(path: str) -> frozenset[str]:
    """The names of the tests in a file, without importing it; none where there is no file."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


# -- the page ------------------------------------------------------------------------------------------------------------------------------


def page(found: Sequence[Case]) -> str:
    """The page that says all of it."""
    return "\n".join([HEAD, *(line for subject, numbers in SUBJECTS.items() for line in _section(subject, numbers, found))])


def _section(subject: str, numbers: range, found: Sequence[Case]) -> Iterable[str]:
    yield f"## {subject}\n"
    yield "| case | what must hold | tests |"
    yield "| --- | --- | --- |"
    for case in found:
        if case.number in numbers:
            yield f"| {case.number} | {case.promise} | {_held_by(case)} |"
    yield ""


def _held_by(case: Case) -> str:
    if case.later:
        return f"comes with a later stage: {case.later}"
    files = [_file_and_names(path, [test.name for test in tests]) for path, tests in groupby(case.tests, key=lambda test: test.path)]
    parts = [f"[chaos](../tests/chaos/__main__.py): {', '.join(case.chaos)}"] if case.chaos else []
    return "<br>".join([*files, *parts, *([f"*not yet: {case.missing}*"] if case.missing else [])])


def _file_and_names(path: str, names: Sequence[str]) -> str:
    shown = path.removeprefix("src/deskstore/testing/").removeprefix("tests/")
    return f"[{shown}](../{path}): " + ", ".join(name.removeprefix("test_").replace("_", " ") for name in names)


if __name__ == "__main__":
    PAGE.write_text(page(cases(MAP.read_text(encoding="utf-8"))), encoding="utf-8")
