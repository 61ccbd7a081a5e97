"""Every case of what must hold has tests that are there, and the page that lists them says the same."""

from __future__ import annotations

import pytest

from tests.acceptance import CONTRACT, MAP, PAGE, SUBJECTS, Case, Held, cases, page
from tests.chaos.__main__ import AREAS

FOUND = cases(MAP.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", FOUND, ids=[str(case.number) for case in FOUND])
def test_a_case_is_held_by_tests_that_are_there_or_waits_for_a_later_stage(case: Case) -> None:
    gone = [f"{test.path}::{test.name}" for test in case.tests if not test.is_there]

    assert gone == []
    assert bool(case.tests or case.chaos) != bool(case.later)


@pytest.mark.parametrize("case", [case for case in FOUND if case.chaos], ids=lambda case: str(case.number))
def test_a_part_of_chaos_that_holds_a_case_is_there(case: Case) -> None:
    parts = [part.name for parts in AREAS.values() for part in parts]

    assert [name for name in case.chaos if not any(part.startswith(name) for part in parts)] == []


def test_every_case_is_there_once_and_in_order() -> None:
    assert [case.number for case in FOUND] == [number for numbers in SUBJECTS.values() for number in numbers] == [*range(1, 94)]


def test_the_page_is_what_the_map_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(FOUND), "run `python -m tests.acceptance`"


def test_a_test_of_the_contract_is_found_in_the_kit_and_any_other_below_tests() -> None:
    (case,) = cases('[1]\npromise = "x"\ntests = ["contract/a.py::test_x", "file/b.py::test_y"]\n')

    assert [(test.path, test.name) for test in case.tests] == [(f"{CONTRACT}/a.py", "test_x"), ("tests/file/b.py", "test_y")]


def test_a_test_that_is_not_there_is_noticed() -> None:
    here = "tests/test_acceptance.py"

    assert Held(path=here, name="test_a_test_that_is_not_there_is_noticed").is_there
    assert not Held(path=here, name="test_nothing_of_the_kind").is_there
    assert not Held(path="tests/no_such_file.py", name="test_nothing_of_the_kind").is_there
