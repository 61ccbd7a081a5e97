"""A disk that is really full: a small one in memory."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deskstore.domain.errors import StorageUnavailable
from tests.chaos.parts import Finding, NotHere, Orders
from tests.file.workers import count_once, counted, opened

_SIZE: Final = "4m"
_BALLAST_BYTES: Final = 1 << 20


def fill_the_disk(folder: Path, orders: Orders) -> Finding:
    """Write until nothing goes in any more; all that was acknowledged must be there, and more go in once there is room."""
    rounds = 20 if orders.is_nightly else 3
    with _small_disk(folder / "disk") as disk:
        failures = [failure for number in range(rounds) for failure in asyncio.run(_fill(disk, number))]
        return Finding(states=rounds, failures=failures)


async def _fill(disk: Path, number: int) -> list[str]:
    ballast, storage, acked = disk / "ballast", opened(disk), set[str]()
    ballast.write_bytes(bytes(_BALLAST_BYTES))
    refused = 0
    while refused < 3:
        ticket_id = f"{number}-{len(acked)}-{refused}"
        try:
            await count_once(storage, ticket_id)
            acked.add(ticket_id)
        except StorageUnavailable:
            refused += 1
    ballast.unlink()
    await count_once(storage, f"{number}-room")
    counter, tickets = await counted(storage)
    await storage.aclose()
    storage = opened(disk)
    again = await counted(storage)
    await storage.erase((await storage.companies())[0])
    await storage.aclose()
    lost = [f"acknowledged and lost: {sorted(acked - tickets)[:5]}"] if acked - tickets else []
    uneven = [] if counter == len(tickets) else [f"the counter says {counter}, there are {len(tickets)} tickets"]
    other = [] if again == (counter, tickets) else ["opened again, there is something else"]
    return [*lost, *uneven, *other]


@contextmanager
def _small_disk(place: Path) -> Generator[Path]:
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        raise NotHere(f"no small disk can be mounted ({mounted.stderr.strip()})")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
