"""Every module has its place, and knows only what its place may know."""

import importlib
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent

PLACES = "Dependencies point inwards, and every module has a place"
STRANGERS = "Adapters do not know one another"

#: libraries that one part of the package keeps to itself
KEPT_BY = {
    "aiosqlite": "deskstore.adapters",
    "alembic": "deskstore.adapters",
    "asyncpg": "deskstore.adapters",
    "opentelemetry": "deskstore.adapters",
    "redis": "deskstore.adapters",
    "sqlalchemy": "deskstore.adapters",
    "sqlite3": "deskstore.adapters",
    "stamina": "deskstore.adapters",
    "dependency_injector": "deskstore.bootstrap",
    "click": "deskstore.cli",
    "rich": "deskstore.cli",
    "hypothesis": "deskstore.testing",
    "pytest": "deskstore.testing",
    "pytest_asyncio": "deskstore.testing",
}
#: the parts that the package's own front door leads to, and that may therefore not enter through it
INNER = ("deskstore.adapters", "deskstore.bootstrap", "deskstore.domain", "deskstore.formats", "deskstore.services")
#: the parts whose modules are told apart in one place, for whoever comes new to them
MAPPED = (
    "adapters.file",
    "adapters.hybrid",
    "adapters.postgres",
    "adapters.redis",
    "cli.demo",
    "domain",
    "facade",
    "formats.archive",
    "services",
    "testing",
)


def test_the_layers_hold() -> None:
    linted = lint(ROOT / "src")

    assert linted.returncode == 0, linted.stdout
    assert PLACES in linted.stdout


@pytest.mark.parametrize(
    ("module", "source", "broken"),
    [
        ("stray.py", "", PLACES),
        ("domain/tickets.py", "import deskstore.adapters.memory", PLACES),
        ("formats/json.py", "from deskstore.services import tickets", PLACES),
        ("services/tickets.py", "from deskstore.adapters import memory", PLACES),
        ("services/tickets.py", "def save():\n    from deskstore import bootstrap", PLACES),
        ("adapters/hybrid.py", "from deskstore.services import tickets", PLACES),
        ("testing/contract.py", "from deskstore.cli import main", PLACES),
        ("adapters/hybrid.py", "from deskstore.adapters.memory import MemoryStorage", STRANGERS),
    ],
)
def test_a_module_out_of_place_is_found(module: str, source: str, broken: str, tmp_path: Path) -> None:
    modules = dict.fromkeys(["adapters/memory.py", "bootstrap.py", "cli/main.py", "formats/json.py", "services/tickets.py"], "")

    make_package(tmp_path, {**modules, "domain/tickets.py": "", module: source})
    linted = lint(tmp_path)

    assert linted.returncode == 1
    assert f"{broken} BROKEN" in linted.stdout


def test_libraries_are_known_only_where_they_belong() -> None:
    graph = grimp.build_graph("deskstore", include_external_packages=True, cache_dir=None)
    imports = [(module, imported) for module in graph.modules for imported in graph.find_modules_directly_imported_by(module)]

    assert trespasses(imports) == []


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("deskstore.domain.tickets", "orjson"),
        ("deskstore.services.tickets", "sqlite3"),
        ("deskstore.services.tickets", "deskstore"),
        ("deskstore.facade", "dependency_injector"),
        ("deskstore.adapters.memory", "hypothesis"),
        ("deskstore.adapters.memory", "rich"),
    ],
)
def test_a_library_out_of_place_is_found(module: str, imported: str) -> None:
    assert trespasses([(module, imported)]) == [f"{module} imports {imported}"]


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("deskstore.domain.tickets", "attrs"),
        ("deskstore.domain.tickets", "datetime"),
        ("deskstore.adapters.file.database", "sqlite3"),
        ("deskstore.testing.contract", "pytest"),
        ("deskstore.cli", "deskstore"),
    ],
)
def test_a_library_in_its_place_is_left_alone(module: str, imported: str) -> None:
    assert trespasses([(module, imported)]) == []


@pytest.mark.parametrize("package", MAPPED)
def test_the_map_of_a_package_names_each_of_its_modules(package: str) -> None:
    found = importlib.import_module(f"deskstore.{package}")

    _, *map_lines = (found.__doc__ or "").strip().splitlines()
    named = [line.partition("  ")[0] for line in map_lines if "  " in line and not line.startswith(" ")]

    assert sorted(named) == sorted(one.name for one in pkgutil.iter_modules(found.__path__))


def trespasses(imports: Iterable[tuple[str, str]]) -> list[str]:
    """The imports that reach for what is another's."""
    return sorted(f"{module} imports {imported}" for module, imported in imports if not may_import(module, imported))


def may_import(module: str, imported: str) -> bool:
    if imported == "deskstore":
        return not is_part_of(module, *INNER)
    library = imported.partition(".")[0]
    if is_part_of(module, "deskstore.domain"):
        return library in {"attr", "attrs", "deskstore"} | sys.stdlib_module_names - KEPT_BY.keys()
    return is_part_of(module, KEPT_BY.get(library, "deskstore"))


def is_part_of(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def make_package(folder: Path, modules: dict[str, str]) -> None:
    for name, source in modules.items():
        path = folder / "deskstore" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
        (path.parent / "__init__.py").touch()
    (folder / "deskstore" / "__init__.py").touch()


def lint(source: Path) -> subprocess.CompletedProcess[str]:
    """What lint-imports says of the package in that folder, under the project's own contracts."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--config", str(ROOT / "pyproject.toml"), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=source, env={**os.environ, "PYTHONPATH": str(source)}, capture_output=True, text=True, check=False)
