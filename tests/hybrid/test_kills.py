"""Processes are killed while a company is written, copied and swapped: nothing that was acknowledged is lost, and both sides end equal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

from deskstore.testing.contract.fixtures import a_new_company
from tests.hybrid.kills import faults_of, told_before_the_kill
from tests.hybrid.mover import sides

ROUNDS = 5  #: each with a kill; 200 in tests/chaos


async def test_nothing_acknowledged_is_lost_when_a_process_that_writes_and_swaps_is_killed(far_url: str, tmp_path: Path, seed: int) -> None:
    company_id, random = a_new_company(), Random(seed)
    told: list[str] = []

    for number in range(ROUNDS):
        told += await asyncio.to_thread(told_before_the_kill, tmp_path, company_id, far_url, f"{number}", random.uniform(0.05, 1.0))

    near, far = sides(tmp_path, far_url)
    assert len(told) > ROUNDS
    assert await faults_of(near, far, company_id, told) == []
    await asyncio.gather(near.aclose(), far.aclose())
