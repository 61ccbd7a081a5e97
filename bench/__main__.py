"""
`python3 dev.py bench`: measure what is promised, each subject interleaved with its reference in one run.

Writes one JSON document with every sample and the plots to bench/results/, and a table to the terminal. `bench all` writes a page of all
bars as well, and `bench page` makes one of the documents of several runs. Ends with 1 when a bar was missed.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import (
    backup,
    cache,
    following,
    machine,
    migration,
    page,
    peers,
    peers_postgres,
    postgres,
    processing,
    reading,
    saving,
    start,
    transfer,
)
from bench.bars import Finding
from bench.measuring import FULL, LEAST_ROUNDS, QUICK, USUAL, Part, Run
from bench.merging import merged
from bench.report import Report

HERE: Final = Path(__file__).resolve().parent
PARTS: Final[dict[str, Part]] = {
    "saving": saving.measure,
    "reading": reading.measure,
    "transfer": transfer.measure,
    "memory": transfer.measure_memory,
    "backup": backup.measure,
    "start": start.measure,
    "postgres": postgres.measure,
    "processing": processing.measure,
    "cache": cache.measure,
    "backfill": migration.measure,
    "following": following.measure,
    "moving-memory": migration.measure_memory,
}
GROUPS: Final = {"file": ("saving", "reading", "transfer", "memory"), "migration": ("backfill", "following", "moving-memory")}
PEERS: Final = "peers"
ALL: Final = "all"
PAGE: Final = "page"


def main(arguments: Sequence[str]) -> int:
    """The exit code of one run."""
    if arguments[:1] == [PAGE]:
        return _told(page.write([Path(one) for one in arguments[1:]] or sorted((HERE / "results").glob("*.json"))))
    options = _parser().parse_args(arguments)
    logging.getLogger("deskstore").setLevel(logging.CRITICAL)  # a rebuilt index is what is measured, and nothing to warn of
    place = Path(tempfile.mkdtemp(prefix="bench-", dir=options.dir))
    try:
        report = asyncio.run(_measured(options, place))
    finally:
        shutil.rmtree(place)
    print("\n".join(report.lines()))
    _told(_written(report, f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}-{'-'.join(options.parts or [ALL])}"))
    return 1 if report.missed else 0


def _written(report: Report, name: str) -> list[Path]:
    """The document and its plots, and of a run of everything a page of them."""
    written = report.write(HERE / "results", name)
    if not name.endswith(f"-{ALL}"):
        return written
    folder = HERE / "results" / name
    folder.mkdir()
    return [*written, *page.write_page(merged([report.document()]), folder)]


def _told(paths: Sequence[Path]) -> int:
    for path in paths:
        print(f"written: {path.relative_to(HERE.parent)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="dev.py bench", description="Measure what is promised; without a part: everything.")
    made.add_argument("parts", nargs="*", metavar="part", help=f"some of: {', '.join([ALL, *GROUPS, *PARTS, PEERS])}")
    size = made.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="sizes", action="store_const", const=QUICK, default=USUAL, help="a tenth of the records")
    size.add_argument("--full", dest="sizes", action="store_const", const=FULL, help="memory is measured up to a million records")
    made.add_argument("--rounds", type=int, default=LEAST_ROUNDS, help=f"of each subject, at least {LEAST_ROUNDS}")
    made.add_argument("--seed", type=int, default=1, help="of the tickets")
    made.add_argument("--dir", type=Path, default=HERE, help="a directory on the disk to measure")
    return made


def _parts(named: Sequence[str]) -> list[str]:
    grouped = {part for parts in GROUPS.values() for part in parts}
    everything = [*GROUPS, *(part for part in PARTS if part not in grouped), PEERS]
    wanted = everything if ALL in named or not named else [*named]
    unknown = {*wanted} - {*GROUPS, *PARTS, PEERS}
    if unknown:
        raise SystemExit(f"dev.py bench: there is no part {', '.join(sorted(unknown))}; choose from {', '.join([*GROUPS, *PARTS, PEERS])}")
    return wanted


async def _measured(options: argparse.Namespace, place: Path) -> Report:
    run = Run(
        place=place,
        seed=options.seed,
        sizes=options.sizes,
        rounds=max(options.rounds, LEAST_ROUNDS),
        fsync_ms=machine.fsync_ms(place),
    )
    about = {"when": f"{datetime.now(UTC):%Y-%m-%d %H:%M}", **machine.about(place), "seed": run.seed, "size": run.sizes.name}
    about["fsync_ms"] = round(run.fsync_ms, 2)
    before, parts = machine.load(), _parts(options.parts)
    findings: list[Finding] = []
    for name in [part for named in parts for part in GROUPS.get(named, (named,)) if part != PEERS]:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        findings += await PARTS[name](run)
    compared = [*await peers.measure(run), *await peers_postgres.measure(run)] if PEERS in parts else []
    about |= {"load_before": before, "load_after": machine.load()}
    absent = [*peers.missing(), *peers_postgres.missing()] if PEERS in parts else []
    return Report(about=about, findings=findings, comparisons=compared, missing=absent)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
