"""From whatever goes wrong to one line and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from deskstore.cli.shared import Shared

if TYPE_CHECKING:
    from deskstore.domain.errors import StorageError

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
REJECTED: Final = 3
UNAVAILABLE: Final = 4
BUSY: Final = 5
INTERRUPTED: Final = 130
NO_READER: Final = 141
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
COMPLETION: Final = "_DESKSTORE_COMPLETE"  #: the variable by which a shell asks how a line may go on


def run(command: click.Command, arguments: Sequence[str]) -> int:
    """The exit code of a command line, after one line on stderr where something went wrong."""
    said = Shared()
    _fill_closed_streams()
    _never_fail_to_print()
    try:
        code = _invoked(command, arguments, said)
        sys.stdout.flush()
        return code
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        return _fail(_usage(error), USAGE)
    except (click.Abort, KeyboardInterrupt):
        return _fail(said.if_interrupted, INTERRUPTED)
    except BrokenPipeError:
        _forget_output()
        return NO_READER
    except OSError as error:
        return _explained(said, error, _of_system(error, said.output), USAGE if error.filename and error.errno not in _FULL else FAILED)
    except _storage_error() as error:
        return _explained(said, error, str(error), code_of(error))


def _invoked(command: click.Command, arguments: Sequence[str], said: Shared) -> int:
    """Run the command; not by its main(), which has exit codes of its own for an interruption and for a reader that left."""
    if COMPLETION in os.environ:
        command.main(args=[*arguments], prog_name="deskstore", complete_var=COMPLETION)
    with command.make_context("deskstore", [*arguments], obj=said, color=False if os.environ.get("NO_COLOR") else None) as context:
        code: object = command.invoke(context)
    return code if isinstance(code, int) else OK


def code_of(error: StorageError) -> int:
    """The exit code that an error stands for."""
    from deskstore.domain import errors

    if isinstance(error, errors.ConfigurationError | errors.InvalidIdentifier):
        return USAGE
    if isinstance(error, errors.StorageBusy):
        return BUSY
    unreachable = errors.StorageUnavailable | errors.CommitOutcomeUnknown | errors.CompanyMoved | errors.StoreReplaced
    return UNAVAILABLE if isinstance(error, unreachable) else FAILED


def tell(text: str) -> None:
    """One message on stderr."""
    click.echo(f"deskstore: {text}", err=True)


def _storage_error() -> type[StorageError]:
    from deskstore.domain.errors import StorageError

    return StorageError


def _of_system(error: OSError, output: str) -> str:
    if error.errno in _FULL:
        return f"{error.filename or output}: {error.strerror}: make room, then run the same command again"
    if error.filename is None:
        return f"operating system error: {error.strerror or error}: see that what is read and {output} are still there"
    if isinstance(error, IsADirectoryError):
        return f"{error.filename} is a directory: name a file"
    return f"{error.filename}: {error.strerror}: check the name and permissions"


def _usage(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return f"Missing command (see {error.ctx.command_path if error.ctx else 'deskstore'} --help)"
    text = " ".join(error.format_message().split()).removesuffix(".")
    return f"{text} (see {context.command_path} --help)" if context else text


def _explained(said: Shared, error: Exception, text: str, code: int) -> int:
    if said.is_verbose:
        import traceback  # not on the way to --help

        traceback.print_exception(error)
    return _fail(text, code)


def _fail(text: str, code: int) -> int:
    tell(" ".join(text.splitlines()))
    return code


def _fill_closed_streams() -> None:
    """Standard streams that the caller closed lead nowhere, so that no file of ours comes to stand in their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open as long as the process runs


def _never_fail_to_print() -> None:
    """What a terminal's encoding lacks is shown escaped."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def _forget_output() -> None:
    """Let the interpreter's last flush go nowhere, so that it has nothing to say about the reader that left."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
