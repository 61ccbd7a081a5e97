"""What stands in a company's directory, and the ways in which it is damaged."""

from __future__ import annotations

import os
import stat
from enum import StrEnum
from pathlib import Path

import orjson

from deskstore.adapters.file import layout


class Damage(StrEnum):
    """What becomes of a file behind deskstore's back."""

    TRUNCATED = "truncated"
    EMPTIED = "emptied"
    FLIPPED = "one bit flipped"
    LENGTHENED = "lengthened"
    EDITED = "edited"
    REPLACED = "replaced by another record's"
    REMOVED = "removed"
    LINKED = "replaced by a link"
    DANGLING = "replaced by a link to nothing"
    PIPED = "replaced by a pipe"
    COVERED = "replaced by a directory"
    HUGE = "replaced by a terabyte of nothing"


def spoil(path: Path, how: Damage, other: Path) -> None:
    """Damage a file; the other one is a sound record's file."""
    body, times = path.read_bytes(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    match how:
        case Damage.TRUNCATED:
            path.write_bytes(body[: len(body) // 2])
        case Damage.EMPTIED:
            path.write_bytes(b"")
        case Damage.FLIPPED:
            path.write_bytes(bytes([*body[:-20], body[-20] ^ 1, *body[-19:]]))
        case Damage.LENGTHENED:
            path.write_bytes(body + b"\n")
        case Damage.EDITED:
            path.write_bytes(orjson.dumps(orjson.loads(body) | {"version": 7}))
        case Damage.REPLACED:
            path.write_bytes(other.read_bytes())
        case Damage.REMOVED:
            path.unlink()
            return
        case Damage.HUGE:
            os.truncate(path, 1 << 40)
        case Damage.LINKED | Damage.DANGLING | Damage.PIPED | Damage.COVERED:
            path.unlink()
            _stand_in(path, how, other)
            return
    os.utime(path, ns=times)


def _stand_in(path: Path, how: Damage, other: Path) -> None:
    match how:
        case Damage.LINKED:
            path.symlink_to(other)
        case Damage.PIPED:
            os.mkfifo(path)
        case Damage.COVERED:
            path.mkdir()
        case _:
            path.symlink_to(path.with_name("nothing"))


def tree_of(root: Path) -> dict[str, int]:
    """Every entry below a directory, by its path there, and its rights."""
    return {path.relative_to(root).as_posix(): stat.S_IMODE(path.lstat().st_mode) for path in root.rglob("*")}


def contents_of(root: Path) -> dict[str, bytes]:
    """The bytes of every file below a directory that is a record's."""
    files = (path for path in root.rglob("*.json") if layout.OWN not in path.parts and path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
