"""A part of the long tests, what it is told, and what it found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import field, frozen

from tests.crash import Report


class NotHere(Exception):
    """This machine has not what the part needs; says what."""


@frozen(kw_only=True)
class Orders:
    """What all parts are told."""

    seed: int  #: the same seed draws the same
    minutes: float = 1.0  #: how long a part goes on that has no end of its own
    is_nightly: bool = False  #: all that the long run asks for in one run
    round: int = 0  #: of those that a part takes to be whole: another one goes to other points of a sweep
    tickets: int | None = None  #: that a company takes along when it moves; None: as many as each part has by itself
    samples: Path | None = None  #: a folder of real exports that it takes along, too
    kills: int | None = None  #: of processes that write, copy and move a company; None: as many as each part has by itself


@frozen(kw_only=True)
class Finding:
    """What a part tried, and what went wrong."""

    states: int  #: how many were judged
    failures: Sequence[str] = field(factory=tuple[str, ...])
    measured: str = ""  #: what there is to say besides: rates, and how much of what came about

    @classmethod
    def of(cls, report: Report) -> Finding:
        """What a sweep found."""
        nothing = () if report.states else ("no state was judged",)
        return cls(states=report.states, failures=(*nothing, *(f"{report.sweep}: {failure}" for failure in report.failures)))


@frozen
class Part:
    """One of the long tests."""

    name: str
    run: Callable[[Orders], Finding]
    rounds: int = 1  #: after how many, each with another seed, the long run has what it asks for; a single one is a whole one
