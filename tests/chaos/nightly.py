"""
The long run: every part as often as the table of what must hold asks for by night, within a budget of time.

    python3 dev.py chaos --nightly --hours 8 [--resume build/nightly.json]

Each part runs in a process of its own, with a line of its own and an exit code: first every part once, then those that have more rounds to
go, each with another seed, until all are whole or the time is over. After each of them everything is written down, so that a run that was
interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from attrs import asdict, define, field, frozen

ROOT: Final = Path(__file__).resolve().parents[2]
STATE: Final = ROOT / "build" / "nightly.json"
TIME_IS_UP: Final = "time was up"
NOTHING: Final = "it ended without a report"
_LEAST_S: Final = 30.0  #: with less time left, nothing is begun
_ENDING_S: Final = 60.0  #: for a part that is told to end, and has servers to stop
_SEEDS: Final = 1_000_003  #: between the seeds of two rounds
Say = Callable[[str], None]


@frozen(kw_only=True)
class Task:
    """A part as the long run takes it."""

    area: str
    part: str
    rounds: int


@frozen(kw_only=True)
class Done:
    """What came of one round of a part."""

    area: str
    part: str
    round: int
    seed: int
    code: int | None  #: as the process ended; None: it was stopped, since time was up
    came: str
    states: int = 0
    failures: Sequence[str] = ()
    seconds: float = 0.0
    measured: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether nothing failed."""
        return self.code in (0, None) and not self.failures

    def __str__(self) -> str:
        """A line."""
        end = "-" if self.code is None else str(self.code)
        came = f"{self.came}: {self.measured}" if self.measured else self.came
        counted = f"{self.states:>9,} states {len(self.failures):>3} failed {self.seconds:>7.1f} s"
        return f"{self.area:10} {self.part:52} round {self.round:>3}  seed {self.seed:>10}  {counted}  exit {end}  {came}"


