"""
An import of very many records, a broken one among them, that is killed again and again: it resumes, stays small, and ends as if it was not.

Run by itself: `python -m tests.chaos.imports --records 1000000 --kills 3 [--seed S] [--dir DIR]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import IO, Final

from attrs import frozen

from deskstore.adapters.file import FileStorage
from deskstore.domain.identifiers import Key

COMPANY = "acme"
PLATFORM = "freshdesk"
RECORD_BYTES = 2_000
REJECTS: Final = 3  #: the exit code of an import that rejected some records
_BROKEN: Final = b'{"id": 7, "subject": "cut o'


@frozen(kw_only=True)
class ImportRun:
    """What an interrupted import came to."""

    records: int
    kills: int
    kept_at: tuple[int, ...]  #: how many records were kept when each run was killed, and how many the last one found done
    peak_mib: tuple[float, ...]  #: the largest resident set of each run
    wrong: int  #: records that are missing, extra, not what the source says, or reported as something else
    seconds: float  #: of the runs

    def __str__(self) -> str:
        """A line that says all of it."""
        verdict = "equal to the source" if not self.wrong else f"{self.wrong} records differ"
        peak = ", ".join(f"{one:.1f}" for one in self.peak_mib)
        found = f"{self.records:,} records, {self.kills} kills, kept {list(self.kept_at)}, peaks {peak} MiB, {verdict}"
        return f"{found}, {self.seconds:.0f} s"


@frozen(kw_only=True)
class _Place:
    """Where a run has its files."""

    folder: Path
    records: int
    broken: int  #: how many records come before the broken line

    @property
    def source(self) -> Path:
        return self.folder / "tickets.ndjson"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def rejects(self) -> Path:
        return self.folder / "tickets.rejects.ndjson"


def payloads(seed: int, records: int) -> Iterator[tuple[Key, bytes]]:
    """The records of a source: the same for the same seed."""
    noise = random.Random(seed)
    for number in range(records):
        text = "".join(noise.choices("가나다라 abcdefghij", k=40)) * (RECORD_BYTES // 70)
        value = {"id": number, "subject": text[:60], "description_text": text, "status": noise.randint(2, 5), "priority": 1}
        yield Key("ticket", PLATFORM, str(number)), json.dumps(value, ensure_ascii=False).encode()


def interrupted_import(folder: Path, *, records: int, kills: int, seed: int) -> ImportRun:
    """Import, kill, resume until done, then compare all that is stored with the source."""
    chances = random.Random(seed)
    place = _Place(folder=folder, records=records, broken=chances.randrange(records))
    with place.source.open("wb") as file:
        file.writelines(_lines(seed, place))
    began = time.monotonic()
    killed = [_killed(place, chances) for _ in range(kills)]
    report, peak = _finished(place)
    seconds = time.monotonic() - began
    return ImportRun(
        records=records,
        kills=kills,
        kept_at=(*(kept for kept, _ in killed), int(report["resumed_at"])),
        peak_mib=(*(peak for _, peak in killed), peak),
        wrong=_misreported(place, report) + asyncio.run(_differences(place.data, dict(_digests(seed, records)))),
        seconds=seconds,
    )


def _lines(seed: int, place: _Place) -> Iterator[bytes]:
    for number, (_, payload) in enumerate(payloads(seed, place.records)):
        if number == place.broken:
            yield _BROKEN + b"\n"
        yield payload + b"\n"


def _killed(place: _Place, chances: random.Random) -> tuple[int, float]:
    """Let an import run until it has done some more, and kill it; how many records are kept, and how large it was."""
    wanted = _kept(place.data) + chances.randint(place.records // 10, place.records // 5)
    running = _started(place, None)
    while _kept(place.data) < wanted:
        time.sleep(0.2)
        if _has_ended(running):
            raise ChildProcessError("the import ended before it could be killed: give it more records")
    os.kill(running.pid, signal.SIGKILL)
    return _kept(place.data), _ended(running)


def _finished(place: _Place) -> tuple[dict[str, int], float]:
    """Let an import run to its end: its report, and how large it was."""
    said = place.folder / "report.json"
    with said.open("wb") as file:
        peak = _ended(_started(place, file))
    return json.loads(said.read_bytes()), peak


def _started(place: _Place, said: IO[bytes] | None) -> subprocess.Popen[bytes]:
    options = ["import", str(place.source), "--company", COMPANY, "--platform", PLATFORM, "--rejects", str(place.rejects)]
    command = [sys.executable, "-m", "deskstore.cli", "--data-path", str(place.data), "--json", *options]
    return subprocess.Popen(command, stdout=said or subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _has_ended(running: subprocess.Popen[bytes]) -> bool:
    """Whether a process came to its end; it can be waited for all the same."""
    return os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _ended(running: subprocess.Popen[bytes]) -> float:
    """Wait for a process; its largest resident set in MiB."""
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode not in (REJECTS, -signal.SIGKILL):
        raise ChildProcessError(f"the import ended with {running.returncode}")
    return usage.ru_maxrss / 1024


def _kept(data: Path) -> int:
    async def count() -> int:
        storage = FileStorage(data)
        try:
            async with storage.unit_of_work(COMPANY) as uow:
                return (await uow.progress.progress(PLATFORM)).total
        finally:
            await storage.aclose()

    return asyncio.run(count()) if data.exists() else 0


def _misreported(place: _Place, report: dict[str, int]) -> int:
    """How many records the report or the rejects file tell another story of."""
    told = {"created": place.records, "updated": 0, "unchanged": 0, "stale": 0, "rejected": 1}
    rejects = [json.loads(line) for line in place.rejects.read_bytes().splitlines()]
    kept_out = [(one["line"], one["raw"].encode()) for one in rejects]
    return sum(abs(report[name] - count) for name, count in told.items()) + (kept_out != [(place.broken + 1, _BROKEN)])


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
        rmtree(place, ignore_errors=True)
    sys.stdout.write(f"seed {given.seed}: {run}\n")
    sys.exit(1 if run.wrong else 0)


if __name__ == "__main__":
    main()
