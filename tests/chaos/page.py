"""
The page of the last long run: reads what a night wrote down, keeps its sums, and writes docs/reliability.md from them.

    python -m tests.chaos.page [build/nightly.json]

Without a file it writes the page anew from the sums that were kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.chaos.__main__ import AREAS
from tests.chaos.nightly import MEASURES, ROOT, Night, Task

KEPT: Final = ROOT / "tests" / "chaos" / "night.json"
PAGE: Final = ROOT / "docs" / "reliability.md"
Sums = Mapping[str, Any]  # Any: as JSON has them
_HEAD: Final = """# What the long run found

Made by `python -m tests.chaos.page`. `python3 dev.py chaos --nightly --hours 8` kills processes and servers, cuts the power, fills disks,
refuses system calls, cancels, races, empties Redis and moves companies: each part in a process of its own, again and again with another
seed. This is what the last of these runs came to; [what must hold](acceptance.md) tells which part holds which case.

Wrong would be: anything acknowledged that is lost, a row of another company, a torn record, a read that is older than promised, a
connection that is not given back, an error that is none of ours, two stores that differ unseen.
"""


def main(arguments: Sequence[str]) -> None:
    """Write the page, of another run if one is named."""
    if arguments:
        kept = sums(Night.read(Path(arguments[0])), tasks())
        KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(json.loads(KEPT.read_text(encoding="utf-8"))), encoding="utf-8")


def tasks() -> list[Task]:
    """Every part there is."""
    return [Task(area=area, part=part.name, rounds=part.rounds) for area, parts in AREAS.items() for part in parts]


def sums(night: Night, wanted: Sequence[Task]) -> Sums:
    """What a night came to, by measure and by part; parts that it did not come to are told, too."""
    parts = list[Sums]()
    for task in wanted:
        rows = [row for row in night.rows if (row.area, row.part) == (task.area, task.part)]
        parts.append(
            {
                "area": task.area,
                "part": task.part,
                "rounds": night.rounds(task),
                "of": task.rounds,
                "judged": sum(row.states for row in rows),
                "failed": sum(not row.is_fine for row in rows),
                "seconds": round(sum(row.seconds for row in rows)),
                "said": rows[-1].came if rows and rows[-1].came.startswith("not here") else "",
            }
        )
    measures = [
        {"name": one.name, "wanted": one.wanted, "unit": one.unit, "seen": one.reached(night.rows), "failed": one.failures(night.rows)}
        for one in MEASURES
    ]
    return {"seed": night.seed, "about": night.about, "measures": measures, "parts": parts}


def page(kept: Sums) -> str:
    """The whole page as Markdown."""
    return "\n".join([_HEAD, *_run(kept), *_measures(kept["measures"]), *_parts(kept["parts"])])


def _run(kept: Sums) -> Iterator[str]:
    seconds = sum(one["seconds"] for one in kept["parts"])
    told = "; ".join(f"{name} {value}" for name, value in kept["about"].items())
    yield f"Seed {kept['seed']}, {seconds / 3_600:.1f} hours of parts one after another; {told}.\n"


def _measures(measures: Sequence[Sums]) -> Iterator[str]:
    yield "## By measure\n"
    yield from _table("what", "a night asks for", "seen", "wrong")
    for one in measures:
        yield f"| {one['name']} | {one['wanted']:,} {one['unit']} | {one['seen']:,} | {one['failed']} |"
    yield ""


def _parts(parts: Sequence[Sums]) -> Iterator[str]:
    yield "## By part\n\nA part whose rounds are not all there was stopped by the budget of time, and begins there again with `--resume`.\n"
    yield from _table("area", "part", "rounds", "judged", "rounds with a fault", "seconds")
    for one in parts:
        name = f"{one['part']} ({one['said']})" if one["said"] else one["part"]
        yield f"| {one['area']} | {name} | {one['rounds']} of {one['of']} | {one['judged']:,} | {one['failed']} | {one['seconds']:,} |"
    yield ""


def _table(*names: str) -> Iterator[str]:
    yield f"| {' | '.join(names)} |"
    yield f"|{' --- |' * len(names)}"


if __name__ == "__main__":
    main(sys.argv[1:])
