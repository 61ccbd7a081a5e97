"""Run a function in a fresh interpreter, where this one has threads that a fork would lose."""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from tests.crash.errors import CrashEngineError, ManyThreads

P = ParamSpec("P")
R = TypeVar("R")


def thread_count() -> int:
    """How many threads this process has, those of C libraries included."""
    return len(os.listdir("/proc/self/task"))


def single_threaded(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """
    Call a function here if this process has one thread, else in a fresh interpreter.

    Raises:
        ManyThreads: A fresh interpreter is needed, but what was given cannot be taken there: it is not found by its name in a module.
        CrashEngineError: What the function raised of these; anything else it raised comes wrapped in one.
    """
    if thread_count() == 1:
        return function(*args, **kwargs)
    try:
        work = pickle.dumps(partial(function, *args, **kwargs))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ManyThreads(f"this process has threads, so the workload and its judge must be functions of a module: {error}") from error
    answer = _elsewhere(work)
    if isinstance(answer, CrashEngineError):
        raise answer
    # what was pickled there is what the function returns
    result: R = answer
    return result


def _elsewhere(work: bytes) -> Any:  # Any: whatever the function returns
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "work"), Path(folder, "answer")
        given.write_bytes(work)
        code = f"from {__name__} import answer; answer({str(given)!r}, {str(found)!r})"
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        ended = subprocess.run(
            [sys.executable, "-c", code], check=False, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
        )
        if ended.returncode:
            raise CrashEngineError(f"the fresh interpreter failed: {ended.stderr}")
        return pickle.loads(found.read_bytes())  # noqa: S301 - written by ourselves a moment ago


def answer(given: str, found: str) -> None:
    """In the fresh interpreter: do the work and leave what came of it."""
    work: Callable[[], object] = pickle.loads(Path(given).read_bytes())  # noqa: S301 - written by the process that started this one
    try:
        result = work()
    except CrashEngineError as error:
        result = error
    Path(found).write_bytes(pickle.dumps(result))
