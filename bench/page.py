"""
One page of all figures: every bar that there is, with what was reached, and the peers; made from the documents of any number of runs.

    python3 dev.py bench page [DOCUMENT ...]

Without a document it takes all of bench/results. What was kept of earlier runs in bench/measured.json is merged with them; that file and
the page in docs are written anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench import plots
from bench.bars import Bar
from bench.merging import Compared, Document, Merged, Taken, merged, read
from bench.promised import ELSEWHERE, GROUPS, Elsewhere, Group
from bench.report import figure, in_us

ROOT: Final = Path(__file__).resolve().parent.parent
KEPT: Final = ROOT / "bench" / "measured.json"
DOCS: Final = ROOT / "docs"
NOT_MEASURED: Final = "not measured in these runs"
_HEAD: Final = ("bar", "must", "aim", "reached", "least to greatest", "against", "verdict", "run")
_BARS: Final = "figures.svg"
_PEERS: Final = "figures-peers.svg"
_TITLE: Final = """# The figures

Made by `python3 dev.py bench page`. [Benchmarks](benchmarks.md) tells how each is measured, and what the references are. Ratios travel from
one machine to another, absolute times do not.
"""


def write(documents: Sequence[Path], *, kept: Path = KEPT, docs: Path = DOCS) -> list[Path]:
    """Merge these documents with what was kept of earlier ones, and write the page; gives the paths of all that was written."""
    found = merged([*read([kept] if kept.exists() else []), *read(documents)])
    kept.write_text(json.dumps(found.document(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [kept, *write_page(found, docs)]


def write_page(found: Merged, folder: Path) -> list[Path]:
    """The page and its plots."""
    files = {"figures.md": page(found), _BARS: chart(found), _PEERS: plots.peers(found.compared())}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def chart(found: Merged) -> str:
    """All bars that were measured as one plot."""
    shown = [taken for group in GROUPS for bar in group.bars if (taken := found.taken(bar))]
    return plots.bars(shown, ", ".join(dict.fromkeys(one.when.partition(" ")[0] for one in shown)))


def page(found: Merged) -> str:
    """The whole page as Markdown."""
    numbers = {when: number for number, when in enumerate(found.runs, start=1)}
    parts = [
        _TITLE,
        "\n".join(_runs(found.runs)),
        f"![Every bar that was measured, as a share of what is allowed]({_BARS})\n",
        *("\n".join(_group(group, found, numbers)) for group in GROUPS),
        "\n".join(_elsewhere(ELSEWHERE)),
        "\n".join(_peers(found.compared(), numbers)),
    ]
    return "\n".join(parts)


def _runs(runs: Document) -> Iterator[str]:
    yield from _table(["run", "when", "on", "load before and after"])
    for number, about in enumerate(runs.values(), start=1):
        on = f"{about['system']}, {about['processors']} processors, {about['file_system']} (an fsync takes {about['fsync_ms']} ms)"
        releases = f"Python {about['python']}, SQLite {about['sqlite']}, deskstore {about['deskstore']}"
        yield _row([str(number), about["when"], f"{on}; {releases}", f"{about['load_before']}; {about['load_after']}"])
    yield ""


def _group(group: Group, found: Merged, numbers: dict[str, int]) -> Iterator[str]:
    yield f"## {group.title}\n\n`{group.command}`\n"
    taken = {bar.name: found.taken(bar) for bar in group.bars}
    yield from _table(_HEAD)
    for bar in group.bars:
        yield _row(_bar(bar, taken[bar.name], numbers))
    yield ""
    yield from (f"- {one.bar.name}: {one.note}" for one in taken.values() if one is not None and one.note)
    yield ""


def _bar(bar: Bar, taken: Taken | None, numbers: dict[str, int]) -> list[str]:
    sign = "at least " if bar.at_least else "at most "
    promised = [bar.name, sign + figure(bar.must, bar.unit), "" if bar.aim is None else figure(bar.aim, bar.unit)]
    if taken is None:
        return [*promised, NOT_MEASURED, "", "", "", ""]
    spread = "" if taken.spread is None else f"{figure(taken.spread[0], bar.unit)} to {figure(taken.spread[1], bar.unit)}"
    reached = "" if taken.measured is None else figure(taken.measured, bar.unit)
    return [*promised, reached, spread, taken.reference, taken.verdict.value, str(numbers[taken.when])]


def _elsewhere(rows: Sequence[Elsewhere]) -> Iterator[str]:
    yield "## Held by something else than the bench\n"
    yield from _table(["bar", "must", "held by"])
    yield from (_row([one.name, one.must, f"`{one.held_by}`"]) for one in rows)
    yield ""


def _peers(comparisons: Sequence[Compared], numbers: dict[str, int]) -> Iterator[str]:
    yield "## Peers\n\n`python3 dev.py bench peers`\n"
    yield "There are no bars for them, since [they promise other things](benchmarks.md#peers).\n"
    yield f"![What each peer took for a document, in multiples of deskstore's time]({_PEERS})\n"
    for one in comparisons:
        yield from _table([one.name, "a document", "least to greatest", "/ deskstore"])
        for peer in one.peers:
            ratio = f"{peer.middle / one.peers[0].middle:.2f}"
            yield _row([peer.name, in_us(peer.middle), f"{in_us(peer.least)} to {in_us(peer.greatest)}", ratio])
        yield f"\nRun {numbers[one.when]}.\n"


def _table(names: Sequence[str]) -> Iterator[str]:
    yield _row(names)
    yield _row(["---"] * len(names))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
