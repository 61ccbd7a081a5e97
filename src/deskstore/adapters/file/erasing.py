"""
Erasing a company: first nobody can commit any more, then the directory goes out of sight in one step, then all of it is deleted.

What stays is a line for each erasure, and the epoch in which the last one was, under a hash of the company's name.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from attrs import asdict

from deskstore.adapters.file import database
from deskstore.adapters.file.company import OpenCompany, release
from deskstore.adapters.file.tree import StrangerInTree, Tree, flush, flush_directory
from deskstore.domain.errors import StorageUnavailable

if TYPE_CHECKING:
    from deskstore.domain.erasures import Erasure

DOOMED: Final = ".erasing"  #: below DATA_PATH; no name of a company begins with a dot
ERASED: Final = ".erased"  #: below DATA_PATH: what is left of erased companies
_AS_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _Mark(NamedTuple):
    """What is left of the companies of one name."""

    epoch: int = 0  #: in which one was erased last
    erasures: tuple[Erasure, ...] = ()


def erased_epoch(base: Path, company_id: str) -> int:
    """The epoch in which a company of that name was erased last; 0 = never."""
    from deskstore.domain.erasures import company_hash  # only who makes a company asks

    return _read(base / _file(company_hash(company_id))).epoch


def erasures(base: Path) -> list[Erasure]:
    """What stays of all companies that were erased, ascending by time."""
    with database.translated(str(base)):
        found = [one for mark in (base / ERASED).glob("*.json") for one in _read(mark).erasures]
        return sorted(found, key=lambda one: (one.erased_at, one.company_hash))


def what_stays(company: OpenCompany, epoch: int, now: datetime) -> Erasure:
    """The line that stays of a company nobody can commit to any more."""
    from deskstore.domain.erasures import Erasure, company_hash  # every company is opened by way of this module, and few are erased

    return Erasure(company_hash=company_hash(company.company_id), epoch=epoch, erased_at=now, removed=company.index.amount())


def remember(base: Path, erasure: Erasure, *, is_listed: bool = True) -> None:
    """
    Keep durably that a company is being erased, so that one of its name begins above its epoch and takes nothing that comes late.

    Nobody can tell from the mark who that was; whoever knows the name finds out that it was erased.

    Args:
        is_listed: Whether the line is kept; what was no company yet has none.
    """
    mark = _file(erasure.company_hash)
    with closing(Tree.open(base.resolve())) as root:
        root.make_directory(ERASED)
        with _opened(base / ERASED) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            known = _read(base / mark)
            if erasure.epoch > known.epoch:
                root.replace_many({mark: _written(erasure.epoch, [*known.erasures, erasure] if is_listed else known.erasures)})
                root.make_durable([mark])


def _file(hashed: str) -> str:
    return f"{ERASED}/{hashed}.json"


def _written(epoch: int, lines: Sequence[Erasure]) -> bytes:
    plain = [{"epoch": one.epoch, "erased_at": one.erased_at, **asdict(one.removed)} for one in lines]
    return orjson.dumps({"epoch": epoch, "erasures": plain}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _read(mark: Path) -> _Mark:
    """Raises StorageUnavailable when a mark does not say what it must."""
    try:
        said = orjson.loads(mark.read_bytes())
        return _Mark(epoch=int(said["epoch"]), erasures=tuple(_line(mark.stem, plain) for plain in said.get("erasures", ())))
    except FileNotFoundError:
        return _Mark()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StorageUnavailable(f'{mark} does not say in which epoch a company was erased: write {{"epoch": 1000000}} into it') from error


def _line(hashed: str, plain: Mapping[str, Any]) -> Erasure:
    # Any: whatever was written
    from deskstore.domain.erasures import Erasure, Removed  # likewise

    counts = {name: int(count) for name, count in plain.items() if name not in ("epoch", "erased_at")}
    erased_at = datetime.fromisoformat(plain["erased_at"])
    return Erasure(company_hash=hashed, epoch=int(plain["epoch"]), erased_at=erased_at, removed=Removed(**counts))


def remove(path: Path, company: Tree) -> None:
    """
    Delete a company's directory that nobody can commit to any more; a crash in between is finished by sweep().

    Several may find the same erasure unfinished: only one removes the directory, and none the one that a company of the same name began
    there meanwhile.

    Raises:
        StorageUnavailable: Something that was erased, now or before, cannot be deleted.
        StrangerInTree: Something else stands where erased companies go.
    """
    doomed = path.parent / DOOMED
    with suppress(FileExistsError):
        doomed.mkdir(mode=0o700)
    with _opened(doomed) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if company.is_still_at(path):
            os.rename(path, str(uuid.uuid4()), dst_dir_fd=descriptor)
            flush_directory(path.parent)
        _delete_all(doomed, descriptor)


def sweep(base: Path, *, wait: bool = False) -> None:
    """
    Finish deletions that were interrupted, those that another process is at only if this one is to wait for it; raises as remove() does.
    """
    doomed = base / DOOMED
    with suppress(FileNotFoundError, BlockingIOError), _opened(doomed) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        _delete_all(doomed, descriptor)


@contextmanager
def _opened(directory: Path) -> Generator[int, None, None]:
    try:
        descriptor = os.open(directory, _AS_DIRECTORY)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise StrangerInTree(directory.name, "is not a directory") from error
        raise
    try:
        yield descriptor
    finally:
        release(descriptor)


def _delete_all(doomed: Path, descriptor: int) -> None:
    with os.scandir(descriptor) as found:
        names = [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]
    for name in names:
        try:
            _delete(name, descriptor)
        except OSError as error:
            raise StorageUnavailable(
                f"{doomed / name}: what was erased cannot be deleted ({error.strerror}): see to the disk or the rights, and erase once more"
            ) from error
    if names:
        flush(descriptor)


def _delete(name: str, above: int) -> None:
    import shutil  # loads every archiver there is

    try:
        shutil.rmtree(name, dir_fd=above)
    except PermissionError:
        _take_rights(name, above)
        shutil.rmtree(name, dir_fd=above)


def _take_rights(name: str, above: int) -> None:
    os.chmod(name, stat.S_IRWXU, dir_fd=above)
    for _, directories, _, here in os.fwalk(name, dir_fd=above):
        for directory in directories:
            if stat.S_ISDIR(os.lstat(directory, dir_fd=here).st_mode):
                os.chmod(directory, stat.S_IRWXU, dir_fd=here)
