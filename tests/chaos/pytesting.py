"""Some of the tests, run by pytest in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.chaos.parts import Finding

_ROOT: Final = Path(__file__).resolve().parents[2]
_WHAT_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) .*$", re.MULTILINE)


def run_by_pytest(*words: str, seed: int, variables: Mapping[str, str] | None = None, each: int = 1) -> Finding:
    """What came of a call of pytest with these words; each: how many states a test that passed has seen."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--hypothesis-seed={seed}", *words],
        env={**os.environ, **(variables or {})},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    passed = re.search(r"(\d+) passed", done.stdout)
    failures = _WHAT_FAILED.findall(done.stdout) or ([done.stdout[-2_000:] + done.stderr[-2_000:]] if done.returncode else [])
    return Finding(states=each * int(passed[1]) if passed else 0, failures=failures)
