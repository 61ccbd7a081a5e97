"""Measuring: every subject takes its turn in every round, so that a busy machine is busy for all of them."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

from bench.bars import Finding, Samples

Trial = Callable[[], Awaitable[object]]
"""What is timed."""

Subject = Callable[[], AbstractAsyncContextManager[Trial]]
"""Prepares one round, untimed, gives what is timed, and tidies up behind it."""

LEAST_ROUNDS: Final = 5


@frozen(kw_only=True)
class Sizes:
    """How much is measured."""

    name: str = "usual"
    bulk_units: int = 5  #: of 1,000 tickets, in a round
    small_units: int = 200  #: of three tickets
    many: int = 100_000  #: tickets of the large company
    listed: int = 20_000  #: tickets that the original lists
    moved: int = 100_000  #: tickets that are imported and exported
    remembered: tuple[int, int] = (10_000, 100_000)  #: tickets of the two imports whose memory is compared
    peers: int = 500  #: documents


FULL: Final = Sizes(name="full", remembered=(10_000, 1_000_000))
USUAL: Final = Sizes()
QUICK: Final = Sizes(
    name="quick", bulk_units=3, small_units=60, many=10_000, listed=2_000, moved=10_000, remembered=(10_000, 40_000), peers=200
)


@frozen(kw_only=True)
class Run:
    """What one run of the bench was asked for."""

    place: Path  #: an empty directory on the disk that is measured
    seed: int
    sizes: Sizes
    rounds: int = LEAST_ROUNDS
    fsync_ms: float  #: what one small fsync takes there


Part = Callable[[Run], Awaitable[list[Finding]]]


async def interleaved(subjects: Mapping[str, Subject], rounds: int) -> dict[str, Samples]:
    """What each subject took, in seconds: all of them once, then all of them again."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            async with subject() as trial:
                settle()
                taken[name].append(await timed(trial))
    return {
        name: Samples(name=name, values=tuple(wall for wall, _ in pairs), cpu=tuple(cpu for _, cpu in pairs))
        for name, pairs in taken.items()
    }


async def in_pairs(subject: Trial, reference: Trial, pairs: int) -> tuple[list[float], list[float]]:
    """
    The processor time of both, in seconds, taken one right behind the other and in changing order.

    What else runs on the machine meets both of a pair alike, so thousands of short ones tell a difference that ten long ones would not.
    """
    took: dict[Trial, list[float]] = {subject: [], reference: []}
    for number in range(pairs):
        for trial in (subject, reference) if number % 2 else (reference, subject):
            began = time.process_time()
            await trial()
            took[trial].append(time.process_time() - began)
    return took[subject], took[reference]


async def timed(trial: Trial) -> tuple[float, float]:
    """Seconds on the wall, and seconds of processor time of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    await trial()
    return time.perf_counter() - wall, time.process_time() - cpu


def settle() -> None:
    """Leave nobody another's garbage to collect, or another's pages to write."""
    gc.collect()
    gc.freeze()
    os.sync()


def ready(trial: Trial) -> Subject:
    """A subject that needs no preparation."""

    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial, None]:
        yield trial

    return subject


def warm(trial: Trial) -> Subject:
    """A subject that is tried once before it is timed: what ran before it left nothing of it in the processor's caches."""

    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial, None]:
        await trial()
        yield trial

    return subject


def in_ms(run: Run) -> str:
    """What an fsync takes there, for notes."""
    return f"one fsync takes {run.fsync_ms:.2f} ms here"
