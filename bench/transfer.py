"""Importing and exporting: how fast, against the bulk save alone, and with how much memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench.bars import EXPORT, EXPORT_MEMORY, IMPORT, IMPORT_MEMORY, Finding
from bench.measuring import Run, Subject, Trial, interleaved
from bench.peaks import RECORD_BYTES, growth, peak_mib
from bench.stores import fill, folder, opened, save_all
from bench.tickets import COMPANY, PLATFORM, units, write_lines
from deskstore.domain.records import Ticket
from deskstore.services.exporting import export_records
from deskstore.services.importing import import_records


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
            write_lines(files / f"{size}.ndjson", run.seed, size, size_bytes=RECORD_BYTES)
        for _ in range(run.rounds):
            for size in run.sizes.remembered:
                with folder(run) as place:
                    imports[size].append(await peak_mib("import", place / "data", files / f"{size}.ndjson"))
                    exports[size].append(await peak_mib("export", place / "data", place / "out.ndjson"))
    return [growth(IMPORT_MEMORY, imports), growth(EXPORT_MEMORY, exports)]