@define(kw_only=True)
class Night:
    """All that one long run has come to so far."""

    seed: int
    about: dict[str, str] = field(factory=dict[str, str])  #: when it began, and on what
    rows: list[Done] = field(factory=list[Done])

    @classmethod
    def new(cls, seed: int) -> Night:
        """A run that begins now, here."""
        about = {
            "begun": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "system": f"{platform.system()} {platform.release()}",
            "processors": str(os.cpu_count()),
            "Python": platform.python_version(),
        }
        return cls(seed=seed, about=about)

    @classmethod
    def read(cls, path: Path) -> Night:
        """A run that was interrupted."""
        told = json.loads(path.read_text(encoding="utf-8"))
        return cls(seed=told["seed"], about=told["about"], rows=[Done(**row) for row in told["rows"]])

    def write(self, path: Path) -> None:
        """Keep it; what was there before stays whole until this is."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        new.replace(path)

    def rounds(self, task: Task) -> int:
        """How many rounds of a part are done."""
        return sum((row.area, row.part) == (task.area, task.part) and row.code is not None for row in self.rows)


@frozen(kw_only=True)
class Measure:
    """A line of the table of what must hold: how much of it a night is to see."""

    name: str
    wanted: int
    unit: str
    parts: Sequence[str]  #: beginnings of their names; what they judged counts together

    def reached(self, rows: Sequence[Done]) -> int:
        """How much it was."""
        return sum(row.states for row in self._of(rows))

    def failures(self, rows: Sequence[Done]) -> int:
        """How many of them were wrong."""
        return sum(max(len(row.failures), 0 if row.is_fine else 1) for row in self._of(rows))

    def _of(self, rows: Sequence[Done]) -> Iterator[Done]:
        return (row for row in rows if row.part.startswith(tuple(self.parts)))


MEASURES: Final = (
    Measure(
        name="companies at work together, and any steps in several, on every storage",
        wanted=1_000_000,
        unit="operations",
        parts=("companies at work together", "any steps"),
    ),
    Measure(name="backends killed", wanted=100_000, unit="acknowledged", parts=("backends killed",)),
    Measure(name="units cancelled", wanted=100_000, unit="cancellations", parts=("units cancelled",)),
    Measure(
        name="crash points, power cuts and failed syncs",
        wanted=100_000,
        unit="states",
        parts=("killed before", "power cut", "recovery killed", "a refused unit", "a failed sync"),
    ),
    Measure(name="kill -9 at random moments", wanted=2_000, unit="kills and tickets", parts=("kill -9 at random", "four processes")),
    Measure(
        name="operations that fail",
        wanted=10_000,
        unit="states",
        parts=("an operation fails", "the disk stays full", "no sync succeeds"),
    ),
    Measure(name="cache races under faults", wanted=5_000_000, unit="reads", parts=("cache",)),
    Measure(name="a company written, moved and killed", wanted=1_000, unit="kills", parts=("kills while a company", "kills at every step")),
    Measure(name="records that go in and come back", wanted=1_000_000, unit="records", parts=("any records",)),
    Measure(name="hostile names", wanted=1_000_000, unit="names", parts=("hostile names", "any names")),
)


def run(night: Night, tasks: Sequence[Task], *, hours: float, state: Path, say: Say) -> int:
    """Go on with a night until all is done or time is up; the exit code is 1 if anything failed."""
    until = time.monotonic() + 3_600 * hours
    say(f"seed {night.seed}, {hours:g} hours, {len(tasks)} parts; written down in {state}, to go on from with --resume")
    try:
        for task, number in _turns(night, tasks):
            left_s = until - time.monotonic()
            if left_s < _LEAST_S:
                break
            night.rows.append(_tried(task, number, _seed(night.seed, number), left_s))
            night.write(state)
            say(str(night.rows[-1]))
    except KeyboardInterrupt:
        say("interrupted")
        _summarise(night, tasks, say)
        return 130
    _summarise(night, tasks, say)
    return 0 if all(row.is_fine for row in night.rows) else 1


def _turns(night: Night, tasks: Sequence[Task]) -> Iterator[tuple[Task, int]]:
    """Every part once, then again those that have more rounds to go."""
    for number in range(max((task.rounds for task in tasks), default=0)):
        for task in tasks:
            if night.rounds(task) <= number < task.rounds:
                yield task, number


def _seed(seed: int, number: int) -> int:
    return (seed + number * _SEEDS) % 2**32


def _tried(task: Task, number: int, seed: int, left_s: float) -> Done:
    """One round of a part in a process of its own."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="deskstore-chaos-") as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "tests.chaos", task.area, "--exactly", task.part, "--round", str(number), "--seed", str(seed)]
        whole = ["--whole"] if task.rounds == 1 else []
        code = _ended([*command, *whole, "--report", str(report)], left_s)
        told: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8")) if report.exists() else []  # Any: as JSON gives it
    seconds = round(time.monotonic() - began, 1)
    if code is not None and told:
        (row,) = told
        found: dict[str, Any] = {name: row[name] for name in ("came", "states", "failures", "measured")}  # Any: as above
    else:
        found = {"came": TIME_IS_UP} if code is None else {"came": NOTHING, "failures": (NOTHING,)}
    return Done(area=task.area, part=task.part, round=number, seed=seed, code=code, seconds=seconds, **found)


def _ended(command: Sequence[str], left_s: float) -> int | None:
    """The exit code of a process; None where it had to be stopped."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait(left_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it started, if it has not ended."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_ENDING_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _summarise(night: Night, tasks: Sequence[Task], say: Say) -> None:
    say("")
    for line in summary(night, tasks):
        say(line)


def summary(night: Night, tasks: Sequence[Task]) -> Iterator[str]:
    """The tables at the end: by measure, and by part."""
    yield f"{'what':78} {'wanted':>10} {'reached':>10} {'failed':>6}  seed {night.seed}"
    for measure in MEASURES:
        reached, failed = measure.reached(night.rows), measure.failures(night.rows)
        yield f"{measure.name:78} {measure.wanted:>10,} {reached:>10,} {failed:>6}  {measure.unit}"
    yield ""
    yield f"{'area':10} {'part':52} {'rounds':>9} {'states':>11} {'failed':>6} {'seconds':>9}"
    for task in tasks:
        rows = [row for row in night.rows if (row.area, row.part) == (task.area, task.part)]
        rounds = f"{night.rounds(task)}/{task.rounds}"
        failed = sum(not row.is_fine for row in rows)
        states, seconds = sum(row.states for row in rows), sum(row.seconds for row in rows)
        yield f"{task.area:10} {task.part:52} {rounds:>9} {states:>11,} {failed:>6} {seconds:>9.1f}"
    for row in night.rows:
        yield from (f"\n{row.area} {row.part}, seed {row.seed}, round {row.round}: {failure}" for failure in row.failures[:2])
