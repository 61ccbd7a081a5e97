"""Companies that move between two stores while processes that write and swap them are killed."""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path

from tests.chaos.parts import Finding, Orders, Part
from tests.hybrid.kills import faults_of, told_before_the_kill
from tests.hybrid.mover import sides

KILLS = 200
JUDGED_EVERY = 20  #: kills, after which another company is begun


def _between_files(orders: Orders) -> Finding:
    """Kill at random moments, and judge each company after some of them."""
    draw = random.Random(orders.seed)
    kills = KILLS * (5 if orders.is_nightly else 1)
    failures: list[str] = []
    acknowledged = 0
    for company in range(kills // JUDGED_EVERY):
        with tempfile.TemporaryDirectory() as folder:
            told = _kill(Path(folder), f"company {company}", draw)
            acknowledged += len(told)
            failures += [f"company {company}: {fault}" for fault in asyncio.run(_judged(Path(folder), f"company {company}", told))]
    return Finding(states=kills, failures=failures, measured=f"{acknowledged:,} acknowledged")


def _kill(folder: Path, company_id: str, draw: random.Random) -> list[str]:
    told: list[str] = []
    for number in range(JUDGED_EVERY):
        told += told_before_the_kill(folder, company_id, "", f"{number}", draw.uniform(0.0, 0.6))
    return told


async def _judged(folder: Path, company_id: str, told: list[str]) -> list[str]:
    near, far = sides(folder, "")
    try:
        return await faults_of(near, far, company_id, told) if told else []
    finally:
        await asyncio.gather(near.aclose(), far.aclose())


PARTS = (Part("kills while a company is written and swapped", _between_files),)
