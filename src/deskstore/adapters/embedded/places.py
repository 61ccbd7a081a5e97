"""Where servers keep their files, who they run as, and how what a killed process left behind is found and removed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from deskstore.adapters.embedded import processes
from deskstore.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of the system's, in which each server makes one of its own
ROOM_BYTES: Final = 2**30
PREFIX: Final = "deskstore-server-"
NOBODY: Final = 65_534
SEARCHABLE: Final = 0o711  #: others may reach what lies in a folder of root's, and not look around


@frozen(kw_only=True)
class Account:
    """Whom a server runs as."""

    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Give a file or an empty folder to this account, and to nobody else."""
        os.chown(path, self.uid, self.gid)


def account() -> Account | None:
    """An account without rights where this process is root, whom PostgreSQL refuses; None where any server may run as we do."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        nobody = pwd.getpwnam("nobody")
        return Account(uid=nobody.pw_uid, gid=nobody.pw_gid)
    return Account(uid=NOBODY, gid=NOBODY)


def write_secret(file: Path, text: str) -> Path:
    """Write a file that only the server's account can read, and we."""
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as written:
        written.write(text)
    if who := account():
        who.own(file)
    return file


def reachable(path: Path) -> bool:
    """Whether everybody may read and run a program."""
    path = path.resolve()
    folders = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)
    return folders and path.stat().st_mode & (stat.S_IXOTH | stat.S_IROTH) == stat.S_IXOTH | stat.S_IROTH


# -- what is kept from run to run ----------------------------------------------------------------------------------------------------------


def cache() -> Path:
    """The folder of what takes long to make and serves every server of this user: fresh clusters, and programs others may run."""
    folder = Path(tempfile.gettempdir()) / f"deskstore-servers-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ConfigurationError(f"{folder} belongs to somebody else: set TMPDIR to a folder of your own")
    folder.chmod(SEARCHABLE)
    return folder


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """
    A folder that was made once and is used by every run; made again when files of it are missing.

    Temporary folders are cleaned file by file on some machines, so what was counted when it was made is counted again.
    """
    folder, note = cache() / name, cache() / f"{name}.json"
    with _alone("making"):
        if not folder.is_dir() or _noted(note) != _tally(folder):
            note.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=SEARCHABLE)
            make(folder)
            note.write_text(json.dumps(_tally(folder)), encoding="utf-8")
    return folder


def _noted(note: Path) -> list[int]:
    with contextlib.suppress(FileNotFoundError, ValueError):
        noted: list[int] = json.loads(note.read_text(encoding="utf-8"))
        return noted
    return []


def _tally(folder: Path) -> list[int]:
    """How many files there are, and how many bytes in them."""
    sizes = [(Path(root) / name).lstat().st_size for root, _, names in os.walk(folder) for name in names]
    return [len(sizes), sum(sizes)]


def copy(source: Path, target: Path) -> None:
    """Copy a folder as it is, owners and modes included; ten times as fast as file by file from here."""
    done = subprocess.run(["cp", "-R", "-p", str(source), str(target)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigurationError(f"{source} could not be copied to {target}: {done.stderr.strip()}")


@contextlib.contextmanager
def _alone(name: str) -> Generator[None]:
    """Keep other processes of this user out for a while."""
    with (cache() / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


# -- what lasts as long as a server --------------------------------------------------------------------------------------------------------


def new_folder() -> tuple[Path, int]:
    """
    A folder for one server, and the lock that says somebody is using it.

    What others left behind is removed on the way: the servers of processes that were killed together with their keepers.
    """
    with _alone("folders"):
        for folder in _folders():
            remove_if_left(folder)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_base()))
        folder.chmod(SEARCHABLE)
        return folder, hold(folder)


def hold(folder: Path) -> int:
    """
    Take the lock of a server's folder.

    Raises:
        ConfigurationError: Another server uses it.
    """
    held = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise ConfigurationError(f"{folder} is used by another server: stop that one, or name another folder") from None
    return held


def _base() -> Path:
    """In memory where there is room: tests wait for a disk to sync, and none of them judges by it."""
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    return MEMORY if roomy else Path(tempfile.gettempdir())


def _folders() -> Iterator[Path]:
    """The folders of this user's servers."""
    for base in {MEMORY, Path(tempfile.gettempdir())}:
        for folder in base.glob(f"{PREFIX}*"):
            with contextlib.suppress(FileNotFoundError):
                if folder.lstat().st_uid == os.geteuid():
                    yield folder


def remove_if_left(folder: Path) -> None:
    """Remove a folder that nobody holds, and end the server that still runs in it."""
    try:
        held = hold(folder)
    except (ConfigurationError, FileNotFoundError):
        return
    end_servers_in(folder)
    processes.remove_shared_memory(folder / "data")
    shutil.rmtree(folder, ignore_errors=True)
    os.close(held)


def end_servers_in(folder: Path) -> None:
    """End the processes whose command line names something in that folder."""
    for process in processes.running():
        if f"{folder}/" in process.command and process.pid != os.getpid():
            processes.kill(process.pid)
