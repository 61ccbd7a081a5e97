"""
A process that saves tickets until it is killed: `python -m deskstore.cli.demo.writer DIR`.

Each unit of work holds as many tickets as UNIT says; its number is printed once the unit was acknowledged.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path
from typing import Final

from deskstore.bootstrap import Settings, open_storage
from deskstore.services.tickets import save_tickets

COMPANY: Final = "initech"
PLATFORM: Final = "orders"
UNIT: Final = 25


async def write(data_path: Path) -> None:
    """Save one unit after another."""
    async with open_storage(Settings(data_path=data_path)) as storage:
        for unit in count():
            await save_tickets(storage, COMPANY, PLATFORM, ({"id": f"{unit}-{place}", "unit": unit} for place in range(UNIT)))
            print(unit, flush=True)  # noqa: T201 - whoever kills this process reads it


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
