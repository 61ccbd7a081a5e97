"""Whatever a company holds goes to another store and comes back the same, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deskstore.adapters.file import FileStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.comparing import Depth
from deskstore.domain.mirror import Copy
from deskstore.domain.ports import Storage
from deskstore.domain.processing import Checkpoint
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.services.migrating import cut_over, finish_migration, roll_back, start_migration, verify_migration
from deskstore.testing import strategies
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk, token_of
from deskstore.testing.makers import a_suppression, a_ticket
from tests.hybrid.pairs import Pair, everything_in

_asked = cast(Any, settings()).max_examples  # Any: Hypothesis leaves the type of its numbers open
FEW = settings(
    max_examples=max(15, _asked // 6),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(params=["memory and files", "files and files", "files and PostgreSQL", "PostgreSQL and files"])
async def open_pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[[], Pair]]:
    """Gives companies whose first side is in one storage, and whose other side is in another."""
    clock = ManualClock()
    names = str(request.param).split(" and ")
    url = cast(str, request.getfixturevalue("shared_postgres_url")) if "PostgreSQL" in names else ""
    made: dict[str, Callable[[str], Storage]] = {
        "memory": lambda _: MemoryStorage(clock),
        "files": lambda side: FileStorage(tmp_path / side, clock=clock),
        "PostgreSQL": lambda _: PostgresStorage(url, clock=clock),
    }
    one, other = (made[name](f"{number}") for number, name in enumerate(names))
    yield lambda: Pair.of(one, other, a_new_company())
    await asyncio.gather(one.aclose(), other.aclose())


@FEW
@given(
    records=st.lists(strategies.tickets() | strategies.articles(), max_size=4, unique_by=lambda record: record.key),
    told=st.lists(strategies.summaries(), max_size=4),
    checkpoints=st.lists(strategies.checkpoints(), max_size=2, unique_by=lambda one: (one.platform, one.stream)),
    how=st.lists(st.sampled_from(["claim", "complete", "fail", "delete"]), max_size=4),
)
async def test_anything_goes_there_and_back_byte_for_byte(
    open_pair: Callable[[], Pair], records: list[Ticket | Article], told: list[Summary], checkpoints: list[Checkpoint], how: list[str]
) -> None:
    pair = open_pair()
    await _fill(pair.one, records, told, checkpoints, how)
    before, between = await everything_in(pair.one), (pair.one.storage, pair.other.storage, pair.one.company_id)

    await start_migration(*between)
    verified = await verify_migration(*between, depth=Depth.CONTENT)
    await cut_over(*between)
    there = await everything_in(pair.other)
    await roll_back(*between)
    await finish_migration(*between, delete=True)

    assert verified.is_verified, verified.differences
    assert there == before
    assert await everything_in(pair.one) == before
    assert _payloads(there) == _payloads(before)


async def _fill(desk: Desk, records: list[Ticket | Article], told: list[Summary], checkpoints: list[Checkpoint], how: list[str]) -> None:
    """Give a company these records, with summaries of any content, and processing of every kind."""
    await desk.keep(a_ticket("always there"), *records)
    keys = [a_ticket("always there").key, *(record.key for record in records)]
    for number, summary in enumerate(told):
        await desk.summarise(evolve(summary, key=keys[number % len(keys)]))
    for checkpoint in checkpoints:
        await desk.keep_checkpoint(checkpoint)
    await desk.suppress(a_suppression())
    for what in how:
        await _work(desk, what, keys[-1].platform)


async def _work(desk: Desk, what: str, platform: str) -> None:
    now = desk.storage.clock()
    if what == "delete":
        for copy in await everything_in(desk):
            if isinstance(copy.value, Ticket) and copy.value.ticket_id != "always there":
                await desk.delete(copy.value)
                return
    for taken in await desk.claim(platform=platform):
        if what == "complete":
            await desk.settle(taken.completed(now=now), token_of(taken))
        elif what == "fail":
            await desk.settle(taken.failed("no answer \U0001f642", now=now, retry_at=now), token_of(taken))


def _payloads(copies: list[Copy]) -> list[bytes]:
    return [copy.value.payload for copy in copies if isinstance(copy.value, Ticket | Article)]
