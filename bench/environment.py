"""An environment that holds deskstore and what it depends on, and nothing that is only here to develop it."""

from __future__ import annotations

import sys
import sysconfig
import venv
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePosixPath
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import deskstore

NAME: Final = "deskstore"


def make_environment(place: Path) -> Path:
    """
    Make a virtual environment with links to the packages of this one, and give the directory of its programs.

    Libraries look for others that they can make use of, and load those they find: what a test needs would count as start-up.
    """
    venv.create(place, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place)}))
    for name in {*_needed(NAME)} - {NAME}:
        _link(distribution(name), packages)
    (packages / NAME).symlink_to(Path(deskstore.__file__).parent)
    programs = Path(sysconfig.get_path("scripts", vars={"base": str(place)}))
    _write_program(programs)
    return programs


def _needed(name: str, extras: frozenset[str] = frozenset(), seen: set[tuple[str, frozenset[str]]] | None = None) -> Iterator[str]:
    """What a package needs on this machine, and itself; some more than once."""
    seen = set() if seen is None else seen
    if (canonicalize_name(name), extras) in seen:
        return
    seen.add((canonicalize_name(name), extras))
    yield canonicalize_name(name)
    for wanted in map(Requirement, distribution(name).requires or ()):
        if _is_wanted(wanted, extras):
            yield from _needed(wanted.name, frozenset(wanted.extras), seen)


def _is_wanted(requirement: Requirement, extras: Iterable[str]) -> bool:
    return requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras))


def _link(package: Distribution, packages: Path) -> None:
    tops = {PurePosixPath(file).parts[0] for file in package.files or () if not str(file).startswith("..")}
    for top in tops - {"__pycache__"}:
        (packages / top).symlink_to(Path(str(package.locate_file(top))).resolve())


def _write_program(programs: Path) -> None:
    """The command, as an installer writes it."""
    program = programs / NAME
    program.write_text(
        f"#!{programs / Path(sys.executable).name}\nimport sys\nfrom deskstore.cli.__main__ import program\nsys.exit(program())\n"
    )
    program.chmod(0o755)
