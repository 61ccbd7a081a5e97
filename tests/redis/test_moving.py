"""The cache while companies move: what stood in Redis before a swap is not read after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from attrs import evolve

from deskstore.adapters.embedded.redis import RedisServer
from deskstore.adapters.file import FileStorage
from deskstore.adapters.hybrid import HybridStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.redis import CachedStorage
from deskstore.domain.ports import Storage
from deskstore.domain.records import Ticket
from deskstore.domain.swapping import swap
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket, an_article
from tests.redis.broken import PATIENT
from tests.redis.clients import Client
from tests.redis.moving import MOVES, race_while_moving

KEY = a_ticket().key
READS = 1_000
BRIEF = evolve(PATIENT, value_s=1.0, tombstone_s=1.0)
LASTING = evolve(PATIENT, value_s=600.0, tombstone_s=600.0)


@pytest.fixture
async def far(shared_postgres_url: str) -> AsyncIterator[PostgresStorage]:
    opened = PostgresStorage(shared_postgres_url)
    yield opened
    await opened.aclose()


@pytest.fixture
async def near(tmp_path: Path) -> AsyncIterator[FileStorage]:
    opened = FileStorage(tmp_path / "near")
    yield opened
    await opened.aclose()


async def move(hybrid: HybridStorage, company_id: str) -> None:
    """Let a company change sides."""
    company = hybrid.company(company_id)
    primary = (await company.locate()).primary
    assert primary is not None
    await swap(company.sides(primary))


async def described(desk: Desk) -> object:
    found = await desk.find(KEY)
    assert isinstance(found, Ticket)
    return found.data["description"]


async def describe(desk: Desk, text: str) -> None:
    found = await desk.find(KEY)
    await desk.kept(evolve(a_ticket(text=text), version=found.version if found else 0))


async def read_until_cached(desk: Desk, cached: CachedStorage) -> int:
    """Read a few times; how many values came from Redis."""
    before = cached.cache.ledger.all.hits
    for _ in range(5):
        await desk.find(KEY)
        await asyncio.sleep(0.01)
    return cached.cache.ledger.all.hits - before


async def write_unseen(desk: Desk, reader: Desk, hybrid: HybridStorage, elsewhere: CachedStorage) -> int:
    """Let a reader of the database cache a company that then goes back, is written and returns; how many values came from Redis."""
    await describe(desk, "old")
    await move(hybrid, desk.company_id)
    was_cached = await read_until_cached(reader, elsewhere)
    await move(hybrid, desk.company_id)
    await describe(desk, "new")
    await move(hybrid, desk.company_id)
    return was_cached


async def test_only_what_lives_in_the_database_comes_from_redis(near: FileStorage, far: Storage, own_redis: RedisServer) -> None:
    cached = CachedStorage(far, own_redis.url, limits=PATIENT)
    hybrid = HybridStorage(near, cached)
    desk = Desk(hybrid, a_new_company())
    await describe(desk, "in files")

    in_files = await read_until_cached(desk, cached)
    await move(hybrid, desk.company_id)
    in_database = await read_until_cached(desk, cached)
    await move(hybrid, desk.company_id)
    in_files_again = await read_until_cached(desk, cached)

    assert (in_files, in_files_again) == (0, 0)
    assert in_database > 0
    await hybrid.stop_draining()
    await cached.cache.connection.aclose()


async def test_what_was_cached_before_a_rollback_is_not_read_after_the_next_cutover(
    near: FileStorage, far: Storage, own_redis: RedisServer
) -> None:
    cached, elsewhere = (CachedStorage(far, own_redis.url, limits=PATIENT) for _ in range(2))
    hybrid = HybridStorage(near, cached)
    desk = Desk(hybrid, a_new_company())
    reader = Desk(elsewhere, desk.company_id)  # a process that knows of the database alone

    was_cached = await write_unseen(desk, reader, hybrid, elsewhere)

    assert was_cached > 0
    assert await described(reader) == "new"
    assert await described(desk) == "new"
    await hybrid.stop_draining()
    await asyncio.gather(cached.cache.connection.aclose(), elsewhere.cache.connection.aclose())


async def test_whoever_moves_a_company_and_tells_redis_nothing_is_found_out(
    near: FileStorage, far: Storage, own_redis: RedisServer
) -> None:
    elsewhere, hybrid = CachedStorage(far, own_redis.url, limits=LASTING), HybridStorage(near, far)
    desk = Desk(hybrid, a_new_company())
    reader = Desk(elsewhere, desk.company_id)

    await write_unseen(desk, reader, hybrid, elsewhere)

    assert await described(reader) == "old"
    await hybrid.stop_draining()
    await elsewhere.cache.connection.aclose()


async def test_where_whoever_moves_a_company_knows_of_no_cache_old_values_end_by_themselves(
    near: FileStorage, far: Storage, own_redis: RedisServer
) -> None:
    elsewhere, hybrid = CachedStorage(far, own_redis.url, limits=BRIEF), HybridStorage(near, far)
    desk = Desk(hybrid, a_new_company())
    reader = Desk(elsewhere, desk.company_id)

    was_cached = await write_unseen(desk, reader, hybrid, elsewhere)
    await asyncio.sleep(BRIEF.value_s + 0.1)

    assert was_cached > 0
    assert await described(reader) == "new"
    await hybrid.stop_draining()
    await elsewhere.cache.connection.aclose()


async def test_a_unit_with_changes_of_its_own_does_not_ask_redis_on_both_sides_either(own_redis: RedisServer, client: Client) -> None:
    assert await client.dbsize() == 0
    cached = CachedStorage(MemoryStorage(), own_redis.url, limits=PATIENT)
    hybrid = HybridStorage(MemoryStorage(), cached, prefers_far=True)
    desk = Desk(hybrid, "acme")
    await describe(desk, "text")
    await read_until_cached(desk, cached)
    before = cached.cache.ledger.all.hits

    async with hybrid.unit_of_work("acme") as uow:
        uow.articles.save(an_article())
        await uow.tickets.find(KEY.platform, KEY.id)
        await uow.commit()

    assert before > 0
    assert cached.cache.ledger.all.hits == before
    await hybrid.stop_draining()
    await cached.cache.connection.aclose()


@pytest.mark.parametrize("name", MOVES)
async def test_nothing_old_is_read_while_companies_move(name: str, own_redis: RedisServer, seed: int) -> None:
    result, moves = await race_while_moving(MOVES[name], MemoryStorage(), MemoryStorage(), own_redis, reads=READS, seed=seed)

    assert result.judge.faults == []
    assert result.judge.reads >= READS
    assert moves > 0
