"""Receive, claim, renew, complete, fail and delete of one ticket, interleaved at every step, end as some serial order would."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from attrs import evolve

from deskstore.adapters.file import FileStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.changes import Changes, Committed
from deskstore.domain.mirror import Thing
from deskstore.domain.ports import Backend, BeforeCommit, Storage
from deskstore.domain.processing import COMPLETED
from deskstore.testing.clock import ManualClock
from tests.contract.interleaving import Case, Sides, breach, cases, drawn, in_memory
from tests.contract.saboteurs.base import Saboteur

PAIRS: Final = list(cases(2))
PAUSE_S: Final = 0.01  #: in which a commit of files that is sent comes to where it waits


@asynccontextmanager
async def on_files(clock: ManualClock, *, below: Path) -> AsyncGenerator[Sequence[Storage]]:
    """Two storages on one directory, as two processes have them."""
    with TemporaryDirectory(dir=below) as folder:
        both = [FileStorage(Path(folder), clock=clock) for _ in range(2)]
        yield both
        for storage in both:
            await storage.aclose()


async def _breaches(some: Iterable[Case], sides: Sides, *, pause_s: float = 0) -> list[str]:
    return [said for case in some if (said := await breach(case, sides, pause_s=pause_s)) is not None]


async def test_any_order_of_the_steps_of_two_writers_in_memory_ends_as_one_after_the_other() -> None:
    assert len(PAIRS) > 1_000

    assert await _breaches(PAIRS, in_memory) == []


@pytest.mark.parametrize("writers", [3, 4])
async def test_steps_of_three_and_four_writers_in_memory_end_as_one_after_the_other(writers: int, seed: int) -> None:
    assert await _breaches(drawn(writers, 300, seed), in_memory) == []


@pytest.mark.parametrize(("writers", "n"), [(2, 60), (3, 30), (4, 20)])
async def test_steps_of_writers_on_files_end_as_one_after_the_other(writers: int, n: int, tmp_path: Path, seed: int) -> None:
    sides = partial(on_files, below=tmp_path)

    assert await _breaches(drawn(writers, n, seed), sides, pause_s=PAUSE_S) == []


@asynccontextmanager
async def in_postgresql(clock: ManualClock, *, url: str) -> AsyncGenerator[Sequence[Storage]]:
    """Two storages on one database, as two processes have them."""
    both = [PostgresStorage(url, clock=clock) for _ in range(2)]
    yield both
    for storage in both:
        await storage.aclose()


@pytest.mark.parametrize(("writers", "n"), [(2, 60), (3, 30), (4, 20)])
async def test_steps_of_writers_in_postgresql_end_as_one_after_the_other(writers: int, n: int, postgres_url: str, seed: int) -> None:
    sides = partial(in_postgresql, url=postgres_url)

    assert await _breaches(drawn(writers, n, seed), sides, pause_s=PAUSE_S) == []


class ReadsTheTextBeforeTheLock(Saboteur):
    """Completes a ticket whose text changed while the completion waited for the lock."""

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        asked = {change.key: change.processing for change in changes.processing if change.processing.status == COMPLETED}
        seen = {key: record.fields.text_digest for key in asked if (record := self.record_of(backend.company_id, key))}
        committed = await super().apply(backend, changes, before_commit)
        for key, wanted in asked.items():
            if wanted.claim is None and seen.get(key) == _text_of(changes):
                self.values(backend.company_id)[Thing("processing", *key)] = evolve(wanted, version=committed.processing[key].version)
        return committed


def _text_of(changes: Changes) -> bytes:
    return next((change.summary.source_digest for change in changes.summaries), b"")


async def test_a_digest_read_before_the_lock_is_found_out() -> None:
    assert await _breaches(PAIRS, partial(in_memory, make=ReadsTheTextBeforeTheLock))
