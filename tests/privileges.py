"""Rights of files, for tests that may run as somebody to whom none apply."""

import ctypes
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

_VERSION: Final = 0x20080522  #: of the layout below: linux/capability.h
_PAST_RIGHTS: Final = 1 << 1 | 1 << 2  #: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH


@contextmanager
def without_privileges() -> Generator[None, None, None]:
    """
    Do what is in the block as somebody to whom rights apply, and so do all threads that are started in it.

    Root stays root, and may still read its own Python; what it loses are the two capabilities that look past the rights of files.
    """
    if os.geteuid():
        yield
        return
    system = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION, 0)
    held = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; the lower 32 bits, then the upper ones
    _checked(system.capget(header, held))
    _checked(system.capset(header, (ctypes.c_uint32 * 6)(held[0] & ~_PAST_RIGHTS, *held[1:])))
    try:
        yield
    finally:
        _checked(system.capset(header, held))


def _checked(answer: int) -> None:
    if answer:
        raise OSError(ctypes.get_errno(), "the rights of this thread cannot be changed")
