"""
A company of very many tickets is copied from files to PostgreSQL and compared, by processes that must not grow with it.

Run by itself it goes on where an earlier run in the same directory and database was cut off:
`python -m tests.chaos.large --records 1000000 --dir DIR --database URL [--seed S]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import Factory, define, field

from deskstore.adapters.embedded.postgres import PostgresServer
from tests.chaos.imports import COMPANY, PLATFORM, payloads
from tests.chaos.parts import Finding, Orders, Part
from tests.postgres.preparing import MAJORS, prepare
from tests.servers.databases import databases_on

FEW: Final = 10_000
MANY: Final = 1_000_000
_BY_DAY: Final = 30_000
PEAK_MIB: Final = 96.0
GROWTH_MIB: Final = 8.0
#: starts a command from a small process, whose size alone it inherits as its own largest, and writes down what that was
_LAUNCH: Final = """
import os, pathlib, subprocess, sys
running = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(running.pid, 0)
pathlib.Path(sys.argv[1]).write_text(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""
_STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "start": ("migrate", "start", "--company", COMPANY, "--no-backup"),
    "verify": ("migrate", "verify", "--company", COMPANY),
}


@define(kw_only=True)
class Copied:
    """What copying a company came to."""

    records: int
    folder: Path
    database: str
    peaks_mib: dict[str, float] = Factory(dict[str, float])  #: the largest resident set of each step
    seconds: dict[str, float] = Factory(dict[str, float])
    failures: list[str] = Factory(list[str])
    _said: dict[str, Any] = field(init=False, default=Factory(dict[str, "Any"]))  # Any: JSON

    def copy(self, seed: int) -> None:
        """Import, copy and compare, each by a command of its own."""
        source = self.folder / "tickets.ndjson"
        if not source.exists():
            _write(source, seed, self.records)
        self._run("import", "import", str(source), "--company", COMPANY, "--platform", PLATFORM)
        for name, words in _STEPS.items():
            self._run(name, *words)
        (verified,) = self._said["companies"]
        if not verified["verified"] or verified["counts"]["ticket"] != {"primary": self.records, "mirror": self.records}:
            self.failures.append(f"{self.records:,} records: {verified['different']} differ, {verified['counts']}")

    def _run(self, name: str, *words: str) -> None:
        began_s = time.monotonic()
        environment = {**os.environ, "DATA_PATH": str(self.folder / "data"), "DATABASE_URL": self.database}
        peak = self.folder / f"{name}.peak"
        command = [sys.executable, "-S", "-c", _LAUNCH, str(peak), sys.executable, "-m", "deskstore.cli", "--json", *words]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
        if done.returncode not in (0, 1):
            raise ChildProcessError(f"{name} ended with {done.returncode}")
        self._said = json.loads(done.stdout)
        self.peaks_mib[name] = max(int(peak.read_text(encoding="ascii")) / 1024, self.peaks_mib.get(name, 0.0))
        self.seconds[name] = time.monotonic() - began_s

    def __str__(self) -> str:
        """A line that says all of it."""
        steps = ", ".join(f"{name} {self.peaks_mib[name]:.1f} MiB in {self.seconds[name]:.0f} s" for name in self.seconds)
        return f"{self.records:,} records: {steps}"


def _write(source: Path, seed: int, records: int) -> None:
    whole = source.with_suffix(".part")
    with whole.open("wb") as file:
        file.writelines(payload + b"\n" for _, payload in payloads(seed, records))
    whole.rename(source)


def too_much(few: Copied, many: Copied) -> list[str]:
    """Where a step took more memory than it may, or more for more records."""
    found = [f"{name} took {peak:.1f} MiB" for name, peak in many.peaks_mib.items() if name in _STEPS and peak > PEAK_MIB]
    grown = {name: many.peaks_mib[name] - few.peaks_mib[name] for name in _STEPS}
    return [*found, *(f"{name} took {more:.1f} MiB more for {many.records:,} records" for name, more in grown.items() if more > GROWTH_MIB)]


def _flat(orders: Orders) -> Finding:
    return asyncio.run(_compared(orders.tickets or (MANY if orders.is_nightly else _BY_DAY), orders.seed))


async def _compared(most: int, seed: int) -> Finding:
    copied: list[Copied] = []
    with PostgresServer(major=MAJORS[-1]) as server:
        for records in (min(FEW, most), most):
            async with databases_on(server) as databases, databases.fresh() as database:
                await prepare(database)
                with tempfile.TemporaryDirectory(prefix="deskstore-large-") as folder:
                    copied.append(Copied(records=records, folder=Path(folder), database=database.app_url))
                    await asyncio.to_thread(copied[-1].copy, seed)
    failures = [failure for one in copied for failure in one.failures] + too_much(*copied)
    return Finding(states=sum(one.records for one in copied), failures=failures, measured="; ".join(map(str, copied)))


PARTS: Final = (Part("very many records in flat memory", _flat),)


def main() -> None:
    """Copy one company and say how large the processes were; exit status 1 when the two sides differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=MANY)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--database", required=True, help="with deskstore's schema, as its application role")
    given = parser.parse_args()
    given.dir.mkdir(parents=True, exist_ok=True)
    copied = Copied(records=given.records, folder=given.dir, database=given.database)
    copied.copy(given.seed)
    sys.stdout.write(f"seed {given.seed}: {copied}\n")
    sys.exit("; ".join(copied.failures) or None)


if __name__ == "__main__":
    main()
