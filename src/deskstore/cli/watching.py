"""Progress as it goes on: one line that changes on a terminal, a line for each change anywhere else."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click
from attrs import frozen

from deskstore.cli.absent import why_nothing
from deskstore.cli.failures import OK, tell
from deskstore.cli.output import cell, on_terminal
from deskstore.cli.progress import COUNTS, progress_shown
from deskstore.cli.shared import shared
from deskstore.services.processing import get_processing_progress

if TYPE_CHECKING:
    from deskstore.cli.records import Shown
    from deskstore.domain.ports import Storage
    from deskstore.domain.processing import Progress

LOOKS: Final = 30  #: over which the rate is taken


@frozen(kw_only=True)
class Seen:
    """What one look saw, and what it says of the time that is left."""

    progress: Progress
    per_s: float | None  #: tickets that came to their end a second, lately; None before the second look

    @property
    def left_s(self) -> float | None:
        """Seconds until nothing is pending or in processing, if it goes on like this; None where nobody can tell."""
        left = self.progress.pending + self.progress.processing
        return 0.0 if not left else left / self.per_s if self.per_s else None


class Rate:
    """How many tickets came to their end a second, over the last looks."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque(maxlen=LOOKS)

    def seen(self, progress: Progress, at_s: float) -> Seen:
        """Note one look at that time."""
        self._looks.append((at_s, progress.completed + progress.failed))
        (since_s, before), (now_s, done) = self._looks[0], self._looks[-1]
        per_s = max(0.0, (done - before) / (now_s - since_s)) if now_s > since_s else None
        return Seen(progress=progress, per_s=per_s)


async def watched(storage: Storage, company_id: str, platform: str, *, interval_s: float, until_done: bool) -> int:
    """Show every change until there is nothing more to do, if that is the wish, else for ever."""
    rate = Rate()
    with _screen(company_id, platform) as show:
        while True:
            progress = await get_processing_progress(storage, company_id, platform)
            show(rate.seen(progress, time.monotonic()))
            if until_done and not progress.pending and not progress.processing:
                break
            await asyncio.sleep(interval_s)
    if not progress.total and (reason := await why_nothing(storage, company_id, platform)):
        tell(reason)
    return OK


@contextmanager
def _screen(company_id: str, platform: str) -> Generator[Callable[[Seen], None]]:
    """Where what was seen is shown."""
    if shared().as_json:
        yield _Changes(lambda seen: click.echo(json.dumps({"company": company_id, "platform": platform, **seen_shown(seen)})))
    elif not on_terminal(sys.stdout):
        yield _Changes(lambda seen: click.echo(f"{cell(seen.progress.last_updated)}  {described(seen)}"))
    else:
        with _bar(f"{company_id} {platform}") as show:
            yield show


class _Changes:
    """Shows what differs from what was shown before."""

    def __init__(self, show: Callable[[Seen], None]) -> None:
        self._show = show
        self._last: Progress | None = None

    def __call__(self, seen: Seen) -> None:
        if seen.progress != self._last:
            self._show(seen)
            self._last = seen.progress


@contextmanager
def _bar(what: str) -> Generator[Callable[[Seen], None]]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn

    with Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[counts]}"), console=Console()) as bar:
        task = bar.add_task(escape(what), total=None, counts="")

        def show(seen: Seen) -> None:
            done = seen.progress.completed + seen.progress.failed
            bar.update(task, total=seen.progress.total, completed=done, counts=described(seen), refresh=True)

        yield show


def described(seen: Seen) -> str:
    """The counts in words, with rate and time left where they are known."""
    progress = seen.progress
    counts = ", ".join(f"{getattr(progress, name):,} {name}" for name in COUNTS)
    words = [f"{progress.percentage:.1f} % of {progress.total:,}", counts]
    if seen.per_s is not None:
        words.append(f"{seen.per_s:,.1f}/s")
    if seen.left_s:
        words.append(f"{timedelta(seconds=round(seen.left_s))} left")
    return "; ".join(words)


def seen_shown(seen: Seen) -> Shown:
    """The same as JSON."""
    left = None if seen.left_s is None else round(seen.left_s, 1)
    return {**progress_shown(seen.progress), "per_s": None if seen.per_s is None else round(seen.per_s, 3), "left_s": left}
