"""Documents of several runs as one: of each bar the newest figure, with the run that it is from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from attrs import asdict, field, frozen

from bench.bars import Bar, Verdict

Document = Mapping[str, Any]  # Any: what JSON holds
SMALL: Final = "quick"  #: the size of runs that are no measure: a tenth of the records


@frozen(kw_only=True)
class Taken:
    """A figure that some run took for a bar."""

    bar: Bar
    measured: float | None
    spread: tuple[float, float] | None
    reference: str
    note: str
    when: str

    @property
    def verdict(self) -> Verdict:
        """What it says of the bar as it is today."""
        return Verdict.NOT_HERE if self.measured is None else self.bar.verdict(self.measured)


@frozen(kw_only=True)
class Peer:
    """What one store took for a document, in seconds."""

    name: str  #: with its release
    middle: float
    least: float
    greatest: float


@frozen(kw_only=True)
class Compared:
    """The same work done by several stores, ours first."""

    name: str
    peers: Sequence[Peer]
    when: str

    @property
    def middles(self) -> Sequence[tuple[str, float]]:
        """What each store took, in the middle."""
        return [(one.name, one.middle) for one in self.peers]


@frozen(kw_only=True)
class Merged:
    """The newest figures, and what their runs say of the machine."""

    bars: Mapping[str, Document] = field(factory=dict[str, Document])
    peers: Mapping[str, Document] = field(factory=dict[str, Document])
    runs: Mapping[str, Document] = field(factory=dict[str, Document])  #: by when they were

    def taken(self, bar: Bar) -> Taken | None:
        """The newest figure of a bar; None where no run has one."""
        if (found := self.bars.get(bar.name)) is None:
            return None
        spread = found["spread"]
        return Taken(
            bar=bar,
            measured=found["measured"],
            spread=None if spread is None else (spread[0], spread[1]),
            reference=found["reference"],
            note=found["note"],
            when=found["when"],
        )

    def compared(self) -> Sequence[Compared]:
        """The newest comparison of each kind of work."""
        return [
            Compared(name=name, peers=[Peer(**one) for one in found["peers"]], when=found["when"]) for name, found in self.peers.items()
        ]

    def document(self) -> Document:
        """All of it, without the samples."""
        return asdict(self)


def merged(documents: Iterable[Document]) -> Merged:
    """Several documents as one, whole ones or what this made of them before; small runs are left out."""
    bars, peers, runs = dict[str, Document](), dict[str, Document](), dict[str, Document]()
    for one in sorted((_short(document) for document in documents), key=lambda short: max(short.runs, default="")):
        bars |= {name: found for name, found in one.bars.items() if _is_newer(found, bars.get(name))}
        peers |= {name: found for name, found in one.peers.items() if _is_newer(found, peers.get(name))}
        runs |= one.runs
    used = {found["when"] for found in (*bars.values(), *peers.values())}
    return Merged(bars=bars, peers=peers, runs={when: runs[when] for when in sorted(used)})


def read(paths: Iterable[Path]) -> list[Document]:
    """The documents in these files."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def _is_newer(found: Document, known: Document | None) -> bool:
    """Whether a figure replaces another: one that could not be taken replaces none."""
    return known is None or (found["when"] >= known["when"] and (found.get("measured", 0) is not None or known.get("measured", 0) is None))


def _short(document: Document) -> Merged:
    if "runs" in document:
        return Merged(bars=document["bars"], peers=document["peers"], runs=document["runs"])
    about = document["about"]
    if about.get("size") == SMALL:
        return Merged()
    when = about["when"]
    return Merged(
        bars={one["name"]: _short_bar(one, when) for one in document["bars"]},
        peers={one["name"]: _short_comparison(one, when) for one in document["peers"]},
        runs={when: about},
    )


def _short_bar(one: Document, when: str) -> Document:
    reference = one["samples"][1]["name"] if len(one["samples"]) > 1 else ""
    return {"measured": one["measured"], "spread": one["spread"], "reference": reference, "note": one["note"], "when": when}


def _short_comparison(one: Document, when: str) -> Document:
    return {"peers": [asdict(_peer(who["name"], who["values"])) for who in one["samples"]], "when": when}


def _peer(name: str, values: Sequence[float]) -> Peer:
    return Peer(name=name, middle=median(values), least=min(values), greatest=max(values))
