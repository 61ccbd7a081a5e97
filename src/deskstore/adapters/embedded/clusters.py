"""The files a PostgreSQL server starts from: made by initdb once, and copied for every server after that."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deskstore.adapters.embedded import places
from deskstore.domain.errors import StorageUnavailable

if TYPE_CHECKING:
    from deskstore.adapters.embedded.programs import PostgresPrograms

OWNER: Final = "postgres"
#: plain code point order, which the wheels (without ICU) and every system know
FORM: Final = ("--username", OWNER, "--auth", "scram-sha-256", "--locale", "C", "--encoding", "UTF8")


def fresh_cluster(programs: PostgresPrograms, folder: Path) -> str:
    """Put an empty cluster into a folder of a server that will be removed, and tell its owner's password."""
    template = places.cached(f"cluster-{programs.fingerprint}", lambda made: _make(programs, made, "--no-sync"))
    places.copy(template / "data", folder / "data")
    return _password(template)


def kept_cluster(programs: PostgresPrograms, folder: Path) -> str:
    """The cluster of a folder that is kept, made when there is none, and its owner's password."""
    if not (folder / "data").exists():
        _make(programs, folder)
    return _password(folder)


def _password(folder: Path) -> str:
    return (folder / "password").read_text(encoding="ascii")


def _make(programs: PostgresPrograms, folder: Path, *options: str) -> None:
    """Run initdb as the account that the server will have; what an interrupted run left is no cluster."""
    who = places.account()
    data = _private(folder / "data.new")
    password = places.write_secret(folder / "password", secrets.token_hex(16))
    command = [str(programs.folder / "initdb"), "--pgdata", str(data), *FORM, "--pwfile", str(password), *options]
    try:
        said = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
            user=who.uid if who else None,
            group=who.gid if who else None,
            extra_groups=[] if who else None,
        )
    except OSError as error:
        raise _unmade(programs, folder, error.strerror or "initdb does not run") from error
    if said.returncode:
        raise _unmade(programs, folder, said.stderr.strip()[-300:])
    data.rename(folder / "data")


def _unmade(programs: PostgresPrograms, folder: Path, reason: str) -> StorageUnavailable:
    return StorageUnavailable(f"PostgreSQL {programs.version} could not make its files in {folder}: {reason}")


def _private(folder: Path) -> Path:
    """An empty folder that only the server's account may enter."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    if who := places.account():
        who.own(folder)
    return folder
