"""
Each way to break a promise about crashes is found out, so that a green sweep means something; `chaos file` tries those that take longer.
"""

from __future__ import annotations

import pytest

from tests.file.catalogue import CASES, Case

QUICK = [case for case in CASES if case.mutant.is_quick]


def test_there_are_twelve_mutants_and_more_each_of_which_differs_from_the_source_as_it_is() -> None:
    assert len({case.mutant.name for case in CASES}) >= 12
    for case in CASES:
        assert case.mutant.misses() == [], case.mutant.name


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.mutant.name)
def test_a_mutant_is_found_out(case: Case, seed: int) -> None:
    said = case.search(case.mutant, seed)

    assert said is not None
