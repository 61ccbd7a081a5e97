"""
Does a program survive being killed, failing disks and power cuts, at every single change it makes to its files?

The engine runs a *workload* in a child process that stops before each change it makes below one folder, whichever of its threads and
children makes it and whether Python or SQLite does. There it is killed (kill_sweep), refused with an error (fail_sweep), or recorded, to
work out what a disk may hold if the power is lost at that moment (power_sweep). A *judge* then says whether what is left is right.
nested_sweep kills the recovery from each kill as well. It needs Linux on x86_64 or aarch64, but no root, no compiler and no other tool.

    def run(folder: Path, acknowledge: Callable[[int], None]) -> None:
        with Store(folder) as store:                    # the folder is empty
            for unit in range(1, 7):
                store.commit(changes(unit))
                acknowledge(unit)                       # from here on this unit must never be lost

    def judge(folder: Path, acked: int, upto: int) -> str | None:
        with Store(folder) as store:                    # recovery runs
            allowed = [expected(unit) for unit in range(acked, min(acked + upto, 6) + 1)]
            if store.everything() not in allowed:
                return f"{store.everything()} is none of the states allowed after {acked}"
            store.commit({"one": "more"})
        return None                                     # None: nothing is wrong

    report = power_sweep(run, judge, mode="strict", every=3, seed=seed)
    assert report.ok, report

The contract:

- Units are numbered from 1 and acknowledged in that order. What the judge may find is the state after unit j, for one j from `acked` to
  `acked + upto`; `upto`, 1 by default, is how many units the workload has under way at once.
- run and judge are called once for every point, each time in a new child process: they may start threads, event loops and processes, and
  need not clean up. run may raise: a failed commit may end it, or it may go on with what follows. What it leaves is judged all the same.
- A judge that raises, dies or hangs finds the state wrong. A workload that hangs, or dies of itself, is a failure, whatever it leaves. One
  that fails, or is judged wrong, when nobody hurts it is WorkloadBroken.
- All imports belong to the top of the module: children are forked, and what is loaded once is loaded for all of them. If the calling
  process has threads (an event loop that ran to_thread leaves some), the sweep takes place in a fresh interpreter, so give functions of a
  module or instances of its classes, not lambdas.
- Numbers of operations repeat from run to run as far as the workload does: threads may change places. A point that was not reached in a run
  is judged as the whole run.
- Before each sweep the recorded operations are added up and compared with what the folder holds: a change that nobody saw is Escaped. So
  are a shared writable mapping of a file (but SQLite's -shm), io_uring and whatever else writes without a call of its own. A mapping made
  writable only later, by mprotect, and changes of mode, owner and time stamps are not seen.
- Child and tracer share one processor: they take turns, and this is three times as fast.

`trace` is a single run, for looking at its operations: `Run.operations`, `Run.kinds`, `Run.ending`. toys.py has small stores with known
faults; a sweep that passes for what should fail proves nothing, so run one of these beside your own.
"""

from tests.crash.errors import CrashEngineError, Escaped, ManyThreads, TracingRefused, WorkloadBroken
from tests.crash.judging import Judge
from tests.crash.operations import SPACE_TAKING, SYNCING, Kind, Operation
from tests.crash.powercut import Mode, State, check_nothing_escaped, materialise, states
from tests.crash.sweep import Failure, Recovery, Report, fail_sweep, kill_sweep, nested_sweep, power_sweep
from tests.crash.tracer import Entry, Fail, Kill, Run, Workload, trace

__all__ = [
    "SPACE_TAKING",
    "SYNCING",
    "CrashEngineError",
    "Entry",
    "Escaped",
    "Fail",
    "Failure",
    "Judge",
    "Kill",
    "Kind",
    "ManyThreads",
    "Mode",
    "Operation",
    "Recovery",
    "Report",
    "Run",
    "State",
    "TracingRefused",
    "Workload",
    "WorkloadBroken",
    "check_nothing_escaped",
    "fail_sweep",
    "kill_sweep",
    "materialise",
    "nested_sweep",
    "power_sweep",
    "states",
    "trace",
]
