"""The command as a process of its own: the script `deskstore`, and `python -m deskstore.cli` for where that is not on the path."""

import gc
import signal
import sys

from deskstore.cli import main

_GARBAGE_FROM = 50_000  # objects; modules make half as many, and a collection would look through all of them and find nothing
_INTERRUPTED = 130


def program() -> int:
    """Run the process's command line and give its exit code; the process is to end then."""
    gc.set_threshold(_GARBAGE_FROM, *gc.get_threshold()[1:])
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        return main()
    except KeyboardInterrupt:  # before anything was begun, or once more after what there is to say was said
        return _INTERRUPTED
    finally:
        gc.freeze()  # what is left goes with the process: the interpreter need not look through it once more


def _interrupt(*_: object) -> None:
    """What `kill` asks for, done as for Ctrl-C: it is told how to go on, and a terminal gets its cursor back."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a script started it in the background, and no Ctrl-C reaches it
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


if __name__ == "__main__":
    sys.exit(program())
