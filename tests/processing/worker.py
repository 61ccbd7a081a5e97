"""
A worker as a process of its own: works off a platform's tickets, and writes down what it was given and what was acknowledged.

    python -m tests.processing.worker NAME FOLDER LEASE_S PACE_S

The storage is that of the environment. It begins once there is a file named `go` in the folder.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

from deskstore.bootstrap import open_storage
from deskstore.services.holding import HeldClaim
from deskstore.services.summaries import SummaryDraft
from deskstore.services.working import work_off

COMPANY: Final = "acme"
PLATFORM: Final = "freshdesk"
GO: Final = "go"  #: the name of the file whose appearance lets workers begin
POLL: Final = timedelta(milliseconds=300)


async def work(name: str, folder: Path, lease_s: float, pace_s: float) -> None:
    """Work until nothing is pending or in anybody's hands."""
    with (folder / f"{name}.notes").open("a", encoding="utf-8", buffering=1) as notes:

        def note(what: str, claim: HeldClaim, token: str, until: float) -> None:
            told = {"what": what, "id": claim.key.id, "token": token, "at": time.time(), "until": until, "attempts": claim.attempts}
            notes.write(json.dumps(told) + "\n")

        async def handler(claim: HeldClaim) -> None:
            held = claim.processing.claim
            assert held is not None, "a ticket was handed over that is not claimed"
            token, until = held.token, held.lease_until.timestamp()
            note("took", claim, token, until)
            await asyncio.sleep(random.uniform(0, pace_s))
            await claim.complete(SummaryDraft(content={"worker": name, "token": token}, model="fake-1"))
            note("kept", claim, token, until)

        async with open_storage() as storage:
            while not (folder / GO).exists():  # noqa: ASYNC110 - it is another process that makes it
                await asyncio.sleep(0.01)
            lease = timedelta(seconds=lease_s)
            await work_off(storage, COMPANY, PLATFORM, handler, worker=name, lease=lease, until_done=True, poll=POLL)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
