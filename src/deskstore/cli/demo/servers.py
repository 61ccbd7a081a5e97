"""A PostgreSQL and a Redis of one's own, for `deskstore demo`: to show things on, and to try things with."""

from __future__ import annotations

import hashlib
import os
import secrets
import shlex
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from deskstore.adapters.embedded.postgres import PostgresServer
    from deskstore.adapters.embedded.programs import PostgresPrograms
    from deskstore.adapters.embedded.redis import RedisServer

SETTINGS: Final = "settings.sh"  #: in the demo's folder, as long as the servers run
APP_ROLE: Final = "app_user"


@frozen(kw_only=True)
class Servers:
    """Both of them, running."""

    postgres: PostgresServer
    redis: RedisServer
    app_password: str

    @property
    def settings(self) -> dict[str, str]:
        """The variables that lead deskstore to them."""
        address = self.postgres.url.rpartition("@")[2]
        return {
            "DESKSTORE_OWNER_URL": self.postgres.url,
            "DATABASE_URL": f"postgresql://{APP_ROLE}:{self.app_password}@{address}",
            "REDIS_URL": self.redis.url,
        }


@contextmanager
def servers(path: Path, *, programs: PostgresPrograms | None = None) -> Generator[Servers]:
    """
    Start both, on loopback alone; what PostgreSQL holds is kept for the next time.

    Args:
        path: The demo's folder.
        programs: Which PostgreSQL; None: the newest here.

    Raises:
        ConfigurationError: A server is not installed, or another one has the folder.
        StorageUnavailable: A server does not start, or its files cannot be made.
    """
    from deskstore.adapters.embedded.postgres import PostgresServer
    from deskstore.adapters.embedded.redis import RedisServer

    folder = kept_in(path)
    with RedisServer() as redis, PostgresServer(folder=folder, programs=programs) as postgres:
        yield Servers(postgres=postgres, redis=redis, app_password=_app_password(folder))


def kept_in(path: Path) -> Path:
    """Where PostgreSQL keeps its files: in the demo's folder, unless that is hidden from the account that root lets servers run as."""
    from deskstore.adapters.embedded import places

    if places.account() is None or _is_open(path):
        return path.resolve() / "postgresql"
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]
    return places.cache() / f"demo-{name}"


def remove(path: Path) -> None:
    """
    Remove what PostgreSQL kept for a demo's folder.

    Raises:
        ConfigurationError: Its server runs.
    """
    from deskstore.adapters.embedded import places

    folder = kept_in(path)
    if not folder.is_dir():
        return
    held = places.hold(folder)
    try:
        places.end_servers_in(folder)  # one whose keeper was killed
        shutil.rmtree(folder)
    finally:
        os.close(held)


@contextmanager
def written(settings: dict[str, str], file: Path) -> Generator[None]:
    """Keep the settings for other shells in a file that only its owner reads, for as long as the servers run."""
    file.unlink(missing_ok=True)
    lines = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as made:
        made.write(lines)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _is_open(path: Path) -> bool:
    """Whether everybody may pass through a folder, or will when it is made, and through all those above it."""
    return all(folder.stat().st_mode & 0o001 for folder in (path.resolve(), *path.resolve().parents) if folder.exists())


def _app_password(folder: Path) -> str:
    """The password of the application's role, the same for as long as the files are kept."""
    file = folder / "app-password"
    if not file.exists():
        made = file.with_suffix(".new")
        made.touch(mode=0o600)
        made.write_text(secrets.token_hex(16), encoding="ascii")
        made.replace(file)
    return file.read_text(encoding="ascii")
