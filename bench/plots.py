"""
Plots as SVG, drawn with nothing but text: no dependency for a picture.

Both have a logarithmic scale, since what is compared differs by factors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from math import log10
from typing import Final, Protocol

from bench.bars import Bar, Verdict

_ROW: Final = 26  #: height of a row
_NAMES: Final = 400  #: width of the names
_FIELD: Final = 460  #: width of the field that is drawn on
_TOP: Final = 64
_COLOURS: Final = {Verdict.AIM: "#2e7d32", Verdict.MUST: "#1565c0", Verdict.MISSED: "#c62828", Verdict.NOT_HERE: "#9e9e9e"}
_TENTH: Final = -1.0  #: the left edge of a plot of bars: a tenth of what is allowed
_TENFOLD: Final = 1.0


class Reached(Protocol):
    """A bar and what was reached of it."""

    @property
    def bar(self) -> Bar:
        """The bar."""
        ...

    @property
    def measured(self) -> float | None:
        """The figure that is held against it."""
        ...

    @property
    def spread(self) -> tuple[float, float] | None:
        """What single rounds would have said."""
        ...

    @property
    def verdict(self) -> Verdict:
        """What the figure says of the bar."""
        ...


class Compared(Protocol):
    """The same work done by several stores."""

    @property
    def name(self) -> str:
        """The work."""
        ...

    @property
    def middles(self) -> Sequence[tuple[str, float]]:
        """What each took, ours first."""
        ...


def bars(findings: Sequence[Reached], title: str) -> str:
    """Every bar measured, as a share of what is allowed: left of the line is reached. Each round is a dot."""
    shown = [finding for finding in findings if finding.measured is not None and finding.bar.must]
    rows = (part for place, finding in enumerate(shown) for part in _bar_row(place, finding))
    return _document(len(shown), f"measured / allowed, left of the line is reached ({title})", [*_limit(len(shown)), *rows])


def peers(comparisons: Sequence[Compared]) -> str:
    """What each peer took for a document, in multiples of ours."""
    shares = [(f"{one.name}: {who}", took / one.middles[0][1]) for one in comparisons for who, took in one.middles]
    rows = (part for place, (name, share) in enumerate(shares) for part in _peer_row(place, name, share))
    return _document(len(shares), "time for a document / deskstore's, left of the line is faster", [*_limit(len(shares)), *rows])


def _bar_row(place: int, finding: Reached) -> Iterator[str]:
    colour = _COLOURS[finding.verdict]
    yield _name(place, finding.bar.name)
    yield from (_dot(place, _share(finding, figure), "#b0bec5") for figure in finding.spread or ())
    yield _dot(place, _share(finding, finding.measured or 0), colour, radius=6)
    if finding.bar.aim:
        yield _tick(place, _share(finding, finding.bar.aim))


def _share(finding: Reached, figure: float) -> float:
    """A figure as a share of what is allowed, so that less is better for every bar."""
    if finding.bar.at_least:
        return finding.bar.must / figure if figure > 0 else 10**_TENFOLD
    return figure / finding.bar.must


def _peer_row(place: int, name: str, share: float) -> Iterator[str]:
    yield _name(place, name)
    yield _dot(place, share, "#1565c0", radius=6)
    yield f'<text x="{_x(share) + 10:.1f}" y="{_y(place) + 4}" font-size="11">{share:.2f}</text>'


def _document(rows: int, title: str, parts: Iterable[str]) -> str:
    width, height = _NAMES + _FIELD + 60, _TOP + rows * _ROW + 20
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" font-family="sans-serif" font-size="13">'
    )
    ground = f'<rect width="{width}" height="{height}" fill="white"/><text x="12" y="24" font-size="15">{escape(title)}</text>'
    return "\n".join([head, ground, *_scale(), *parts, "</svg>", ""])


def _scale() -> Iterator[str]:
    for share in (0.1, 0.2, 0.5, 1, 2, 5, 10):
        yield f'<text x="{_x(share):.1f}" y="{_TOP - 12}" font-size="11" text-anchor="middle" fill="#546e7a">{share:g}</text>'


def _limit(rows: int) -> Iterator[str]:
    x = _x(1)
    yield f'<line x1="{x:.1f}" y1="{_TOP - 6}" x2="{x:.1f}" y2="{_TOP + rows * _ROW}" stroke="#37474f"/>'


def _name(place: int, text: str) -> str:
    return f'<text x="12" y="{_y(place) + 4}">{escape(text)}</text>'


def _dot(place: int, share: float, colour: str, *, radius: int = 3) -> str:
    return f'<circle cx="{_x(share):.1f}" cy="{_y(place)}" r="{radius}" fill="{colour}"/>'


def _tick(place: int, share: float) -> str:
    x = _x(share)
    return f'<line x1="{x:.1f}" y1="{_y(place) - 8}" x2="{x:.1f}" y2="{_y(place) + 8}" stroke="#2e7d32" stroke-dasharray="3 2"/>'


def _x(share: float) -> float:
    depth = min(max(log10(share) if share > 0 else _TENTH, _TENTH), _TENFOLD)
    return _NAMES + (depth - _TENTH) / (_TENFOLD - _TENTH) * _FIELD


def _y(place: int) -> int:
    return _TOP + place * _ROW + _ROW // 2
