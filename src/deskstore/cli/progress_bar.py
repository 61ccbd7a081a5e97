"""A progress bar with rate and time left, on a terminal; nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deskstore.cli.output import on_terminal

if TYPE_CHECKING:
    from rich.progress import Progress


@contextmanager
def progress_bar(what: str, total: int | None, *, unit: str) -> Generator[Callable[[int], None]]:
    """Give a function that is told how much is done, out of a total where there is one; unit: 'bytes' or a plural."""
    if not on_terminal(sys.stderr):
        yield lambda _: None
        return
    with _bar(unit) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def _bar(unit: str) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import ProgressColumn as Column

    counted: list[Column] = [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn(), TextColumn(unit)]
    columns = [TextColumn("{task.description}"), BarColumn(), *counted, TimeRemainingColumn()]
    return Progress(*columns, console=Console(stderr=True), transient=True)
