"""
A worker: takes the pending tickets of a platform, has a model summarise each, and keeps the summaries.

    python examples/worker.py --company acme --platform freshdesk --until-done

Run as many as you like, on as many machines as share the storage. Ctrl-C or `kill` lets what was begun come to an end; `kill -9` loses
nothing either: the tickets are handed out again once their lease is over. Put your own model where FakeModel stands.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from datetime import timedelta

import deskstore

PROMPT = "short-1"


class ModelIsBusy(Exception):
    """The model refused to answer for now."""


class FakeModel:
    """Stands where your model would be: takes a moment, and now and then gives no answer."""

    name = "fake-1"

    def __init__(self, *, takes_s: float, fails: float) -> None:
        self._takes_s = takes_s
        self._fails = fails

    async def summarise(self, text: str) -> str:
        """The beginning of the text."""
        await asyncio.sleep(self._takes_s * random.uniform(0.5, 1.5))
        if random.random() < self._fails:
            raise ModelIsBusy("try again later")
        return text[:60]


def text_of(ticket: deskstore.Ticket) -> str:
    """What the model is to read."""
    return str(ticket.data.get("description_text") or ticket.fields.subject or "")


async def work(asked: argparse.Namespace) -> deskstore.Worked:
    """Work through the tickets until they are done, or somebody says stop."""
    model = FakeModel(takes_s=asked.takes, fails=asked.fails)

    async def summarise(claim: deskstore.HeldClaim) -> deskstore.SummaryDraft:
        text = text_of(claim.ticket)
        return deskstore.SummaryDraft(
            content={"summary": await model.summarise(text)}, model=model.name, prompt_id=PROMPT, tokens=len(text) // 4
        )

    with deskstore.stop_on_signals() as stop:
        async with deskstore.open_storage() as storage:
            return await deskstore.work_off(
                storage,
                asked.company,
                asked.platform,
                summarise,
                concurrency=asked.concurrency,
                worker=asked.worker,
                lease=timedelta(seconds=asked.lease),
                retry=deskstore.Retry(first=timedelta(seconds=2), attempts=5),
                until_done=asked.until_done,
                stop=stop,
            )


def arguments() -> argparse.ArgumentParser:
    """What the worker can be told."""
    made = argparse.ArgumentParser(description="Summarise the pending tickets of a platform with a model that is none.")
    made.add_argument("--company", required=True)
    made.add_argument("--platform", required=True)
    made.add_argument("--worker", help="who takes the tickets; this machine and process, unless said")
    made.add_argument("--concurrency", type=int, default=8, help="tickets that are worked on at once")
    made.add_argument("--lease", type=float, default=60.0, help="seconds after which others get the tickets of a worker that died")
    made.add_argument("--until-done", action="store_true", help="end once nothing is pending or in work, instead of waiting for more")
    made.add_argument("--takes", type=float, default=0.05, help="seconds that the model takes for a ticket")
    made.add_argument("--fails", type=float, default=0.0, help="how much of the model's work fails, 0 to 1")
    return made


if __name__ == "__main__":
    worked = asyncio.run(work(arguments().parse_args()))
    print(f"completed {worked.completed}, failed {worked.failed}, lost {worked.lost}")
