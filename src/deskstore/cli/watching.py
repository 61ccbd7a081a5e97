"""Progress as it goes on: one line that changes on a terminal, a line for each change anywhere else."""

from __future__ import annotations

import asyncio
import json
import math
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
    from rich.table import Table

    from deskstore.cli.records import Shown
    from deskstore.domain.ports import Storage
    from deskstore.domain.processing import Progress

LOOKS: Final = 30  #: over which the rate is taken
LEAST_BAR: Final = 10  #: columns; a shorter one tells nothing
MOST_BAR: Final = 40  #: columns
LEAST_LABEL: Final = 6  #: columns
SHORT: Final = ("pend", "proc", "done", "fail")  #: the counts, where the screen is narrow


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
    from rich.live import Live

    with Live(console=Console(), auto_refresh=False) as live:
        yield lambda seen: live.update(_line(laid_out(what, seen, live.console.width), seen.progress), refresh=True)


def _line(layout: Layout, progress: Progress) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    line = Table.grid(padding=(0, 1))
    parts: list[Text | ProgressBar] = [Text(layout.label)] if layout.label else []
    if layout.bar:
        done = progress.completed + progress.failed
        parts.append(ProgressBar(total=max(1, progress.total), completed=done, width=layout.bar))
    line.add_row(*parts, Text(layout.counts, no_wrap=True, overflow="ellipsis"))
    return line


@frozen(kw_only=True)
class Layout:
    """What a line of the screen shows."""

    label: str  #: whose tickets these are, or the beginning of it; empty where there is no room
    bar: int  #: columns; 0 where numbers need them
    counts: str


def laid_out(what: str, seen: Seen, columns: int) -> Layout:
    """What fits into so many columns: shorter numbers come before a bar that is too short to tell, and numbers before a bar."""
    from rich.cells import cell_len

    short = [_shortened(seen, "{:,}".format), _shortened(seen, _compact)]
    with_bar = [(described(seen), cell_len(what) + 1), *((text, 0) for text in short)]
    for text, label in with_bar:
        if (room := columns - len(text) - 1) >= LEAST_BAR + label:
            shown = _cut(what, room - LEAST_BAR - 1)
            return Layout(label=shown, bar=min(MOST_BAR, room - (cell_len(shown) + 1 if shown else 0)), counts=text)
    text = next((text for text in short if len(text) <= columns), short[-1])
    return Layout(label=_cut(what, columns - len(text) - 1), bar=0, counts=text)


def _cut(what: str, room: int) -> str:
    """A label as far as there is room for it; nothing where its beginning would not tell it from others."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(what) <= room:
        return what
    return f"{set_cell_size(what, room - 1)}…" if room >= LEAST_LABEL else ""


def _shortened(seen: Seen, number: Callable[[int], str]) -> str:
    """The counts in short words."""
    words = [", ".join(f"{short} {number(getattr(seen.progress, name))}" for name, short in zip(COUNTS, SHORT, strict=True))]
    if seen.per_s is not None:
        words.append(f"{seen.per_s:.1f}/s" if seen.per_s < 1_000 else f"{number(round(seen.per_s))}/s")
    if seen.left_s:
        minutes, seconds = divmod(round(seen.left_s), 60)
        words.append(f"{minutes // 60}:{minutes % 60:02}:{seconds:02}")
    return "; ".join(words)


def _compact(number: int) -> str:
    """A count in four characters or fewer: 950, 9.5k, 950k, 9.5M."""
    scaled, units = float(number), iter(("", "k", "M", "G"))
    unit = next(units)
    while scaled >= 1_000:
        scaled, unit = scaled / 1_000, next(units)
    return f"{math.floor(scaled * 10) / 10:.1f}{unit}" if unit and scaled < 10 else f"{math.floor(scaled)}{unit}"


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
