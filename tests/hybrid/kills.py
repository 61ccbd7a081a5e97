"""Killing processes that write and swap a company, and judging what is left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from deskstore.adapters.hybrid import HybridStorage
from deskstore.domain.comparing import Depth
from deskstore.domain.ports import Storage
from deskstore.services.migrating import verify_migration
from deskstore.testing.desk import Desk
from tests.hybrid.pairs import everything_in
from tests.pages import ROOT


def told_before_the_kill(folder: Path, company_id: str, database: str, name: str, after_s: float) -> list[str]:
    """What a process printed, a line each, before it was killed, so long after it had begun."""
    command = [sys.executable, "-m", "tests.hybrid.mover", str(folder), company_id, database, name]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.kill()
        lines = process.stdout.read().decode().splitlines()
    return [line for line in lines if line.startswith(("+", "-"))]


async def faults_of(near: Storage, far: Storage, company_id: str, told: Sequence[str]) -> list[str]:
    """What is wrong with a company of which so much was acknowledged, once whoever comes next has brought its sides together."""
    hybrid = HybridStorage(near, far, patience_s=0.5)
    tickets = (await Desk(hybrid, company_id).everything()).tickets
    await hybrid.drained(company_id)
    report = await verify_migration(near, far, company_id, depth=Depth.CONTENT)
    sides = [await everything_in(Desk(side, company_id)) for side in (near, far)]
    await hybrid.stop_draining()
    return [
        *(f"{one}" for one in report.differences),
        *([] if sides[0] == sides[1] else ["the sides are not equal"]),
        *_lost_or_revived({one.ticket_id for one in tickets}, told),
    ]


def _lost_or_revived(there: set[str], told: Sequence[str]) -> Iterator[str]:
    saved, deleted = ({line[1:] for line in told if line.startswith(sign)} for sign in "+-")
    doomed = {one for one in saved if int(one.rpartition("-")[2]) % 5 == 0}  # whether their deletion took place nobody was told
    yield from (f"{one} was acknowledged and is lost" for one in sorted(saved - doomed - there))
    yield from (f"{one} was deleted and is back" for one in sorted(deleted & there))
