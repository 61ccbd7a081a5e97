"""A company on its way between files and PostgreSQL: the processes that write it and move it, and what must be true of it afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from attrs import Factory, define, field

from deskstore.adapters.hybrid import HybridStorage
from deskstore.domain.comparing import Depth
from deskstore.domain.ports import Storage
from deskstore.services.migrating import migration_status, verify_migration
from deskstore.testing.desk import Desk
from tests.chaos.cargo import LIVE, Manifest, differences, manifest
from tests.chaos.ledger import Ledger
from tests.hybrid.mover import sides
from tests.pages import ROOT

COMPANY: Final = "acme"
TASKS: Final = 4  #: that write in each of the two processes
_PROCESSES: Final = 2
_LONGEST_S: Final = 600.0


@define
class Travel:
    """One company between two stores."""

    folder: Path
    database: str
    seed: int
    _writers: dict[str, subprocess.Popen[bytes]] = field(init=False, default=Factory(dict[str, "subprocess.Popen[bytes]"]))

    def start_writing(self) -> None:
        """Let eight tasks in two processes write the company."""
        for number in range(_PROCESSES):
            self._start(f"w{number}")

    def kill_a_writer(self, number: int) -> None:
        """Kill one of the processes that write and copy to the mirror, and start it again."""
        name = f"w{number}"
        self._writers[name].kill()
        self._writers.pop(name).wait()
        self._start(name)

    def stop_writing(self) -> None:
        """Let the writers finish what they are at; raises ChildProcessError when one of them went wrong."""
        for writer in self._writers.values():
            writer.send_signal(signal.SIGTERM)
        codes = [self._writers.pop(name).wait(_LONGEST_S) for name in [*self._writers]]
        if any(code not in (0, -signal.SIGTERM) for code in codes):
            raise ChildProcessError(f"writers ended with {codes}: {self._log('errors').read_text(encoding='utf-8')[-2_000:]}")

    def take(self, step: str, where: str = "never") -> str:
        """Take a step of a migration in a process of its own, which may die: `killed`, `done`, or what refused it."""
        done = subprocess.run(
            self._command("tests.chaos.traveller", step, where), cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode == -signal.SIGKILL:
            return "killed"
        return "done" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]

    def ledger(self) -> Ledger:
        """What all writers were told so far."""
        lines = [line for log in sorted(self.folder.glob("w*.log")) for line in log.read_text(encoding="utf-8").splitlines()]
        return Ledger.of(lines)

    async def lives_in(self) -> str:
        """Which of the two takes the writes: source (the files) or target."""
        async with self.opened() as (near, far):
            return (await migration_status(near, far, COMPANY)).lives_in

    async def faults(self, cargo: Manifest, ledger: Ledger) -> list[str]:
        """What is wrong with the company while nobody writes, once whoever comes next has brought its sides together."""
        async with self.opened() as (near, far):
            hybrid = HybridStorage(near, far, patience_s=0.5)
            await hybrid.drained(COMPANY)
            report = await verify_migration(near, far, COMPANY, depth=Depth.CONTENT)
            await hybrid.stop_draining()
            here, there = [await manifest(Desk(side, COMPANY), with_live=True) for side in (near, far)]
            primary = Desk(near if (await migration_status(near, far, COMPANY)).lives_in == "source" else far, COMPANY)
            return [
                *(f"{one}" for one in report.differences),
                *differences(here, there, "the files and the database"),
                *differences(cargo, await manifest(primary), "what nobody wrote to"),
                *ledger.faults(await _standing(primary)),
            ]

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[tuple[Storage, Storage]]:
        """The files and the database, closed behind the block."""
        near, far = sides(self.folder, self.database)
        try:
            yield near, far
        finally:
            await asyncio.gather(near.aclose(), far.aclose())

    def _start(self, name: str) -> None:
        with self._log(name).open("ab") as log, self._log("errors").open("ab") as errors:
            command = self._command("tests.chaos.writer", name, f"{TASKS}", f"{self.seed}")
            self._writers[name] = subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=log, stderr=errors)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _command(self, module: str, *more: str) -> Sequence[str]:
        return [sys.executable, "-m", module, str(self.folder), self.database, COMPANY, *more]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}


async def _standing(desk: Desk) -> dict[str, int]:
    """The versions of the tickets that writers keep."""
    return {copy.thing.id: copy.version async for copy in desk.replica().copies("ticket") if copy.thing.platform == LIVE}
