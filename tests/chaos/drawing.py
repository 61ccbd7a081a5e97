"""What Hypothesis draws for every storage, at forty times the size of `test`."""

from __future__ import annotations

from functools import partial
from typing import Final

from attrs import frozen

from tests.chaos.parts import Finding, Orders, Part
from tests.chaos.pytesting import run_by_pytest

_ON: Final = ("memory", "file", "postgres")
_KIT: Final = tuple(f"tests/contract/test_{name}.py" for name in _ON)


@frozen(kw_only=True)
class Drawn:
    """Tests that draw what they try."""

    files: tuple[str, ...]
    named: str  #: as pytest's -k has it
    each: int  #: what one test tries with the profile "full"


def _draw(drawn: Drawn, orders: Orders) -> Finding:
    return run_by_pytest("--hypothesis-profile=full", "-k", drawn.named, *drawn.files, seed=orders.seed, each=drawn.each)


_STEPS: Final = Drawn(files=("tests/contract/test_machine.py",), named="any_steps_in or any_steps_on", each=20_000)
_RECORDS: Final = Drawn(files=_KIT, named="comes_back_as_it_was", each=2_000)
_NAMES: Final = Drawn(files=_KIT, named="any_names_that_the_rules_allow", each=2_000)

PARTS: Final = (
    Part("any steps in several companies, on every storage", partial(_draw, _STEPS), rounds=17),
    Part("any records go in and come back, on every storage", partial(_draw, _RECORDS), rounds=84),
    Part("any names that the rules allow, on every storage", partial(_draw, _NAMES), rounds=84),
)
