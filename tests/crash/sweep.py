"""Hurt a workload at each of its operations, have what is left judged, and report."""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from errno import errorcode
from functools import partial
from pathlib import Path

from attrs import define, field, frozen

from tests.crash.errors import WorkloadBroken
from tests.crash.interpreter import single_threaded
from tests.crash.judging import Judge, judged
from tests.crash.operations import Kind
from tests.crash.powercut import Mode, check_nothing_escaped, materialise, states
from tests.crash.tracer import Fail, Kill, Run, Workload, trace

Recovery = Callable[[Path], None]

_SHOWN = 8
_DEADLINE_S = 60.0


@frozen(kw_only=True)
class Failure:
    """A state that the judge found wrong."""

    what: str  #: how it came about
    at: int  #: number of the operation
    acked: int
    message: str  #: the judge's words

    def __str__(self) -> str:
        """One line, and the judge's words below."""
        return f"operation {self.at}, {self.what}, {self.acked} acknowledged: {self.message}"


@frozen(kw_only=True)
class Report:
    """What a sweep did and found."""

    sweep: str  #: its name and settings: what it takes to repeat it
    states: int  #: how many were judged
    failures: tuple[Failure, ...]
    operations: int  #: of the undisturbed workload
    units: int  #: that it acknowledges
    endings: dict[str, int] = field(factory=dict[str, int])  #: how the hurt runs ended
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether states were judged, and every one of them found fine."""
        return self.states > 0 and not self.failures

    def __str__(self) -> str:
        """A summary, then the first failures."""
        endings = ", ".join(f"{count} {ending}" for ending, count in sorted(self.endings.items()))
        runs = f"; runs: {endings}" if endings else ""
        found = f"{self.states} states judged, {len(self.failures)} failed, {self.seconds:.1f} s"
        lines = [f"{self.sweep}: {found} ({self.operations} operations, {self.units} units{runs})"]
        lines += [f"  {failure}" for failure in self.failures[:_SHOWN]]
        if len(self.failures) > _SHOWN:
            lines.append(f"  and {len(self.failures) - _SHOWN} more")
        return "\n".join(lines)


@define(kw_only=True)
class _Sweep:
    """A sweep under way."""

    name: str
    judge: Judge
    upto: int
    deadline_s: float
    place: Path
    judged: int = 0
    failures: list[Failure] = field(factory=list[Failure])
    endings: Counter[str] = field(factory=Counter[str])
    began: float = field(factory=time.monotonic)

    def look(self, folder: Path, what: str, at: int, acked: int) -> None:
        """Have a folder judged, and remember what was wrong with it."""
        self.judged += 1
        message = judged(self.judge, folder, acked, self.upto, deadline_s=self.deadline_s)
        if message is not None:
            self.failures.append(Failure(what=what, at=at, acked=acked, message=message))

    def look_at_run(self, run: Run, folder: Path, what: str, at: int) -> None:
        """The same for what a hurt run left behind; one that hangs, or dies of itself, is a failure whatever it left."""
        self.endings[run.ending] += 1
        what = f"{what} {run.struck or 'nothing: it ended before'}"
        if run.ending in ("hung", "died"):
            self.failures.append(Failure(what=what, at=at, acked=run.acked, message=f"the workload {run.ending} {run.error}"))
        self.look(folder, what, at, run.acked)

    def undisturbed(self, run: Workload) -> Run:
        """
        The workload when nobody hurts it.

        Raises:
            WorkloadBroken: It does not finish, or what it leaves is judged wrong.
            Escaped: It changes its folder unseen.
        """
        with self.folder() as folder:
            found = trace(run, folder, data=True, deadline_s=self.deadline_s)
            if found.ending != "finished":
                raise WorkloadBroken(f"the workload {found.ending} without any fault: {found.error}")
            check_nothing_escaped(found, folder)
            message = judged(self.judge, folder, found.acked, self.upto, deadline_s=self.deadline_s)
        if message is not None:
            raise WorkloadBroken(f"the judge refuses what the workload leaves without any fault: {message}")
        return found

    @contextmanager
    def folder(self, template: Path | None = None) -> Generator[Path]:
        """A fresh folder, empty or a copy of another one."""
        folder = Path(tempfile.mkdtemp(dir=self.place))
        try:
            if template:
                shutil.copytree(template, folder, symlinks=True, dirs_exist_ok=True)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def report(self, run: Run) -> Report:
        return Report(
            sweep=self.name,
            states=self.judged,
            failures=tuple(self.failures),
            operations=len(run.operations),
            units=run.acked,
            endings=dict(self.endings),
            seconds=time.monotonic() - self.began,
        )


@contextmanager
def _sweep(name: str, judge: Judge, upto: int, deadline_s: float) -> Generator[_Sweep]:
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it; syncs cost nothing there
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="crash-") as place:
        yield _Sweep(name=name, judge=judge, upto=upto, deadline_s=deadline_s, place=Path(place).resolve())


def _said(which: slice) -> str:
    return f"every={which.step} first={which.start}"


def kill_sweep(
    run: Workload, judge: Judge, *, every: int = 1, first: int = 0, torn: bool = True, upto: int = 1, deadline_s: float = _DEADLINE_S
) -> Report:
    """
    Kill the workload before each `every`-th operation, and with `torn` also in the middle of each of these that is a write.

    Args:
        first: How many operations come before the first of these.
        upto: How many units may be under way at once, and so be there without having been acknowledged.
        deadline_s: For each run and each judgement.
    """
    return single_threaded(_kill_sweep, run, judge, slice(first, None, every), torn, upto, deadline_s)


def _kill_sweep(run: Workload, judge: Judge, which: slice, torn: bool, upto: int, deadline_s: float) -> Report:
    with _sweep(f"kill {_said(which)} torn={torn}", judge, upto, deadline_s) as sweep:
        whole = sweep.undisturbed(run)
        for operation in whole.operations[which]:
            kills = [Kill(before=operation.number)]
            if torn and operation.kind == "write" and operation.size > 1:
                kills.append(Kill(before=operation.number, torn=True))
            for kill in kills:
                with sweep.folder() as folder:
                    hurt = trace(run, folder, kill=kill, deadline_s=deadline_s)
                    sweep.look_at_run(hurt, folder, "killed in the middle of" if kill.torn else "killed before", operation.number)
        return sweep.report(whole)


def fail_sweep(
    run: Workload,
    judge: Judge,
    errno: int,
    *,
    sticky: bool = False,
    every: int = 1,
    first: int = 0,
    kinds: Collection[Kind] | None = None,
    upto: int = 1,
    deadline_s: float = _DEADLINE_S,
) -> Report:
    """
    Refuse each `every`-th operation with an error.

    The workload may raise, or go on with its next unit; the judge decides by what it acknowledged.

    Args:
        first: How many operations come before the first of these.
        sticky: All later ones fail, too. A disk that stays full is `ENOSPC, sticky=True, kinds=SPACE_TAKING`.
        kinds: Which operations can fail; None: all.
    """
    return single_threaded(_fail_sweep, run, judge, errno, sticky, slice(first, None, every), kinds, upto, deadline_s)


def _fail_sweep(
    run: Workload, judge: Judge, errno: int, sticky: bool, which: slice, kinds: Collection[Kind] | None, upto: int, deadline_s: float
) -> Report:
    name = f"fail {errorcode[errno]} sticky={sticky} {_said(which)} kinds={'all' if kinds is None else sorted(kinds)}"
    with _sweep(name, judge, upto, deadline_s) as sweep:
        whole = sweep.undisturbed(run)
        matching = [operation for operation in whole.operations if kinds is None or operation.kind in kinds]
        for at, operation in list(enumerate(matching, 1))[which]:
            with sweep.folder() as folder:
                hurt = trace(run, folder, fail=Fail(at=at, errno=errno, sticky=sticky, kinds=kinds), deadline_s=deadline_s)
                sweep.look_at_run(hurt, folder, f"{errorcode[errno]} for", operation.number)
        return sweep.report(whole)


def power_sweep(
    run: Workload,
    judge: Judge,
    *,
    mode: Mode = "strict",
    every: int = 1,
    first: int = 0,
    seed: int = 0,
    singles: int = 6,
    randoms: int = 4,
    upto: int = 1,
    deadline_s: float = _DEADLINE_S,
) -> Report:
    """
    Cut the power after each `every`-th operation of one recorded run, and judge what a disk may hold then.

    Args:
        mode: What the file system promises about names, see powercut.
        first: How many operations come before the first of these.
        singles: At each moment at most so many operations are lost alone, kept alone and torn alone.
        randoms: At each moment so many random combinations.
    """
    return single_threaded(_power_sweep, run, judge, mode, slice(first, None, every), seed, singles, randoms, upto, deadline_s)


def _power_sweep(
    run: Workload, judge: Judge, mode: Mode, which: slice, seed: int, singles: int, randoms: int, upto: int, deadline_s: float
) -> Report:
    name = f"power {mode} {_said(which)} seed={seed} singles={singles} randoms={randoms}"
    with _sweep(name, judge, upto, deadline_s) as sweep:
        whole = sweep.undisturbed(run)
        for state in states(whole, mode=mode, every=which.step, first=which.start, seed=seed, singles=singles, randoms=randoms):
            with sweep.folder() as folder:
                materialise(state.tree, folder)
                sweep.look(folder, state.what, state.at, state.acked)
        return sweep.report(whole)


def nested_sweep(
    run: Workload,
    recover: Recovery,
    judge: Judge,
    *,
    every: int = 1,
    first: int = 0,
    inner: int = 1,
    torn: bool = False,
    upto: int = 1,
    deadline_s: float = _DEADLINE_S,
) -> Report:
    """
    Kill the workload before each `every`-th operation, and then the recovery before each `inner`-th operation of its own.

    Args:
        first: Below every * inner; each leaves other points out, and all of them together none.
        recover: Opens and closes what the workload left; the judge comes after it was killed.
        torn: Kill the recovery in the middle of its writes, too.
    """
    return single_threaded(
        _nested_sweep, run, recover, judge, slice(first % every, None, every), slice(first // every, None, inner), torn, upto, deadline_s
    )


def _nested_sweep(
    run: Workload, recover: Recovery, judge: Judge, which: slice, inner: slice, torn: bool, upto: int, deadline_s: float
) -> Report:
    with _sweep(f"nested {_said(which)} recovery {_said(inner)} torn={torn}", judge, upto, deadline_s) as sweep:
        whole = sweep.undisturbed(run)
        for operation in whole.operations[which]:
            with sweep.folder() as left:
                hurt = trace(run, left, kill=Kill(before=operation.number), deadline_s=deadline_s)
                _kill_recoveries(sweep, partial(_recovering, recover), left, hurt, inner, torn)
        return sweep.report(whole)


def _recovering(recover: Recovery, folder: Path, acknowledge: Callable[[int], None]) -> None:
    del acknowledge  # a recovery commits nothing
    recover(folder)


def _kill_recoveries(sweep: _Sweep, recovering: Workload, left: Path, hurt: Run, inner: slice, torn: bool) -> None:
    at = hurt.struck.number if hurt.struck else len(hurt.operations)
    with sweep.folder(left) as folder:
        whole = trace(recovering, folder, deadline_s=sweep.deadline_s)
        what = f"killed before {hurt.struck}, recovery {whole.ending} {whole.error}".strip()
        sweep.look(folder, what, at, hurt.acked)
    for operation in whole.operations[inner]:
        for half in (False, True) if torn and operation.kind == "write" else (False,):
            with sweep.folder(left) as folder:
                again = trace(recovering, folder, kill=Kill(before=operation.number, torn=half), deadline_s=sweep.deadline_s)
                sweep.endings[again.ending] += 1
                what = f"killed before {hurt.struck}, its recovery {'in the middle of' if half else 'before'} {again.struck}"
                sweep.look(folder, what, at, hurt.acked)
