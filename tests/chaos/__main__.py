"""Run the long tests and print what came of each; Ctrl-C prints what was done so far."""

from __future__ import annotations

import argparse
import json
import logging
import random
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.chaos import cache, cancelling, crashing, drawing, file, following, isolation, keeping, moving, nightly, pooling, processing
from tests.chaos.parts import Finding, NotHere, Orders, Part

AREAS: Final[Mapping[str, Sequence[Part]]] = {
    "storages": drawing.PARTS,
    "file": file.PARTS,
    "postgres": [*isolation.PARTS, *crashing.PARTS, *cancelling.PARTS, *following.PARTS, *pooling.PARTS, *keeping.PARTS],
    "processing": processing.PARTS,
    "cache": cache.PARTS,
    "hybrid": moving.PARTS,
}
_SHOWN: Final = 5


@frozen(kw_only=True)
class Row:
    """What came of one part."""

    area: str
    part: str
    came: str  #: "run", or "not here" and why
    finding: Finding
    seconds: float

    def __str__(self) -> str:
        """A line of the table."""
        numbers = f"{self.finding.states:>9,} {len(self.finding.failures):>7} {self.seconds:>8.1f}"
        measured = f": {self.finding.measured}" if self.finding.measured else ""
        return f"{self.area:10} {self.part:52} {numbers}  {self.came}{measured}"

    def document(self) -> Mapping[str, object]:
        """What another program reads."""
        found = {"states": self.finding.states, "failures": [*self.finding.failures], "measured": self.finding.measured}
        return {"area": self.area, "part": self.part, "came": self.came, "seconds": self.seconds, **found}


def main(arguments: Sequence[str]) -> int:
    """The exit code: 1 if anything failed, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    wanted = [(area, part) for area in options.areas or AREAS for part in AREAS[area] if _is_meant(part, options)]
    if options.nightly:
        return _all_night(options, wanted)
    orders = Orders(
        seed=options.seed,
        minutes=options.minutes,
        is_nightly=options.whole,
        round=options.round,
        tickets=options.tickets,
        samples=options.samples,
        kills=options.kills,
    )
    logging.disable(logging.CRITICAL)  # the faults are made on purpose
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what it runs in the background deaf to Ctrl-C
    rows = list[Row]()
    _say(f"seed {orders.seed}: repeat with --seed {orders.seed}")
    try:
        for area, part in wanted:
            rows.append(_tried(area, part, orders))
            _say(str(rows[-1]))
            _report(options.report, rows)
    except KeyboardInterrupt:
        _summarise(rows, orders, unfinished=len(wanted) - len(rows))
        return 130
    _summarise(rows, orders, unfinished=0)
    return 1 if any(row.finding.failures for row in rows) else 0


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="dev.py chaos", description=__doc__)
    made.add_argument("areas", nargs="*", choices=[*AREAS, []], metavar="AREA", help=f"{', '.join(AREAS)}; all of them if none is named")
    made.add_argument("--minutes", type=float, default=1.0, help="how long parts go on that have no end of their own")
    made.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32), help="draw as an earlier run did")
    made.add_argument("--whole", action="store_true", help="much more of what one run has to see at once")
    made.add_argument("--round", type=int, default=0, metavar="N", help="of a sweep, other points than an earlier round")
    made.add_argument("--tickets", type=int, metavar="N", help="how many a company takes along when it moves")
    made.add_argument("--samples", type=Path, metavar="DIR", help="a folder of real exports that it takes along, too")
    made.add_argument("--kills", type=int, metavar="N", help="how many processes that write, copy and move a company are killed")
    made.add_argument("--only", default="", metavar="TEXT", help="the parts whose names hold this text")
    made.add_argument("--exactly", metavar="NAME", help="the part of this name")
    made.add_argument("--report", type=Path, metavar="FILE", help="what came of it, as JSON")
    night = made.add_argument_group("the long run: every part in turn, again and again, each in a process of its own")
    night.add_argument("--nightly", action="store_true", help="as often as the table of what must hold asks for")
    night.add_argument("--hours", type=float, default=8.0, help="after which nothing more is begun")
    night.add_argument("--resume", type=Path, metavar="FILE", help="go on with a run that was interrupted")
    return made


def _is_meant(part: Part, options: argparse.Namespace) -> bool:
    return part.name == options.exactly if options.exactly else options.only in part.name


def _all_night(options: argparse.Namespace, wanted: Sequence[tuple[str, Part]]) -> int:
    tasks = [nightly.Task(area=area, part=part.name, rounds=part.rounds) for area, part in wanted]
    night = nightly.Night.read(options.resume) if options.resume else nightly.Night.new(options.seed)
    return nightly.run(night, tasks, hours=options.hours, state=options.resume or nightly.STATE, say=_say)


def _report(path: Path | None, rows: Sequence[Row]) -> None:
    if path is not None:
        path.write_text(json.dumps([row.document() for row in rows], indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _tried(area: str, part: Part, orders: Orders) -> Row:
    began, came = time.monotonic(), "run"
    try:
        finding = part.run(orders)
    except NotHere as reason:
        finding, came = Finding(states=0), f"not here: {reason}"
    except Exception:  # noqa: BLE001 - whatever a part raises is what it found, and the others still run
        finding = Finding(states=0, failures=(traceback.format_exc(),))
    return Row(area=area, part=part.name, came=came, finding=finding, seconds=time.monotonic() - began)


def _summarise(rows: Sequence[Row], orders: Orders, *, unfinished: int) -> None:
    _say(f"\n{'area':10} {'part':52} {'states':>9} {'failed':>7} {'seconds':>8}  seed {orders.seed}")
    for row in rows:
        _say(str(row))
    for row in rows:
        for failure in row.finding.failures[:_SHOWN]:
            _say(f"\n{row.area} {row.part}: {failure}")
    if unfinished:
        _say(f"\ninterrupted: {unfinished} parts were not finished")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
