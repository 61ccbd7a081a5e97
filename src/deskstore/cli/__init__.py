"""
The `deskstore` command: what an operator sees.

stdout is data, stderr is messages. Exit codes: 0 all is well; 1 a check or a record failed; 2 wrong usage or settings; 3 finished, but
records were rejected; 4 the store cannot be reached or does not work; 5 the store is busy; 130 interrupted; 141 the reader of the output
went away.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (without one: the program's own) and give its exit code; nothing that can go wrong is a traceback."""
    from deskstore.cli.failures import run
    from deskstore.cli.root import root

    return run(root, sys.argv[1:] if arguments is None else [*arguments])
