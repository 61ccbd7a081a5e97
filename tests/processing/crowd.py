"""Many workers as processes on one platform's tickets, some of them killed and some put to sleep, and what must be true in the end."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from attrs import Factory, define, frozen

from deskstore.domain.identifiers import Key, ticket_key
from deskstore.domain.paging import Filter
from deskstore.domain.ports import Storage
from deskstore.domain.processing import CLOCK_SKEW, COMPLETED, Processing
from deskstore.services.processing import find_processing, get_processing_progress
from deskstore.services.summaries import stale_summaries, summary_history
from deskstore.services.tickets import save_tickets
from tests.pages import ROOT
from tests.payloads import freshdesk
from tests.processing.worker import COMPANY, GO, PLATFORM

WORKERS: Final = 8
LEASE_S: Final = 1.0
LONGEST_S: Final = 600.0


@frozen(kw_only=True)
class Plan:
    """What is to happen."""

    tickets: int
    kills: int
    sleeps: int = 1  #: workers that stand still until others have their tickets, and then go on
    pace_s: float  #: the longest that a ticket takes


@frozen
class Note:
    """What a worker wrote down of a ticket."""

    worker: str
    what: str  #: took, or kept
    id: str
    token: str
    at: float
    until: float  #: when the lease was to end, as the worker knew it
    attempts: int


@define
class Crowd:
    """Workers at work in a storage that the environment names."""

    folder: Path
    environment: Mapping[str, str]
    plan: Plan
    chances: random.Random
    _running: dict[str, subprocess.Popen[bytes]] = Factory(dict[str, "subprocess.Popen[bytes]"])
    _asleep: dict[str, float] = Factory(dict[str, float])  #: until when
    _codes: Counter[int] = Factory(Counter[int])
    _started: int = 0

    def work(self) -> Counter[int]:
        """Let them work until all have ended; how often each exit code came."""
        moments = sorted(self.chances.sample(range(self.plan.tickets * 4 // 5), self.plan.kills + self.plan.sleeps))
        sleepers = set(self.chances.sample(moments, self.plan.sleeps))
        last = time.monotonic() + LONGEST_S
        try:
            for _ in range(WORKERS):
                self._start()
            self._let_go(last)
            while self._running:
                assert time.monotonic() < last, f"{len(self._running)} workers were still at work after {LONGEST_S:.0f} s"
                if moments and self._kept() >= moments[0]:
                    self._disturb(is_sleep=moments.pop(0) in sleepers)
                self._look()
                time.sleep(0.02)
        finally:
            for running in self._running.values():
                running.kill()
                running.wait()
        return self._codes

    def notes(self) -> Iterator[Note]:
        """All that was written down; the last line of a killed worker may be cut off."""
        for path in sorted(self.folder.glob("*.notes")):
            for line in path.read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    yield Note(path.stem, **json.loads(line))

    def _let_go(self, last: float) -> None:
        """Let all begin at the same moment, so that none finds the work done before it is up."""
        while len([*self.folder.glob("*.notes")]) < WORKERS:
            assert time.monotonic() < last, "not all workers came up"
            time.sleep(0.02)
        (self.folder / GO).touch()

    def _start(self) -> None:
        name = f"w{self._started}"
        self._started += 1
        command = [sys.executable, "-m", "tests.processing.worker", name, str(self.folder), str(LEASE_S), str(self.plan.pace_s)]
        self._running[name] = subprocess.Popen(command, cwd=ROOT, env=self.environment)

    def _disturb(self, *, is_sleep: bool) -> None:
        awake = sorted(self._running.keys() - self._asleep.keys())
        self.chances.shuffle(awake)
        for name in awake:
            if is_sleep:
                self._running[name].send_signal(signal.SIGSTOP)
                self._asleep[name] = time.monotonic() + LEASE_S + CLOCK_SKEW.total_seconds() + 1.0
                return
            if self._is_killed(name):
                self._start()
                return

    def _is_killed(self, name: str) -> bool:
        """Kill a worker; False where it came to its own end in that very moment."""
        running = self._running.pop(name)
        running.kill()
        self._codes[code := running.wait()] += 1
        return code == -signal.SIGKILL

    def _look(self) -> None:
        for name, until in [*self._asleep.items()]:
            if time.monotonic() > until:
                self._running[name].send_signal(signal.SIGCONT)
                del self._asleep[name]
        for name, running in [*self._running.items()]:
            if (code := running.poll()) is not None:
                self._codes[code] += 1
                del self._running[name]

    def _kept(self) -> int:
        return sum(path.read_bytes().count(b'"kept"') for path in self.folder.glob("*.notes"))


async def fill(storage: Storage, n: int) -> None:
    """Make pending tickets."""
    for start in range(0, n, 1_000):
        await save_tickets(storage, COMPANY, PLATFORM, [freshdesk(number) for number in range(start, min(n, start + 1_000))])


async def breaches(storage: Storage, plan: Plan, notes: Sequence[Note], codes: Mapping[int, int]) -> list[str]:
    """Whatever is not as it must be once all workers have ended."""
    found = [one async for one in _everything(storage, plan.tickets)]
    progress = await get_processing_progress(storage, COMPANY, PLATFORM)
    recount = Counter(processing.status for processing, _ in found)
    counts = (progress.pending, progress.processing, progress.completed, progress.failed)
    said = [
        *(f"workers ended with {code}: {count}" for code, count in codes.items() if code not in (0, -signal.SIGKILL)),
        *([] if codes.get(-signal.SIGKILL, 0) == plan.kills else [f"{codes.get(-signal.SIGKILL, 0)} workers were killed of {plan.kills}"]),
        *([] if recount == {COMPLETED: plan.tickets} else [f"recounted: {dict(recount)}"]),
        *([] if counts == (0, 0, plan.tickets, 0) else [f"progress says {counts}"]),
        *[f"{one.key} is stale" async for one in stale_summaries(storage, COMPANY)],
    ]
    by_ticket = defaultdict[str, list[Note]](list)
    for note in notes:
        by_ticket[note.id].append(note)
    for processing, contents in found:
        said.extend(f"{processing.key}: {fault}" for fault in _faults(processing, contents, by_ticket[processing.key.id]))
    return said


def _faults(processing: Processing, contents: Sequence[Any], notes: Sequence[Note]) -> Iterator[str]:  # Any: JSON
    if processing.status != COMPLETED or processing.claim is not None:
        yield f"it is {processing.status}, claimed by {processing.claim}"
    if len(contents) != 1:
        yield f"it has {len(contents)} summaries"
        return
    took = sorted((note for note in notes if note.what == "took"), key=lambda note: note.until)  # who stood still may begin late
    if contents[0]["token"] not in [note.token for note in took]:
        yield "its summary is of a token that nobody was given"
    if any(note.token != contents[0]["token"] for note in notes if note.what == "kept"):
        yield "an acknowledged completion is not the one that is kept"
    if len({note.token for note in took}) != len(took):
        yield "a token was handed out twice"
    if any(after.at < before.until + CLOCK_SKEW.total_seconds() for before, after in pairwise(took)):
        yield "it was handed out while a lease lived"
    if processing.attempts < len(took):
        yield f"it was handed out {len(took)} times, and counts {processing.attempts}"


async def _everything(storage: Storage, n: int) -> AsyncIterator[tuple[Processing, list[Any]]]:  # Any: JSON
    """How far each ticket has come, and the contents of its summaries."""
    keys: list[Key] = [ticket_key(PLATFORM, str(number)) for number in range(n)]
    async with storage.unit_of_work(COMPANY) as uow:
        assert [ticket.key async for ticket in uow.tickets.stream(Filter(platform=PLATFORM))] == sorted(keys)
    for start in range(0, n, 500):
        for key, processing in (await find_processing(storage, COMPANY, keys[start : start + 500])).items():
            yield processing, [summary.data for summary in await summary_history(storage, COMPANY, key)]


def with_python(environment: Mapping[str, str]) -> dict[str, str]:
    """These variables, and those by which a process of ours finds what to run."""
    path = os.pathsep.join([str(ROOT), *(path for path in sys.path if path)])
    return {**os.environ, **environment, "PYTHONPATH": path}
