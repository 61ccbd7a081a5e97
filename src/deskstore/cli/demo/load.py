"""
An application under load: `python -m deskstore.cli.demo.load`, on whatever storage the environment names.

It saves one ticket after another, while workers summarise them, until its standard input ends. A storage that does not answer is asked
again. Each ticket that was acknowledged is a line of JSON: its id, the hash of its payload, how long that took, how often it was refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Final

from deskstore.bootstrap import open_storage
from deskstore.domain.errors import CommitOutcomeUnknown, StorageBusy, StorageUnavailable
from deskstore.services.summaries import SummaryDraft
from deskstore.services.tickets import save_ticket
from deskstore.services.working import work_off

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage
    from deskstore.services.holding import HeldClaim

COMPANY: Final = "acme"
PLATFORM: Final = "orders"
PAUSE_S: Final = 0.05  #: between two tickets, so that there is time for others on a small machine
AGAIN_S: Final = 0.1  #: before a storage is asked again that did not answer
LEASE: Final = timedelta(seconds=10)  #: of the tickets that a worker has in its hands when the server is killed
PASSING: Final = (StorageUnavailable, StorageBusy, CommitOutcomeUnknown)


async def run(first: int) -> None:
    """Save and work until the input ends."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    async with open_storage() as storage, _working(storage, stop):
        for number in count(first):
            if stop.is_set():
                break
            await _save(storage, number)
            await asyncio.sleep(PAUSE_S)


async def _save(storage: Storage, number: int) -> None:
    """Save a ticket until that is acknowledged, and say so."""
    payload = json.dumps({"id": number, "subject": f"Order {number}", "text": f"Where is order {number}? 📦"}).encode()
    began = time.monotonic()
    for refused in count():
        try:
            await save_ticket(storage, COMPANY, PLATFORM, payload)
        except PASSING:
            await asyncio.sleep(AGAIN_S)
        else:
            took_s = round(time.monotonic() - began, 4)
            print(json.dumps([str(number), hashlib.sha256(payload).hexdigest(), took_s, refused]), flush=True)  # noqa: T201 - for the demo
            return


@asynccontextmanager
async def _working(storage: Storage, stop: asyncio.Event) -> AsyncGenerator[None]:
    """Let workers summarise the tickets meanwhile, and end with them."""
    working = asyncio.ensure_future(_work(storage, stop))
    try:
        yield
    finally:
        stop.set()
        await working


async def _work(storage: Storage, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await work_off(storage, COMPANY, PLATFORM, _summarise, concurrency=2, lease=LEASE, stop=stop, worker="demo")
        except PASSING:
            await asyncio.sleep(AGAIN_S)


async def _summarise(claim: HeldClaim) -> SummaryDraft:
    return SummaryDraft(content={"summary": str(claim.ticket.data["text"])[:20]}, model="demo", prompt_id="demo-1")


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1])))
