"""
A whole file system brought to the disk by one call, where it is known to tell of every failure.

A checkpoint has hundreds of files. An fsync of each waits for the disk as often; syncfs waits once, and writes all of them in the order
that suits the disk. Other programs' files are written along with them.
"""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ctypes import CDLL

_TELLS_SINCE: Final = (5, 8)  #: the release of Linux from which on syncfs reports what could not be written, as fsync does
_STATUS_BYTES: Final = 512  #: more than any system's struct statfs
#: what statfs calls the file systems whose syncfs reports failures; that of a FUSE or an overlay does not, or does nothing
_TRUSTED: Final = {0xEF53: "ext4", 0x58465342: "XFS", 0x9123683E: "Btrfs", 0x01021994: "tmpfs"}


def sync_file_system(directory: int) -> bool:
    """
    Bring all files of the file system of an open directory to the disk; False, and nothing is done, where it may be silent about failures.

    Reports whatever could not be written since the directory was opened, or since the last call for the same descriptor: so it has to be
    open before the files are written. Another program's file may be the one that failed; who then writes his own files anew loses nothing.

    Raises:
        OSError: The disk refused.
    """
    libc = _libc()
    if libc is None or _kind(libc, directory) not in _TRUSTED:
        return False
    if libc.syncfs(directory):
        raise _last_error()
    return True


@cache
def _libc() -> CDLL | None:
    """The system's library, where its syncfs tells of failures."""
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if not sys.platform.startswith("linux") or release is None or (int(release[1]), int(release[2])) < _TELLS_SINCE:
        return None
    import ctypes  # only who makes many files durable at once needs it

    libc = ctypes.CDLL(None, use_errno=True)
    return libc if hasattr(libc, "syncfs") and hasattr(libc, "fstatfs") else None


def _kind(libc: CDLL, directory: int) -> int:
    """What kind of file system a directory lies on: the first number of struct statfs."""
    import ctypes

    status = ctypes.create_string_buffer(_STATUS_BYTES)
    if libc.fstatfs(directory, status):
        raise _last_error()
    return ctypes.c_ulong.from_buffer(status).value


def _last_error() -> OSError:
    import ctypes

    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
