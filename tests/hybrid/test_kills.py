"""Processes are killed while a company is written, copied and swapped: nothing that was acknowledged is lost, and both sides end equal."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from random import Random

from deskstore.adapters.hybrid import HybridStorage
from deskstore.domain.comparing import Depth
from deskstore.domain.ports import Storage
from deskstore.services.migrating import verify_migration
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from tests.hybrid import mover
from tests.hybrid.pairs import everything_in
from tests.pages import ROOT

ROUNDS = 5  #: each with a kill; more in tests/chaos


async def test_nothing_acknowledged_is_lost_when_a_process_that_writes_and_swaps_is_killed(far_url: str, tmp_path: Path, seed: int) -> None:
    company_id, random = a_new_company(), Random(seed)
    told: list[str] = []

    for number in range(ROUNDS):
        told += await asyncio.to_thread(_killed, tmp_path, company_id, far_url, f"{number}", random.uniform(0.05, 1.0))

    near, other = mover.sides(tmp_path, far_url)
    assert len(told) > ROUNDS
    await _check(near, other, company_id, told)


async def _check(near: Storage, far: Storage, company_id: str, told: list[str]) -> None:
    hybrid = HybridStorage(near, far, patience_s=0.5)
    await Desk(hybrid, company_id).everything()
    await hybrid.drained(company_id)
    report = await verify_migration(near, far, company_id, depth=Depth.CONTENT)
    there = {one.ticket_id for one in (await Desk(hybrid, company_id).everything()).tickets}
    saved, deleted = ({line[1:] for line in told if line.startswith(sign)} for sign in "+-")
    assert report.is_verified, report.differences
    assert await everything_in(Desk(near, company_id)) == await everything_in(Desk(far, company_id))
    assert saved - deleted - there - _last_of(told) == set()
    assert there & deleted == set()
    await hybrid.aclose()


def _last_of(told: list[str]) -> set[str]:
    """Tickets that were about to be deleted: whether that was acknowledged nobody can say."""
    return {line[1:] for line in told if line.startswith("+") and int(line.rpartition("-")[2]) % 5 == 0}


def _killed(folder: Path, company_id: str, database: str, name: str, after_s: float) -> list[str]:
    """What a process printed before it was killed, so long after it had begun."""
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
