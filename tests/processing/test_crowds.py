"""Eight workers as processes, some killed with kill -9 and one put to sleep: every ticket is completed exactly once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from deskstore.adapters.file import FileStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.ports import Storage
from deskstore.services.processing import claim_tickets, complete, release
from deskstore.services.summaries import SummaryDraft
from tests.processing.crowd import Crowd, Note, Plan, breaches, fill, with_python
from tests.processing.worker import COMPANY, PLATFORM

PLAN = Plan(tickets=240, kills=2, sleeps=1, pace_s=1.0)


async def worked_off(storage: Storage, environment: dict[str, str], folder: Path, seed: int) -> tuple[Counter[int], list[Note]]:
    await fill(storage, PLAN.tickets)
    crowd = Crowd(folder, with_python(environment), PLAN, random.Random(seed))
    codes = await asyncio.to_thread(crowd.work)
    return codes, [*crowd.notes()]


async def test_eight_processes_on_files_of_which_some_are_killed_complete_every_ticket_once(tmp_path: Path, seed: int) -> None:
    data = tmp_path / "data"
    storage = FileStorage(data)

    codes, notes = await worked_off(storage, {"DATA_PATH": str(data)}, tmp_path, seed)

    assert await breaches(storage, PLAN, notes, codes) == []
    await storage.aclose()
    assert len({note.worker for note in notes}) >= 8


async def test_eight_processes_on_postgresql_of_which_some_are_killed_complete_every_ticket_once(
    fresh_postgres_url: str, tmp_path: Path, seed: int
) -> None:
    storage = PostgresStorage(fresh_postgres_url)
    environment = {"STORAGE_TYPE": "postgresql", "DATABASE_URL": fresh_postgres_url, "DATA_PATH": str(tmp_path / "data")}

    codes, notes = await worked_off(storage, environment, tmp_path, seed)

    assert await breaches(storage, PLAN, notes, codes) == []
    await storage.aclose()
    assert len({note.worker for note in notes}) >= 8


TOKEN = "f00d"  # noqa: S105 - of a claim, and no secret
ONE = Plan(tickets=1, kills=0, pace_s=0)


def note(worker: str, what: str, token: str = TOKEN, at: float = 0.0) -> Note:
    return Note(worker, what, "0", token, at, at + 1.0, 1)


@pytest.mark.parametrize(
    ("notes", "codes", "breach"),
    [
        ([note("w0", "took"), note("w0", "kept")], {0: 8}, None),
        ([note("w1", "took", "other", -9.0), note("w0", "took")], {0: 8}, None),
        ([note("w0", "took"), note("w1", "took", "other", 5.9)], {0: 8}, "handed out while a lease lived"),
        ([note("w0", "took"), note("w1", "took", at=9.0)], {0: 8}, "a token was handed out twice"),
        ([note("w0", "took"), note("w1", "kept", "other")], {0: 8}, "an acknowledged completion is not the one that is kept"),
        ([note("w0", "took", "other")], {0: 8}, "its summary is of a token that nobody was given"),
        ([note("w0", "took")], {0: 7, 1: 1}, "workers ended with 1"),
    ],
)
async def test_whatever_is_not_as_it_must_be_is_found(notes: list[Note], codes: dict[int, int], breach: str | None) -> None:
    storage = MemoryStorage()
    await fill(storage, 1)
    (first,) = await claim_tickets(storage, COMPANY, PLATFORM, 1, worker="w0")
    await release(storage, COMPANY, first)
    (second,) = await claim_tickets(storage, COMPANY, PLATFORM, 1, worker="w1")
    await complete(storage, COMPANY, second, summary=SummaryDraft(content={"token": TOKEN}))

    found = await breaches(storage, ONE, notes, codes)

    assert (breach is None and not found) or any(breach is not None and breach in one for one in found), found


async def test_a_ticket_that_nobody_completed_is_found() -> None:
    storage = MemoryStorage()
    await fill(storage, 1)

    found = await breaches(storage, ONE, [], {0: 8})

    assert [one for one in found if "it is pending" in one]
    assert [one for one in found if "it has 0 summaries" in one]
    assert [one for one in found if "progress says (1, 0, 0, 0)" in one]
