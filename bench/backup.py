"""Backups: how large, how fast they are checked, and with how much memory they are taken, checked and restored."""

from __future__ import annotations

import asyncio
import tarfile
import time
from pathlib import Path

import zstandard

from bench.bars import BACKUP_CHECK, BACKUP_MEMORY, BACKUP_SIZE, CHECK_MEMORY, RESTORE_MEMORY, Finding, Samples
from bench.measuring import Run, settle
from bench.peaks import MIB, RECORD_BYTES, growth, peak_mib
from bench.stores import fill, folder, opened
from bench.tickets import COMPANY, write_lines
from bench.transfer import import_lines
from deskstore.services.backup import check_backup, create_backup, restore_backup


async def measure(run: Run) -> list[Finding]:
    """Everything about backups."""
    return [await _size(run), await _rate(run), *await _memory(run)]


async def _size(run: Run) -> Finding:
    """A backup of tickets of mixed sizes, beside the same company's files as tar packs them."""
    with folder(run) as place:
        await fill(place / "data", run.seed, run.sizes.moved, COMPANY)
        await take(place / "data", place / "backup.tar")
        ours, theirs = _bytes(place / "backup.tar"), await asyncio.to_thread(_packed_tree, place / "data", place / "tree.tar.zst")
    return Finding(
        bar=BACKUP_SIZE,
        subject=Samples(name="backup", values=(ours,)),
        reference=Samples(name="tar | zstd -3", values=(theirs,)),
        note=f"{run.sizes.moved:,} tickets; {ours / MIB:.1f} MiB, as a tree {theirs / MIB:.1f} MiB",
    )


def _packed_tree(data: Path, to: Path) -> float:
    """How many bytes `tar | zstd -3` makes of the readable files, without the database beside them."""
    with (
        to.open("wb") as file,
        zstandard.ZstdCompressor(level=3).stream_writer(file) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        for path in sorted(path for path in data.rglob("*.json") if ".deskstore" not in path.parts):
            tar.add(path, str(path.relative_to(data)))
    return _bytes(to)


async def _rate(run: Run) -> Finding:
    """Tickets of 2 kB, each with its processing, that one second of one processor checks."""
    count = run.sizes.moved
    with folder(run) as place:
        write_lines(place / "tickets.ndjson", run.seed, count, size_bytes=RECORD_BYTES)
        await import_lines(place / "data", place / "tickets.ndjson")
        await take(place / "data", place / "backup.tar")
        rates = [count / await _cpu_of_check(place / "backup.tar") for _ in range(run.rounds)]
    note = f"{count:,} tickets of 2 kB with their processing"
    return Finding(bar=BACKUP_CHECK, subject=Samples(name="check", values=tuple(rates)), note=note)


async def _cpu_of_check(backup: Path) -> float:
    settle()
    began = time.process_time()
    await check_backup(backup)
    return time.process_time() - began


async def _memory(run: Run) -> list[Finding]:
    """How much more memory it takes at its peak to back up many records than few."""
    peaks: dict[str, dict[int, list[float]]] = {
        what: {size: [] for size in run.sizes.remembered} for what in ("backup", "check", "restore")
    }
    for size in run.sizes.remembered:
        with folder(run) as place:
            write_lines(place / "tickets.ndjson", run.seed, size, size_bytes=RECORD_BYTES)
            await import_lines(place / "data", place / "tickets.ndjson")
            for number in range(run.rounds):
                backup = place / f"{number}.tar"
                peaks["backup"][size].append(await peak_mib("backup", place / "data", backup))
                peaks["check"][size].append(await peak_mib("check", place / "data", backup))
                with folder(run) as empty:
                    peaks["restore"][size].append(await peak_mib("restore", empty / "data", backup))
                backup.unlink()
    bars = {"backup": BACKUP_MEMORY, "check": CHECK_MEMORY, "restore": RESTORE_MEMORY}
    return [growth(bars[what], found) for what, found in peaks.items()]


async def take(data: Path, to: Path) -> None:
    """Back up the company of the measurements."""
    async with opened(data) as storage:
        backup = await create_backup(storage, COMPANY, to)
    if backup.damaged or not backup.records:
        raise ValueError(f"the backup holds {backup.records} records and lacks {len(backup.damaged)}")


async def check(_: Path, backup: Path) -> None:
    """Check a backup."""
    await check_backup(backup)


async def restore(data: Path, backup: Path) -> None:
    """Restore a backup into an empty directory."""
    async with opened(data) as storage:
        await restore_backup(storage, COMPANY, backup)


def _bytes(path: Path) -> float:
    return float(path.stat().st_size)
