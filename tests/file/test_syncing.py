"""One call brings many files to the disk where the file system tells of every failure; elsewhere it is not counted on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deskstore.adapters.file import database, journal, layout, opening
from deskstore.adapters.file import tree as trees
from deskstore.adapters.file.company import OpenCompany, hold
from deskstore.adapters.file.journal import Redo
from deskstore.adapters.file.place import Place
from deskstore.adapters.file.syncing import sync_file_system
from deskstore.adapters.file.tree import Tree
from deskstore.domain import times

MANY = {f"freshdesk/tickets/{number}.json": b"{}" for number in range(100)}


class _Disk:
    """Notes which files and directories were brought to the disk, one by one or together, and can do or refuse the latter."""

    def __init__(self, *, can: bool = True, refuses: bool = False) -> None:
        self.alone: list[Path] = []
        self.together: list[Path] = []
        self._can = can
        self._refuses = refuses

    def flush(self, descriptor: int) -> None:
        self.alone.append(_path(descriptor))

    def flush_all(self, descriptor: int) -> bool:
        if self._refuses:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.together.append(_path(descriptor))
        return self._can


def _path(descriptor: int) -> Path:
    return Path(os.readlink(f"/proc/self/fd/{descriptor}"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "company").mkdir()
    return tmp_path / "company"


@pytest.fixture
def directory(root: Path) -> Iterator[int]:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_the_file_system_of_a_directory_is_synced(directory: int) -> None:
    assert sync_file_system(directory)


def test_a_file_system_that_may_be_silent_about_failures_is_not_counted_on() -> None:
    descriptor = os.open("/proc/self", os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert not sync_file_system(descriptor)
    finally:
        os.close(descriptor)


def test_a_sync_that_cannot_be_made_is_an_error(directory: int) -> None:
    other = os.dup(directory)
    os.close(other)

    with pytest.raises(OSError, match="Bad file descriptor"):
        sync_file_system(other)


def test_many_files_are_made_durable_together_and_then_their_directories(root: Path) -> None:
    disk = _Disk()
    with Tree.open(root, flush=disk.flush, flush_all=disk.flush_all) as tree:
        tree.replace_many(MANY)

        tree.make_durable([*MANY, "freshdesk/tickets/removed.json"], together=True)

    assert disk.together == [root]
    assert disk.alone == [root / "freshdesk/tickets", root / "freshdesk", root, root.parent]


def test_few_files_are_made_durable_one_by_one(root: Path) -> None:
    disk, few = _Disk(), sorted(MANY)[:10]
    with Tree.open(root, flush=disk.flush, flush_all=disk.flush_all) as tree:
        tree.replace_many(MANY)

        tree.make_durable(few, together=True)

    assert disk.together == []
    assert disk.alone[:10] == [root / path for path in few]


def test_many_files_are_made_durable_one_by_one_where_the_file_system_cannot_do_it_together(root: Path) -> None:
    disk = _Disk(can=False)
    with Tree.open(root, flush=disk.flush, flush_all=disk.flush_all) as tree:
        tree.replace_many(MANY)

        tree.make_durable(MANY, together=True)

    assert disk.alone[: len(MANY)] == [root / path for path in sorted(MANY)]


def test_a_disk_that_refuses_many_files_is_reported(root: Path) -> None:
    disk = _Disk(refuses=True)
    with Tree.open(root, flush=disk.flush, flush_all=disk.flush_all) as tree:
        tree.replace_many(MANY)

        with pytest.raises(OSError, match="Input/output error") as raised:
            tree.make_durable(MANY, together=True)

    assert raised.value.filename == str(root)


def test_what_is_no_file_is_found_among_many(root: Path) -> None:
    disk = _Disk()
    with Tree.open(root, flush=disk.flush, flush_all=disk.flush_all) as tree:
        tree.replace_many(MANY)
        (root / "freshdesk/tickets/7.json").unlink()
        (root / "freshdesk/tickets/7.json").symlink_to(root)

        with pytest.raises(trees.StrangerInTree, match="a symbolic link"):
            tree.make_durable(MANY, together=True)

    assert disk.together == []


def test_files_that_others_may_have_written_before_the_company_was_opened_are_made_durable_one_by_one(tmp_path: Path) -> None:
    place, disk = Place(base=tmp_path, clock=times.now, checkpoint_rows=1_000, busy_s=5.0), _Disk()
    first = opening.open_company(place, "acme")
    _write(first)
    tree = Tree.open(first.path, flush=disk.flush, flush_all=disk.flush_all)
    second = OpenCompany(place, "acme", tree, hold(str(first.path / layout.LOCK)), first.connect())

    journal.checkpoint(second)
    at_first = list(disk.together)
    _write(first)
    journal.checkpoint(second)

    assert at_first == []
    assert len([path for path in disk.alone if path.suffix == ".json"]) == len(MANY)
    assert disk.together == [first.path]
    second.close()
    first.close()


def _write(company: OpenCompany) -> None:
    with database.transaction(company.writer, durable=True, begin=company.begin):
        journal.append_many(company, [Redo(path, body, None, None) for path, body in MANY.items()])
    journal.write_files(company)
