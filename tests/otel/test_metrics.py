"""What is counted: durations, rows, records and claims as they happen; the cache, the pool and mirrors when somebody looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from deskstore.adapters.embedded.redis import RedisServer
from deskstore.adapters.file import FileStorage
from deskstore.adapters.hybrid import HybridStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.observing import ObservedStorage
from deskstore.adapters.postgres import Limits, PostgresStorage
from deskstore.adapters.redis import CachedStorage
from deskstore.domain.ports import Caching, Inspectable, Measured
from deskstore.services.importing import import_records
from deskstore.services.processing import claim_tickets, complete
from deskstore.services.tickets import get_ticket, save_ticket, save_tickets
from tests.hybrid.switches import Switch
from tests.otel.seeing import Seen
from tests.payloads import as_bytes, freshdesk
from tests.redis.broken import PATIENT

DESK = "freshdesk"


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with RedisServer() as server:
        yield server.url


@pytest.fixture
async def cached(redis_url: str, seen: Seen) -> AsyncIterator[ObservedStorage]:
    """An observed storage with the cache before it, which waits for Redis however busy the machine is."""
    opened = ObservedStorage(CachedStorage(MemoryStorage(), redis_url, limits=PATIENT), seen.observer, adapter="postgresql")
    yield opened
    await opened.aclose()


async def test_durations_say_how_often_something_was_done(company_id: str, seen: Seen) -> None:
    storage = ObservedStorage(MemoryStorage(), seen.observer, adapter="memory")

    for number in range(3):
        await save_ticket(storage, company_id, DESK, freshdesk(number))
    await get_ticket(storage, company_id, DESK, "1")

    assert seen.metric("deskstore.use_case.duration", operation="save_ticket", adapter="memory", platform=DESK) == 3
    assert seen.metric("deskstore.storage.duration", operation="commit") == 3
    assert seen.metric("deskstore.rows", operation="find") == 1


async def test_records_and_rejects_are_counted_by_what_became_of_them(company_id: str, seen: Seen, tmp_path: Path) -> None:
    storage = ObservedStorage(MemoryStorage(), seen.observer, adapter="memory")
    await save_tickets(storage, company_id, DESK, [as_bytes(freshdesk(0)), as_bytes(freshdesk(1) | {"status": 3})])
    export = tmp_path / "export.json"
    export.write_bytes(as_bytes([freshdesk(number) for number in range(4)] + [{"subject": "no id"}]))

    await import_records(storage, company_id, DESK, [export])

    outcomes = ("created", "updated", "unchanged", "rejected")
    assert [seen.metric("deskstore.records", outcome=outcome) for outcome in outcomes] == [4, 1, 1, 1]


async def test_no_metric_tells_the_company(company_id: str, seen: Seen) -> None:
    storage = ObservedStorage(MemoryStorage(), seen.observer, adapter="memory")

    await save_ticket(storage, company_id, DESK, freshdesk(1))

    told = {key for _, attributes, _ in seen.points() for key in attributes}
    assert told == {"adapter", "operation", "outcome", "platform"}


async def test_hits_and_misses_of_the_cache_are_counted(company_id: str, seen: Seen, cached: ObservedStorage) -> None:
    await save_ticket(cached, company_id, DESK, freshdesk(1))

    while not _asked(seen, "hits"):  # what was just written may be kept away for a moment
        await get_ticket(cached, company_id, DESK, "1")

    assert _asked(seen, "hits") == 1
    assert _asked(seen, "misses") >= 1
    await cached.aclose()
    assert _asked(seen, "hits") == 1


async def test_a_unit_with_changes_reads_past_the_cache_also_when_it_is_observed(
    company_id: str, seen: Seen, cached: ObservedStorage
) -> None:
    await save_tickets(cached, company_id, DESK, [freshdesk(1), freshdesk(2)])
    ticket = await get_ticket(cached, company_id, DESK, "1")
    before = {result: _asked(seen, result) for result in ("hits", "misses", "bypasses")}

    async with cached.unit_of_work(company_id) as uow:
        uow.tickets.delete(ticket.key, version=ticket.version)
        await uow.tickets.find(DESK, "2")
        await uow.commit()

    assert {result: _asked(seen, result) - number for result, number in before.items()} == {"hits": 0, "misses": 0, "bypasses": 1}


async def test_connections_of_the_pool_are_seen_while_they_are_used(company_id: str, seen: Seen, postgres_url: str) -> None:
    beneath = PostgresStorage(postgres_url, limits=Limits(connections=3))
    storage = ObservedStorage(beneath, seen.observer, adapter="postgresql")
    await save_ticket(storage, company_id, DESK, freshdesk(1))

    reading = asyncio.create_task(get_ticket(storage, company_id, DESK, "1"))
    used = 0.0
    while not reading.done():
        await asyncio.sleep(0)
        used = max(used, seen.metric("deskstore.pool.in_use"))

    assert used == 1
    assert (seen.metric("deskstore.pool.in_use"), seen.metric("deskstore.pool.limit"), seen.metric("deskstore.retries")) == (0, 3, 0)
    await storage.aclose()


async def test_a_mirror_that_does_not_follow_is_seen_and_so_is_one_that_caught_up(company_id: str, seen: Seen) -> None:
    far = Switch(MemoryStorage())
    sides = [ObservedStorage(one, seen.observer, adapter=name, is_side=True) for name, one in (("file", MemoryStorage()), ("far", far))]
    hybrid = HybridStorage(*sides)
    storage = ObservedStorage(hybrid, seen.observer, adapter="hybrid")
    await save_ticket(storage, company_id, DESK, freshdesk(1))
    await hybrid.drained(company_id)
    far.is_off = True

    await save_ticket(storage, company_id, DESK, freshdesk(2))
    while not seen.metric("deskstore.mirror.down"):  # noqa: ASYNC110 - a metric tells nobody that it changed
        await asyncio.sleep(0.01)

    assert seen.metric("deskstore.mirror.waiting") == 1
    assert seen.metric("deskstore.mirror.lag") > 0
    far.is_off = False
    while seen.metric("deskstore.mirror.waiting"):  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.01)
    assert (seen.metric("deskstore.mirror.lag"), seen.metric("deskstore.mirror.down")) == (0, 0)
    assert seen.metric("deskstore.rows", operation="copy", adapter="far") > 0
    await storage.aclose()


async def test_what_both_sides_and_their_storage_see_is_counted_once(company_id: str, seen: Seen) -> None:
    sides = [ObservedStorage(MemoryStorage(), seen.observer, adapter=name, is_side=True) for name in ("file", "postgresql")]
    storage = ObservedStorage(HybridStorage(*sides), seen.observer, adapter="hybrid")

    await save_ticket(storage, company_id, DESK, freshdesk(1))
    (claimed,) = await claim_tickets(storage, company_id, DESK, 1, worker="w")
    await complete(storage, company_id, claimed)

    assert seen.metric("deskstore.records", outcome="created") == 1
    assert [seen.metric("deskstore.claims", outcome=outcome) for outcome in ("taken", "completed")] == [1, 1]
    assert {"hybrid", "file"} <= {attributes["adapter"] for name, attributes, _ in seen.points() if name == "deskstore.storage.duration"}
    await storage.aclose()


async def test_the_operations_of_a_side_stand_within_those_of_its_storage(company_id: str, seen: Seen) -> None:
    sides = [ObservedStorage(MemoryStorage(), seen.observer, adapter=name, is_side=True) for name in ("file", "postgresql")]
    storage = ObservedStorage(HybridStorage(*sides), seen.observer, adapter="hybrid")

    await save_ticket(storage, company_id, DESK, freshdesk(1))

    outer = next(
        one for one in seen.spans("deskstore.storage.commit") if one.attributes and one.attributes["deskstore.adapter"] == "hybrid"
    )
    assert "deskstore.storage.commit" in seen.within(outer)
    await storage.aclose()


async def test_what_is_copied_in_the_background_is_no_part_of_what_wrote_it(company_id: str, seen: Seen) -> None:
    sides = [ObservedStorage(MemoryStorage(), seen.observer, adapter=name, is_side=True) for name in ("file", "postgresql")]
    hybrid = HybridStorage(*sides)
    storage = ObservedStorage(hybrid, seen.observer, adapter="hybrid")

    with seen.tracer.start_as_current_span("a request"):
        await save_ticket(storage, company_id, DESK, freshdesk(1))
    while not seen.spans("deskstore.storage.copy"):  # noqa: ASYNC110 - a span tells nobody that it ended
        await asyncio.sleep(0.01)

    assert {span.parent for span in seen.spans("deskstore.storage.copy")} == {None}
    await storage.aclose()


async def test_several_storages_of_one_process_are_counted_together(seen: Seen) -> None:
    first, second = (_Counting({"retries": 2, "mirror.lag_s": lag, "unknown": 7}) for lag in (1.5, 4.0))
    observed = [ObservedStorage(one, seen.observer, adapter="memory") for one in (first, second)]

    assert (seen.metric("deskstore.retries"), seen.metric("deskstore.mirror.lag")) == (4, 4.0)

    await observed[1].aclose()
    assert (seen.metric("deskstore.retries"), seen.metric("deskstore.mirror.lag")) == (4, 1.5)


def test_an_observed_storage_offers_what_the_one_beneath_offers(seen: Seen, tmp_path: Path, redis_url: str) -> None:
    files = ObservedStorage(FileStorage(tmp_path), seen.observer, adapter="file")
    cached = ObservedStorage(CachedStorage(MemoryStorage(), redis_url), seen.observer, adapter="postgresql")

    assert [isinstance(files, port) for port in (Inspectable, Caching, Measured)] == [True, False, True]
    assert [isinstance(cached, port) for port in (Inspectable, Caching, Measured)] == [True, True, True]


async def test_what_only_a_hybrid_storage_offers_is_offered(company_id: str, seen: Seen) -> None:
    storage = ObservedStorage(HybridStorage(MemoryStorage(), MemoryStorage()), seen.observer, adapter="hybrid")
    await save_ticket(storage, company_id, DESK, freshdesk(1))

    await vars(storage)["drained"](company_id)

    assert (await vars(storage)["lag"](company_id)).debts == 0
    await storage.aclose()


def _asked(seen: Seen, result: str) -> float:
    """How many values the cache was asked for with that result."""
    return seen.metric("deskstore.cache.values", result=result)


class _Counting(MemoryStorage):
    """A storage with figures of its own."""

    def __init__(self, figures: Mapping[str, float]) -> None:
        super().__init__()
        self._figures = figures

    def figures(self) -> Mapping[str, float]:
        """Those it was given."""
        return self._figures
