"""Rights of files, for tests that may run as somebody to whom none apply."""

import os
from collections.abc import Generator
from contextlib import contextmanager

NOBODY = 65534


@contextmanager
def without_privileges() -> Generator[None, None, None]:
    """Do what is in the block as somebody to whom rights apply."""
    before = os.geteuid()
    os.seteuid(before or NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)
