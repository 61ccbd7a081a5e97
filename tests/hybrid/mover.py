"""
A process that writes a company through the hybrid storage while its sides change places, until somebody kills it.

Prints the id of each ticket that was acknowledged, a line each, with a plus before it; of each deletion with a minus.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

from deskstore.adapters.file import FileStorage
from deskstore.adapters.hybrid import HybridStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.errors import StorageError
from deskstore.domain.ports import Storage
from deskstore.services.migrating import cut_over, roll_back
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket


def sides(folder: Path, database: str) -> tuple[Storage, Storage]:
    """The two storages between which the company moves; the second is a database if an address is given."""
    far: Storage = PostgresStorage(database) if database else FileStorage(folder / "far")
    return FileStorage(folder / "near"), far


async def _write(desk: Desk, name: str) -> None:
    turn = 0
    while True:
        turn += 1
        ticket_id = f"{name}-{turn}"
        stored = await desk.kept(a_ticket(ticket_id))
        os.write(1, f"+{ticket_id}\n".encode())
        if turn % 5 == 0:
            await desk.delete(stored)
            os.write(1, f"-{ticket_id}\n".encode())


async def _swap(near: Storage, far: Storage, company_id: str) -> None:
    while True:
        for step in (cut_over, roll_back):
            await asyncio.sleep(0.02)
            with suppress(StorageError):  # before the first commit, and while it is written too fast
                await step(near, far, company_id)


async def _move(folder: Path, company_id: str, database: str, name: str) -> None:
    near, far = sides(folder, database)
    hybrid = HybridStorage(near, far, patience_s=0.5)
    os.write(1, b"ready\n")
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(_write(Desk(hybrid, company_id), f"{name}-{number}"))
        group.create_task(_swap(near, far, company_id))


if __name__ == "__main__":
    asyncio.run(_move(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]))
