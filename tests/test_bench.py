"""What the bench says of its figures: every bar has a place on the page, and the page says what was measured and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import bars
from bench.__main__ import PARTS
from bench.bars import Bar, Finding, Samples, Verdict
from bench.merging import Merged, merged
from bench.page import DOCS, KEPT, NOT_MEASURED, page, write
from bench.promised import ELSEWHERE, GROUPS
from bench.report import Report

EVERY_BAR = [bar for bar in vars(bars).values() if isinstance(bar, Bar)]
MACHINE = {"python": "3", "sqlite": "3", "deskstore": "1", "system": "Linux", "processors": 2, "file_system": "ext4", "fsync_ms": 1.0}


def a_document(when: str, *findings: Finding, size: str = "usual") -> Mapping[str, Any]:
    """What a run writes."""
    about = {**MACHINE, "when": when, "size": size, "load_before": "0", "load_after": "0"}
    return json.loads(json.dumps(Report(about=about, findings=findings).document()))  # type: ignore[no-any-return] # as JSON gives it


def a_finding(bar: Bar, figure: float) -> Finding:
    return Finding(
        bar=bar, subject=Samples(name="ours", values=(figure, 2 * figure, figure)), reference=Samples(name="theirs", values=(1, 1, 1))
    )


def test_every_bar_stands_in_one_group_and_each_group_is_a_part_of_the_bench() -> None:
    grouped = [bar for group in GROUPS for bar in group.bars]

    assert sorted(bar.name for bar in grouped) == sorted(bar.name for bar in EVERY_BAR)
    assert len({bar.name for bar in grouped}) == len(grouped)
    assert {group.part for group in GROUPS} == {*PARTS}


def test_every_bar_has_its_line_on_the_page_and_says_so_where_nothing_was_measured() -> None:
    text = page(Merged())

    for bar in EVERY_BAR:
        (line,) = [line for line in text.splitlines() if line.startswith(f"| {bar.name.replace('|', chr(92) + '|')} |")]
        assert NOT_MEASURED in line
    assert all(f"| {one.name} |" in text for one in ELSEWHERE)


def test_of_several_runs_the_newest_figure_counts_with_the_run_it_is_from() -> None:
    old = a_document("2026-01-01 10:00", a_finding(bars.FIND, 9.0), a_finding(bars.UNIT_OF_3, 1.5))
    new = a_document("2026-01-02 10:00", a_finding(bars.FIND, 1.25))

    found = merged([new, old])

    assert [(one.measured, one.when) for bar in (bars.FIND, bars.UNIT_OF_3) if (one := found.taken(bar))] == [
        (1.25, "2026-01-02 10:00"),
        (1.5, "2026-01-01 10:00"),
    ]
    assert [*found.runs] == ["2026-01-01 10:00", "2026-01-02 10:00"]
    assert "| find / SQLite in a thread | at most 3 | 2 | 1.25 | 1.25 to 2.5 | theirs | aim reached | 2 |" in page(found)


def test_neither_a_small_run_nor_one_that_could_not_measure_replaces_a_figure() -> None:
    first = a_document("2026-01-01 10:00", a_finding(bars.FIND, 2.5))
    small = a_document("2026-01-02 10:00", a_finding(bars.FIND, 1.0), size="quick")
    unable = a_document("2026-01-03 10:00", Finding(bar=bars.FIND, note="no such disk here"))

    taken = merged([first, small, unable]).taken(bars.FIND)

    assert taken is not None
    assert (taken.measured, taken.verdict) == (2.5, Verdict.MUST)


def test_what_was_kept_of_earlier_runs_is_merged_with_what_is_new(tmp_path: Path) -> None:
    kept, written = tmp_path / "measured.json", list[Path]()
    for number, bar in enumerate((bars.FIND, bars.OPEN), start=1):
        document = tmp_path / f"{number}.json"
        document.write_text(json.dumps(a_document(f"2026-01-0{number} 10:00", a_finding(bar, 2.5))), encoding="utf-8")
        written = write([document], kept=kept, docs=tmp_path)

    found = merged([json.loads(kept.read_text(encoding="utf-8"))])

    assert [path.name for path in written] == ["measured.json", "figures.md", "figures.svg", "figures-peers.svg"]
    assert [bar.name for bar in EVERY_BAR if found.taken(bar)] == [bars.FIND.name, bars.OPEN.name]
    assert (tmp_path / "figures.md").read_text(encoding="utf-8") == page(found)


def test_the_page_in_the_docs_shows_the_figures_that_were_kept_and_no_others() -> None:
    found = merged([json.loads(KEPT.read_text(encoding="utf-8"))])

    assert (DOCS / "figures.md").read_text(encoding="utf-8") == page(found), "write it anew: python3 dev.py bench page"


@pytest.mark.parametrize("bar", [bars.FIND, bars.LISTING], ids=lambda bar: bar.name)
def test_the_verdict_is_the_one_of_the_bar_as_it_is_today(bar: Bar) -> None:
    document = a_document("2026-01-01 10:00", a_finding(bar, bar.must if not bar.at_least else 1 / bar.must))

    taken = merged([document]).taken(bar)

    assert taken is not None
    assert taken.verdict is Verdict.MUST
