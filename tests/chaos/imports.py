"""
An import of very many records that is killed again and again: it resumes, stays as small as it was, and ends as an uninterrupted one.

Run by itself: `python -m tests.chaos.imports --records 1000000 --kills 3 [--seed S] [--dir DIR]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from attrs import frozen

from deskstore.adapters.file import FileStorage
from deskstore.domain.identifiers import Key

COMPANY = "acme"
PLATFORM = "freshdesk"
RECORD_BYTES = 2_000


@frozen(kw_only=True)
class ImportRun:
    """What an interrupted import came to."""

    records: int
    kills: int
    resumed_at: tuple[int, ...]  #: how many records each run found done
    peak_mib: tuple[float, ...]  #: the largest resident set of each run that came to its end
    wrong: int  #: records that are missing, extra or not what the source says
    seconds: float

    def __str__(self) -> str:
        verdict = "equal to the source" if not self.wrong else f"{self.wrong} records differ"
        peak = ", ".join(f"{one:.0f}" for one in self.peak_mib)
        return f"{self.records:,} records, {self.kills} kills, resumed at {list(self.resumed_at)}, peak {peak} MiB, {verdict}, {self.seconds:.0f} s"


def payloads(seed: int, records: int) -> Iterator[tuple[Key, bytes]]:
    """The records of a source: the same for the same seed."""
    noise = random.Random(seed)
    for number in range(records):
        text = "".join(noise.choices("가나다라 abcdefghij", k=40)) * (RECORD_BYTES // 70)
        value = {"id": number, "subject": text[:60], "description_text": text, "status": noise.randint(2, 5), "priority": 1}
        yield Key("ticket", PLATFORM, str(number)), json.dumps(value, ensure_ascii=False).encode()


def interrupted_import(place: Path, *, records: int, kills: int, seed: int) -> ImportRun:
    """Import, kill, resume until done, then compare all that is stored with the source."""
    began = time.monotonic()
    source, data = place / "tickets.ndjson", place / "data"
    with source.open("wb") as file:
        file.writelines(payload + b"\n" for _, payload in payloads(seed, records))
    chances = random.Random(seed)
    resumed = [_killed(data, source, chances) for _ in range(kills)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    report = json.loads(subprocess.run(_command(data, source), check=True, capture_output=True).stdout)
    peak = max(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, before) / 1024
    resumed.append(int(report["resumed_at"]))
    wrong = asyncio.run(_differences(data, dict(_digests(seed, records))))
    return ImportRun(
        records=records, kills=kills, resumed_at=tuple(resumed), peak_mib=(peak,), wrong=wrong, seconds=time.monotonic() - began
    )


def _killed(data: Path, source: Path, chances: random.Random) -> int:
    """Let an import run until it has done some more, and kill it; how many records its checkpoint vouches for."""
    already = _kept(data)
    with subprocess.Popen(_command(data, source), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        size = source.stat().st_size // RECORD_BYTES
        wanted = already + chances.randint(size // 10, size // 4)
        while running.poll() is None and _kept(data) < wanted:
            time.sleep(0.2)
        running.send_signal(signal.SIGKILL)
    return _kept(data)


def _kept(data: Path) -> int:
    async def count() -> int:
        storage = FileStorage(data)
        try:
            async with storage.unit_of_work(COMPANY) as uow:
                return (await uow.progress.progress(PLATFORM)).total
        finally:
            await storage.aclose()

    return asyncio.run(count()) if data.exists() else 0


def _command(data: Path, source: Path) -> list[str]:
    options = ["import", str(source), "--company", COMPANY, "--platform", PLATFORM]
    return [sys.executable, "-m", "deskstore.cli", "--data-path", str(data), "--json", *options]


def _digests(seed: int, records: int) -> Iterator[tuple[Key, bytes]]:
    return ((key, sha256(payload).digest()) for key, payload in payloads(seed, records))


async def _differences(data: Path, expected: dict[Key, bytes]) -> int:
    wrong = 0
    storage = FileStorage(data)
    async with storage.unit_of_work(COMPANY) as uow:
        async for ticket in uow.tickets.stream():
            wrong += expected.pop(ticket.key, b"") != sha256(ticket.payload).digest()
    await storage.aclose()
    return wrong + len(expected)


def main() -> None:
    """Run it and say what came of it; exit status 1 when a record differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--dir", type=Path)
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="deskstore-import-", dir=given.dir))
    try:
        run = interrupted_import(place, records=given.records, kills=given.kills, seed=given.seed)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    sys.stdout.write(f"seed {given.seed}: {run}\n")
    sys.exit(1 if run.wrong else 0)


if __name__ == "__main__":
    main()
