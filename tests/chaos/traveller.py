"""
A process that takes one step of a migration, and kills itself on the way if it is told where.

    python -m tests.chaos.traveller FOLDER DATABASE COMPANY STEP WHERE

The step is start, start-back, drain, verify, cutover, rollback or finish. WHERE is `never`; `before 17` or `after 17`: at that call of a
store; or `at flip 0.002`: so many seconds after that step of a swap began, or after a batch of a filling (`at batch 0.002`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Final

from deskstore.domain.draining import drain
from deskstore.domain.errors import StorageError
from deskstore.domain.filling import Batch
from deskstore.domain.ports import Storage
from deskstore.domain.sides import Sides
from deskstore.domain.swapping import settle
from deskstore.services.migrating import cut_over, finish_migration, roll_back, start_migration, verify_migration
from tests.hybrid.mover import sides
from tests.hybrid.pairs import Deaths, MortalStorage


class RealDeaths(Deaths):
    """Kills this process at one call of its stores."""

    def before(self) -> None:
        self.calls += 1
        if self.calls == self._at and not self._after:
            _die()

    def after(self) -> None:
        if self.calls == self._at and self._after:
            _die()


class Doom:
    """Where this process is to die, when it is not at a call."""

    def __init__(self, step: str = "", after_s: float = 0.0) -> None:
        self._step: Final = step
        self._after_s: Final = after_s

    async def reached(self, step: str) -> None:
        """A step of a swap is about to begin."""
        if step == self._step:
            threading.Timer(self._after_s, _die).start()

    async def filled(self, _: Batch) -> None:
        """A batch was copied."""
        await self.reached("batch")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def _take(step: str, near: Storage, far: Storage, company_id: str, doom: Doom) -> None:
    match step:
        case "start":
            await start_migration(near, far, company_id, pace=doom.filled)
        case "start-back":
            await start_migration(far, near, company_id, pace=doom.filled)
        case "drain":
            await drain(await _agreed(near, far, company_id))
        case "verify":
            report = await verify_migration(near, far, company_id)
            if not report.is_verified:
                raise SystemExit(f"{report.different} differ: {report.differences[:5]}")
        case "cutover":
            await cut_over(near, far, company_id, reached=doom.reached)
        case "rollback":
            await roll_back(near, far, company_id, reached=doom.reached)
        case "finish":
            await finish_migration(near, far, company_id, delete=True)
        case _:
            raise SystemExit(f"{step} is no step")


async def _agreed(near: Storage, far: Storage, company_id: str) -> Sides:
    found = Sides(company_id, primary=near.replica(company_id), mirror=far.replica(company_id))
    state = await settle(found)
    return found if state is None or state.primary == await found.primary.store_id() else found.reversed()


async def _travel(folder: Path, database: str, company_id: str, step: str, where: list[str]) -> None:
    deaths = RealDeaths(int(where[1]), after=where[0] == "after") if where[0] in ("before", "after") else Deaths()
    doom = Doom(" ".join(where[1:-1]), float(where[-1])) if where[0] == "at" else Doom()
    near, far = (MortalStorage(one, deaths) for one in sides(folder, database))
    try:
        await _take(step, near, far, company_id, doom)
    except StorageError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    await near.aclose()
    await far.aclose()


if __name__ == "__main__":
    asyncio.run(_travel(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5].split()))
