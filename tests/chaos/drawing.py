"""What Hypothesis draws for every storage, at forty times the size of `test`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.chaos.parts import Finding, Orders, Part

_ROOT: Final = Path(__file__).resolve().parents[2]
_WHAT_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) .*$", re.MULTILINE)
_ON: Final = ("memory", "file", "postgres")
_KIT: Final = tuple(f"tests/contract/test_{name}.py" for name in _ON)


@frozen(kw_only=True)
class Drawn:
    """Tests that draw what they try."""

    files: tuple[str, ...]
    named: str  #: as pytest's -k has it
    each: int  #: what one test tries with the profile "full"


def _draw(drawn: Drawn, orders: Orders) -> Finding:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=full"),
            *(f"--hypothesis-seed={orders.seed}", "-k", drawn.named, *drawn.files),
        ],
        env={**os.environ},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    passed = re.search(r"(\d+) passed", done.stdout)
    failures = _WHAT_FAILED.findall(done.stdout) or ([done.stdout[-2_000:] + done.stderr[-2_000:]] if done.returncode else [])
    return Finding(states=drawn.each * int(passed[1]) if passed else 0, failures=failures)


_STEPS: Final = Drawn(files=("tests/contract/test_machine.py",), named="any_steps_in or any_steps_on", each=20_000)
_RECORDS: Final = Drawn(files=_KIT, named="comes_back_as_it_was", each=2_000)
_NAMES: Final = Drawn(files=_KIT, named="any_names_that_the_rules_allow", each=2_000)

PARTS: Final = (
    Part("any steps in several companies, on every storage", partial(_draw, _STEPS), rounds=17),
    Part("any records go in and come back, on every storage", partial(_draw, _RECORDS), rounds=84),
    Part("any names that the rules allow, on every storage", partial(_draw, _NAMES), rounds=84),
)
