"""The long tests as a night takes them: every part in turn, within its time, and from where it stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve

from tests.chaos.__main__ import AREAS
from tests.chaos.nightly import MEASURES, NOTHING, Done, Measure, Night, Task, run, summary
from tests.chaos.page import KEPT, PAGE, page, sums


def a_row(part: str, number: int, *, states: int = 10, failures: tuple[str, ...] = (), code: int | None = 0) -> Done:
    return Done(area="file", part=part, round=number, seed=1, code=code, came="run", states=states, failures=failures)


@pytest.mark.parametrize("area", AREAS)
def test_each_part_of_an_area_has_a_name_of_its_own(area: str) -> None:
    names = [part.name for part in AREAS[area]]

    assert len({*names}) == len(names)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_what_a_night_measures_is_what_parts_are_for(measure: Measure) -> None:
    names = [part.name for parts in AREAS.values() for part in parts]

    assert [one for one in measure.parts if not any(name.startswith(one) for name in names)] == []


def test_a_night_without_time_begins_nothing_and_says_what_is_missing(tmp_path: Path) -> None:
    said = list[str]()

    code = run(
        Night(seed=7), [Task(area="file", part="hostile names", rounds=100)], hours=0, state=tmp_path / "night.json", say=said.append
    )

    assert code == 0
    assert any("hostile names" in line and "0/100" in line for line in said)
    assert any(line.startswith("hostile names") and "1,000,000" in line for line in said)


def test_a_part_that_ends_without_a_word_has_failed_and_the_night_can_be_gone_on_with(tmp_path: Path) -> None:
    state, task = tmp_path / "night.json", Task(area="file", part="there is none of this name", rounds=1)

    code = run(Night(seed=7), [task], hours=1, state=state, say=lambda _: None)

    night = Night.read(state)
    assert code == 1
    assert [(row.came, row.round, row.seed) for row in night.rows] == [(NOTHING, 0, 7)]
    assert (night.rounds(task), run(night, [task], hours=1, state=state, say=lambda _: None), len(night.rows)) == (1, 1, 1)


def test_what_was_wrong_is_counted_and_what_ran_out_of_time_is_not_done() -> None:
    rows = [a_row("hostile names", 0), a_row("hostile names", 1, failures=("two of one name",)), a_row("hostile names", 2, code=None)]
    night, task = Night(seed=7, rows=rows), Task(area="file", part="hostile names", rounds=100)

    lines = [*summary(night, [task])]

    (measured,) = (line.split() for line in lines if line.startswith("hostile names"))
    assert night.rounds(task) == 2
    assert measured[2:] == ["1,000,000", "30", "1", "names"]
    assert any("two of one name" in line and "seed 1, round 1" in line for line in lines)


def test_the_page_in_the_docs_shows_the_run_that_was_kept_and_nothing_else() -> None:
    kept = json.loads(KEPT.read_text(encoding="utf-8"))

    assert PAGE.read_text(encoding="utf-8") == page(kept), "write it anew: python -m tests.chaos.page"


def test_the_sums_of_a_run_name_what_it_did_not_come_to_and_what_is_not_here() -> None:
    here = Task(area="file", part="hostile names", rounds=100)
    absent = Task(area="postgres", part="behind a PgBouncer", rounds=1)
    rows = [a_row(here.part, 0), evolve(a_row(absent.part, 0, states=0), area="postgres", came="not here: no pooler")]

    found = sums(Night(seed=7, rows=rows), [here, absent, Task(area="file", part="a full disk", rounds=1)])

    assert [(one["rounds"], one["of"], one["judged"], one["said"]) for one in found["parts"]] == [
        (1, 100, 10, ""),
        (1, 1, 0, "not here: no pooler"),
        (0, 1, 0, ""),
    ]
    assert "| postgres | behind a PgBouncer (not here: no pooler) | 1 of 1 | 0 | 0 | 0 |" in page(found)
