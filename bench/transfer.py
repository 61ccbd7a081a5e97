"""Importing and exporting: how fast, against the bulk save alone, and with how much memory."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench.bars import EXPORT, EXPORT_MEMORY, IMPORT, IMPORT_MEMORY, Bar, Finding, Samples
from bench.measuring import Run, Subject, Trial, interleaved
from bench.stores import fill, folder, opened, save_all
from bench.tickets import COMPANY, PLATFORM, units, write_lines
from deskstore.domain.records import Ticket
from deskstore.services.exporting import export_records
from deskstore.services.importing import import_records

_RECORD_BYTES = 2_000
_MIB = 1 << 20


async def measure(run: Run) -> list[Finding]:
    """The rates."""
    batches = list(units(run.seed, run.sizes.moved))
    with folder(run) as place:
        lines = place / "tickets.ndjson"
        write_lines(lines, run.seed, run.sizes.moved)
        await fill(place / "kept", run.seed, run.sizes.moved, COMPANY)
        subjects = {
            "import": _importing(run, lines),
            "bulk save": _saving(run, batches),
            "export": _exporting(place / "kept", place / "out.ndjson"),
        }
        taken = await interleaved(subjects, run.rounds)
    note = f"{run.sizes.moved:,} tickets"
    return [
        Finding(bar=IMPORT, subject=taken["import"], reference=taken["bulk save"], note=note),
        Finding(bar=EXPORT, subject=taken["export"], reference=taken["bulk save"], note=note),
    ]


def _importing(run: Run, lines: Path) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial, None]:
        with folder(run) as place:
            yield lambda: import_lines(place, lines)

    return subject


def _saving(run: Run, batches: Sequence[Sequence[Ticket]]) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial, None]:
        with folder(run) as place:
            yield lambda: save_all(place, batches)

    return subject


def _exporting(data: Path, out: Path) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial, None]:
        yield lambda: export_lines(data, out)
        await asyncio.to_thread(out.unlink)

    return subject


async def import_lines(data: Path, lines: Path) -> None:
    """Import a file of tickets."""
    async with opened(data) as storage:
        report = await import_records(storage, COMPANY, PLATFORM, [lines], kind="ticket")
    if report.rejected or not report.created:
        raise ValueError(f"the import took {report.created} of {report.records} tickets")


async def export_lines(data: Path, out: Path) -> None:
    """Export all tickets to a file."""
    async with opened(data) as storage:
        await export_records(storage, COMPANY, out)


# -- memory --------------------------------------------------------------------------------------------------------------------------------


async def measure_memory(run: Run) -> list[Finding]:
    """How much more memory it takes at its peak to move many records than to move few."""
    imports: dict[int, list[float]] = {size: [] for size in run.sizes.remembered}
    exports: dict[int, list[float]] = {size: [] for size in run.sizes.remembered}
    with folder(run) as files:
        for size in run.sizes.remembered:
            write_lines(files / f"{size}.ndjson", run.seed, size, size_bytes=_RECORD_BYTES)
        for _ in range(run.rounds):
            for size in run.sizes.remembered:
                with folder(run) as place:
                    imports[size].append(await _peak("import", place / "data", files / f"{size}.ndjson"))
                    exports[size].append(await _peak("export", place / "data", place / "out.ndjson"))
    return [_growth(IMPORT_MEMORY, imports), _growth(EXPORT_MEMORY, exports)]


async def _peak(what: str, data: Path, file: Path) -> float:
    """The largest resident set, in MiB, of a process that does nothing else."""
    command = [sys.executable, "-m", "bench.child", what, str(data), str(file)]
    done = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, text=True)
    return int(done.stdout) / _MIB


def _growth(bar: Bar, peaks: dict[int, list[float]]) -> Finding:
    (few, low), (many, high) = peaks.items()
    grown = tuple(larger - smaller for smaller, larger in zip(low, high, strict=True))
    note = f"{few:,} to {many:,} records of 2 kB; peak {min(low):.0f} to {max(high):.0f} MiB"
    return Finding(bar=bar, subject=Samples(name="growth", values=grown), note=note)
