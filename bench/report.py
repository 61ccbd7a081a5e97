"""What a run found: a table for the terminal, one JSON document with every sample, and plots."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import asdict, frozen

from bench import plots
from bench.bars import TIMES, Finding, Samples, Verdict
from bench.peers import Comparison

_COLUMNS: Final = ("bar", "must", "aim", "measured", "least to greatest", "reference", "verdict")


@frozen(kw_only=True)
class Report:
    """All that a run found, and what it ran on."""

    about: Mapping[str, object]
    findings: Sequence[Finding]
    comparisons: Sequence[Comparison] = ()
    missing: Sequence[str] = ()  #: peers that are not installed

    @property
    def missed(self) -> int:
        """How many bars were measured and missed."""
        return sum(finding.verdict is Verdict.MISSED for finding in self.findings)

    def write(self, place: Path, name: str) -> list[Path]:
        """Keep the document and the plots; gives their paths."""
        place.mkdir(parents=True, exist_ok=True)
        document, chart = place / f"{name}.json", place / f"{name}.svg"
        document.write_text(json.dumps(self.document(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        chart.write_text(plots.bars(self.findings, str(self.about.get("when", ""))), encoding="utf-8")
        written = [document, chart]
        if self.comparisons:
            written.append(place / f"{name}-peers.svg")
            written[-1].write_text(plots.peers(self.comparisons), encoding="utf-8")
        return written

    def document(self) -> dict[str, object]:
        """Everything, raw samples included."""
        return {
            "about": dict(self.about),
            "bars": [_as_json(finding) for finding in self.findings],
            "peers": [asdict(comparison) for comparison in self.comparisons],
            "peers_missing": list(self.missing),
        }

    def lines(self) -> Iterator[str]:
        """The tables, a line at a time."""
        yield "; ".join(f"{name} {value}" for name, value in self.about.items())
        if self.findings:
            yield ""
            yield from table([_COLUMNS, *map(_row, self.findings)])
            yield ""
            yield from (f"{finding.bar.name}: {finding.note}" for finding in self.findings if finding.note)
        for comparison in self.comparisons:
            yield ""
            yield from table([(comparison.name, "a document", "least to greatest", "/ ours"), *_compared(comparison)])
        if self.missing:
            yield f"\nnot installed, so not compared: {', '.join(self.missing)} (docs/benchmarks.md says how)"


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows with their columns under one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(finding: Finding) -> tuple[str, ...]:
    bar = finding.bar
    sign = ">= " if bar.at_least else "<= "
    spread = finding.spread
    return (
        bar.name,
        sign + figure(bar.must, bar.unit),
        "" if bar.aim is None else sign + figure(bar.aim, bar.unit),
        "" if finding.measured is None else figure(finding.measured, bar.unit),
        "" if spread is None else f"{figure(spread[0], bar.unit)} to {figure(spread[1], bar.unit)}",
        finding.reference.name if finding.reference else "",
        finding.verdict.value,
    )


def figure(value: float, unit: str) -> str:
    """A figure with its unit, as short as it can be read."""
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{digits} {unit}" if unit != TIMES else digits


def _compared(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    ours = comparison.samples[0].middle
    for one in comparison.samples:
        yield one.name, in_us(one.middle), f"{in_us(min(one.values))} to {in_us(max(one.values))}", f"{one.middle / ours:.2f}"


def in_us(seconds: float) -> str:
    """Seconds as microseconds."""
    return f"{seconds * 1e6:,.0f} us"


def _as_json(finding: Finding) -> dict[str, object]:
    samples: list[Samples] = [one for one in (finding.subject, finding.reference) if one]
    return {
        **asdict(finding.bar),
        "measured": finding.measured,
        "spread": finding.spread,
        "verdict": finding.verdict.value,
        "note": finding.note,
        "samples": [asdict(one) for one in samples],
    }
