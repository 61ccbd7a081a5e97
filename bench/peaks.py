"""How much memory a process takes at its peak that does one thing alone, and how that grows with the records."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.bars import Bar, Finding, Samples

RECORD_BYTES: Final = 2_000  #: of each record that memory is measured with
MIB: Final = 1 << 20


async def peak_mib(what: str, data: Path, file: Path) -> float:
    """The largest resident set of a process that does nothing else; what: one of bench.child's jobs."""
    command = [sys.executable, "-m", "bench.child", what, str(data), str(file)]
    done = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, text=True)
    return int(done.stdout) / MIB


def growth(bar: Bar, peaks: dict[int, list[float]]) -> Finding:
    """How much more memory it takes for many records than for few."""
    (few, low), (many, high) = peaks.items()
    grown = tuple(larger - smaller for smaller, larger in zip(low, high, strict=True))
    note = f"{few:,} to {many:,} records of 2 kB; peak {min(low):.0f} to {max(high):.0f} MiB"
    return Finding(bar=bar, subject=Samples(name="growth", values=grown), note=note)
