"""
PgBouncer, as the machine has it or as Debian's packages bring it: unpacked beside the test servers, with nothing installed.

Two releases of Debian carry the two kinds that matter: one that knows prepared statements (from 1.21 on), and one that does not.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from socket import create_connection
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from attrs import frozen

from deskstore.adapters.embedded import places
from deskstore.adapters.embedded.keeping import KeptProcess
from deskstore.adapters.embedded.ports import HOST
from deskstore.adapters.embedded.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.servers.databases import Role

KNOWS_STATEMENTS: Final = (1, 21)
#: releases of Debian, whose packages run anywhere together with the C library that they bring
RELEASES: Final = ("trixie", "bookworm")
#: where systems put it
INSTALLED: Final = ("/usr/sbin/pgbouncer", "/usr/local/sbin/pgbouncer", "/opt/homebrew/bin/pgbouncer")
_NEEDED: Final = re.compile(r"(pgbouncer|lib|zlib)")  #: of all that apt would install, what a running program loads


class NoPooler(Exception):
    """There is no such PgBouncer to be had here; says why."""


@frozen(kw_only=True)
class PoolerProgram:
    """One PgBouncer that can be started."""

    version: tuple[int, int]
    words: tuple[str, ...]  #: what starts it: itself, or a loader with the libraries that came with it


def pooler_program(*, knows_statements: bool) -> PoolerProgram:
    """
    A PgBouncer that knows prepared statements, or one that does not.

    Raises:
        NoPooler: Neither the machine has one, nor do Debian's packages give one.
    """
    said = list[str]()
    finders: Sequence[Callable[[], Iterator[PoolerProgram]]] = (_installed, *map(Unpacker, RELEASES))
    for find in finders:
        try:
            found = [one for one in find() if (one.version >= KNOWS_STATEMENTS) == knows_statements]
        except NoPooler as reason:
            said.append(str(reason))
            continue
        if found:
            return found[0]
    wanted = "from 1.21 on" if knows_statements else "before 1.21"
    raise NoPooler(f"no PgBouncer {wanted} ({'; '.join(said) or 'none is installed'})")


class PgBouncer(Server):
    """
    A PgBouncer in transaction mode in front of one PostgreSQL, that lets the named roles in.

    Args:
        program: Which one.
        server_url: The PostgreSQL behind it.
        roles: Who may log in.
        connections: To the server, for each database and role.
        settings: Whatever else its section of settings is to say.
    """

    taken = "Address already in use"

    def __init__(
        self, program: PoolerProgram, server_url: str, roles: Sequence[Role], *, connections: int, settings: Mapping[str, str] | None = None
    ) -> None:
        super().__init__("PgBouncer", KeptProcess())
        self.program: Final = program
        self._behind: Final = urlsplit(server_url)
        self._settings: Final = {
            "listen_addr": HOST,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "pool_mode": "transaction",
            "max_client_conn": "200",
            "default_pool_size": str(connections),
            **(settings or {}),
        }
        self._users = places.write_secret(self.folder / "users", "".join(f'"{role.name}" "{role.password}"\n' for role in roles))

    @property
    def url(self) -> str:
        """Where it is; who logs in, and into which database, is for the caller to add: see `before`."""
        return f"postgresql://{HOST}:{self.port}"

    def before(self, url: str) -> str:
        """The address by which a database of the server is reached through here."""
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{HOST}:{self.port}"))

    def _command(self) -> list[str]:
        settings = {"listen_port": str(self.port), "auth_file": str(self._users), **self._settings}
        lines = [
            "[databases]",
            f"* = host={self._behind.hostname} port={self._behind.port}",
            "[pgbouncer]",
            *(f"{name} = {value}" for name, value in settings.items()),
        ]
        return [*self.program.words, str(places.write_secret(self.folder / "settings.ini", "\n".join(lines) + "\n"))]

    def _answers(self) -> bool:
        """Whether it has said that it is up, and takes connections."""
        if "process up" not in (self.folder / "log").read_text(encoding="utf-8", errors="replace"):
            return False
        try:
            create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True


# -- which there are -----------------------------------------------------------------------------------------------------------------------


def _installed() -> Iterator[PoolerProgram]:
    """Those of the machine itself."""
    for place in dict.fromkeys((shutil.which("pgbouncer"), *INSTALLED)):
        if place and Path(place).is_file():
            yield _asked(place)


@frozen
class Unpacker:
    """Gets the PgBouncer of one release of Debian, by apt and with a package list of its own."""

    release: str

    def __call__(self) -> Iterator[PoolerProgram]:
        """The program, unpacked once and kept for later runs."""
        folder = places.cached(f"pgbouncer-{self.release}", self._unpack)
        loader = next((folder / "root").glob("usr/lib*/ld-linux-*.so.*"), None) or next(
            (folder / "root").glob("lib*/ld-linux-*.so.*"), None
        )
        libraries = sorted({str(library.parent) for library in (folder / "root").rglob("lib*.so.*")})
        if loader is None:
            raise NoPooler(f"the packages of Debian {self.release} are for another machine")
        yield _asked(str(loader), "--library-path", ":".join(libraries), str(folder / "root" / "usr" / "sbin" / "pgbouncer"))

    def _unpack(self, folder: Path) -> None:
        for name in ("lists/partial", "archives/partial", "root"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(f"deb {_mirror()} {self.release} main\n", encoding="utf-8")
        _run(*self._apt(folder), "update")
        _run(*self._apt(folder), "install", "pgbouncer")
        for package in sorted((folder / "archives").glob("*.deb")):
            if _NEEDED.match(package.name):
                _run("dpkg-deb", "-x", str(package), str(folder / "root"))
        for name in ("lists", "archives"):
            shutil.rmtree(folder / name)
        _run("chmod", "-R", "a+rX", str(folder))

    def _apt(self, folder: Path) -> list[str]:
        """What downloads packages, and touches nothing of the machine's own packages."""
        options = {
            "Dir::Etc::sourcelist": folder / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder,
            "Dir::Cache::archives": folder / "archives",
            "APT::Sandbox::User": "root",
            "APT::Install-Recommends": "false",
            "Acquire::Languages": "none",
            "Debug::NoLocking": "true",
        }
        return ["apt-get", "-q", "-y", "--download-only", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]


@cache
def _mirror() -> str:
    """Where this machine gets its own packages of Debian."""
    said = _run("apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI) $(CODENAME)", "Created-By: Packages")
    for origin, place, codename in (line.split() for line in said.splitlines() if len(line.split()) == 3):
        if origin == "Debian" and "-" not in codename:
            return place
    raise NoPooler("this machine gets no packages of Debian")


def _asked(*words: str) -> PoolerProgram:
    """What a PgBouncer says its version is."""
    said = re.search(r"PgBouncer (\d+)\.(\d+)", _run(*words, "--version"))
    if said is None:
        raise NoPooler(f"{words[-1]} does not say its version")
    return PoolerProgram(version=(int(said[1]), int(said[2])), words=words)


def _run(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoPooler(f"{words[0]}: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise NoPooler(f"{words[0]}: {said[-1]}")
    return done.stdout
