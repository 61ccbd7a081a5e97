"""A process that does one thing with one file, and then tells how much memory it took at its peak, in bytes."""

from __future__ import annotations

import asyncio
import re
import resource
import sys
from pathlib import Path
from typing import Final

from bench import backup
from bench.stores import opened
from bench.tickets import COMPANY
from bench.transfer import export_lines, import_lines


async def migrate(data: Path, address: Path) -> None:
    """Move the company to the database whose address a file holds."""
    from deskstore.adapters.postgres import PostgresStorage  # what the other jobs need no memory for
    from deskstore.services.migrating import start_migration

    target = PostgresStorage(address.read_text(encoding="utf-8"))  # noqa: ASYNC240 - a line, and nobody waits
    async with opened(data) as source:
        report = await start_migration(source, target, COMPANY)
    await target.aclose()
    if report.rejects or not report.kept:
        raise ValueError(f"the mirror took {report.kept} of {report.things} things")


JOBS: Final = {
    "import": import_lines,
    "export": export_lines,
    "backup": backup.take,
    "check": backup.check,
    "restore": backup.restore,
    "migrate": migrate,
}


def peak_bytes() -> int:
    """The largest resident set so far: Linux's own count of it, since ru_maxrss there includes what the parent held when it started us."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii")) if status.exists() else None
    return int(found[1]) * 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Do what the command line names."""
    what, data, file = sys.argv[1:]
    asyncio.run(JOBS[what](Path(data), Path(file)))
    print(peak_bytes())


if __name__ == "__main__":
    main()
