"""The example of an adapter by others: installed as a package is, it is opened by its name, and imports nothing that is private."""

from __future__ import annotations

import ast
import io
import os
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from deskstore_sqlite import SqliteStorage

from deskstore.adapters.file import FileStorage
from deskstore.adapters.hybrid import HybridStorage
from deskstore.domain.tallies import totals_of
from deskstore.services.migrating import cut_over, roll_back
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket, an_article
from tests.cli.processes import run
from tests.packages import install
from tests.pages import ROOT

EXAMPLE = ROOT / "examples" / "deskstore-sqlite"
PACKAGE = EXAMPLE / "src" / "deskstore_sqlite"
PROJECT = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PORTS = (ROOT / "docs" / "reference" / "ports.md").read_text(encoding="utf-8")
HOW_TO = (ROOT / "docs" / "how-to" / "write-an-adapter.md").read_text(encoding="utf-8")
MEMORY = ROOT / "src" / "deskstore" / "adapters" / "memory.py"
OF_REPLICA = ("MemoryReplica", "_as_it_stands", "replica", "versions", "become")  #: what nobody else in that module needs
QUIET = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
OF_ACME = ("--company", "acme", "--platform", "freshdesk")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The variables of a command where the example is installed and chosen."""
    site = tmp_path / "site"
    install(site, PROJECT["name"], PROJECT["version"], PROJECT["entry-points"]["deskstore.adapters"])
    path = os.pathsep.join([str(site), str(PACKAGE.parent), *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": path, "DATA_PATH": str(tmp_path / "data"), "STORAGE_TYPE": "sqlite"}


def test_commands_work_on_it_by_its_name(environment: dict[str, str], tmp_path: Path) -> None:
    imported = run(environment, "import", "-", *OF_ACME, "--kind", "tickets", given=b'{"id": 1, "subject": "kept in SQLite"}\n')
    shown = run(environment, "ticket", "get", "1", *OF_ACME)
    doctor = run(environment, "doctor")

    assert imported.returncode == 0, imported.stderr
    assert shown.stdout == b'{"id": 1, "subject": "kept in SQLite"}'
    assert (doctor.returncode, b"sqlite answers" in doctor.stdout) == (0, True)
    assert (tmp_path / "data" / "deskstore.sqlite3").stat().st_mode & 0o777 == 0o600


def test_its_own_variable_says_where_the_database_is(environment: dict[str, str], tmp_path: Path) -> None:
    there = {**environment, "SQLITE_PATH": str(tmp_path / "there.sqlite3")}

    run(there, "import", "-", *OF_ACME, "--kind", "tickets", given=b'{"id": 1}\n')
    shown = run(there, "config", "show")

    assert (tmp_path / "there.sqlite3").exists()
    assert ["SQLITE_PATH", str(tmp_path / "there.sqlite3"), "environment"] in [line.split() for line in shown.stdout.decode().splitlines()]


def test_the_kit_runs_against_it_where_it_is_installed(environment: dict[str, str]) -> None:
    ran = run(environment, "adapters", "test", "sqlite", "--part", "erasing", "--part", "documents", "--seed", "7")

    assert ran.returncode == 0, ran.stderr
    assert b"'sqlite' keeps all" in ran.stderr


async def test_it_is_a_side_of_hybrid_and_takes_the_writes_as_files_do(tmp_path: Path) -> None:
    files = FileStorage(tmp_path / "data", reads_copies=True)
    sqlite = SqliteStorage(tmp_path / "deskstore.sqlite3", reads_copies=True)
    storage = HybridStorage(files, sqlite)
    desk = Desk(storage, "acme")

    for take_writes in (cut_over, roll_back):
        await desk.keep(a_ticket(take_writes.__name__), an_article(take_writes.__name__, "ko"))
        await desk.claim()
        await storage.drained("acme")
        assert await totals_of(files.replica("acme")) == await totals_of(sqlite.replica("acme"))
        await take_writes(files, sqlite, "acme")

    assert {ticket.ticket_id for ticket in (await desk.everything()).tickets} == {"cut_over", "roll_back"}
    await storage.aclose()


def test_it_imports_what_is_public_and_nothing_else() -> None:
    public = {"deskstore", *re.findall(r"`(deskstore\.[a-z.]+)`", PORTS.partition("## The protocols")[0])}

    used = {name for path in EXAMPLE.rglob("*.py") for name in ours_imported_by(path)}

    assert {name for name in used - public if not name.startswith("deskstore.testing")} == set()


def test_the_how_to_says_how_many_lines_an_adapter_takes() -> None:
    whole, of_replica = lines_of_code(MEMORY), lines_of_code(MEMORY, *OF_REPLICA)
    replica = lines_of_code(PACKAGE / "replica.py")
    others = sum(map(lines_of_code, PACKAGE.glob("*.py"))) - replica

    assert whole - of_replica <= 300
    assert of_replica <= 120
    assert f"| `MemoryStorage`, dictionaries | {whole - of_replica} | {of_replica} |" in HOW_TO
    assert f"| `examples/deskstore-sqlite`, one database with tables | {others} | {replica} |" in HOW_TO


def ours_imported_by(path: Path) -> Iterator[str]:
    """The modules of deskstore that a file imports, also where it names one as a part of its package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == "deskstore")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "deskstore":
            is_package = node.module in ("deskstore.domain", "deskstore.testing")
            yield from (f"{node.module}.{alias.name}" if is_package else str(node.module) for alias in node.names)


def lines_of_code(path: Path, *definitions: str) -> int:
    """How many lines of a file, or of these definitions in it, hold code: no comment, no docstring, not nothing."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in QUIET]
    code = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - lines_of(docstrings(tree))
    return len(code & lines_of(defined(tree, definitions)) if definitions else code)


def lines_of(nodes: Iterable[ast.stmt]) -> set[int]:
    return {line for node in nodes for line in range(node.lineno, (node.end_lineno or 0) + 1)}


def defined(tree: ast.Module, names: Sequence[str]) -> list[ast.stmt]:
    definitions = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef))
    found: list[ast.stmt] = [node for node in definitions if node.name in names]
    assert len(found) == len(names), "each name is defined once"
    return found


def docstrings(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node) is not None:
            yield node.body[0]
