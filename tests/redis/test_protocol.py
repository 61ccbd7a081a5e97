"""The steps of the protocol, one after the other in the orders that matter."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import timedelta

import pytest
from attrs import evolve

from deskstore.adapters.embedded.redis import RedisServer
from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.redis import CachedStorage
from deskstore.adapters.redis.company import Place, new_name
from deskstore.adapters.redis.names import Names
from deskstore.domain.changes import Changes, Committed, SaveRecord
from deskstore.domain.errors import CommitOutcomeUnknown, VersionConflict
from deskstore.domain.identifiers import Key
from deskstore.domain.mirror import copy_of
from deskstore.domain.ports import Backend, BeforeCommit, Storage
from deskstore.domain.records import Ticket
from deskstore.domain.wrapping import WrappedStorage
from deskstore.testing.desk import Desk
from deskstore.testing.faults import FaultyStorage, lost_answer
from deskstore.testing.makers import a_summary, a_ticket, an_article
from tests.redis.broken import PATIENT, SOON
from tests.redis.clients import Client

KEY = a_ticket().key
PLACE: Place = ("ticket", KEY)
NAMES = Names("acme")
VALUE = NAMES.value("ticket", KEY)


@pytest.fixture
async def desk(storage: CachedStorage) -> Desk:
    """A company with a ticket that was read twice, and so is in Redis."""
    made = Desk(storage, "acme")
    await made.kept(a_ticket())
    await warm(made)
    return made


async def warm(desk: Desk) -> None:
    """Read until it comes from Redis."""
    await desk.find(KEY)
    await asyncio.sleep(0.01)  # a company begins with a moment in which nothing is kept
    await desk.find(KEY)


async def change(desk: Desk, text: str = "other") -> None:
    stored = await desk.find(KEY)
    assert isinstance(stored, Ticket)
    await desk.kept(evolve(a_ticket(text=text), version=stored.version))


def hits(desk: Desk) -> int:
    assert isinstance(desk.storage, CachedStorage)
    return desk.storage.cache.ledger.all.hits


async def test_what_was_read_comes_from_redis(desk: Desk, client: Client) -> None:
    before = hits(desk)

    found = await desk.find(KEY)

    assert hits(desk) == before + 1
    assert isinstance(found, Ticket)
    assert found.payload == a_ticket().payload
    assert 0 < await client.pttl(VALUE) <= 30_000


async def test_everything_in_redis_ends_by_itself(desk: Desk, client: Client) -> None:
    await desk.storage.claim("acme", KEY.platform, 1, worker="w", lease=timedelta(minutes=1))
    await change(desk)

    lives = {name: await client.pttl(name) for name in await client.keys("*")}

    assert len(lives) > 2
    assert min(lives.values()) > 0


async def test_a_unit_with_changes_of_its_own_does_not_ask_redis(desk: Desk) -> None:
    before = hits(desk)

    async with desk.storage.unit_of_work("acme") as uow:
        uow.articles.save(an_article())
        await uow.tickets.find(KEY.platform, KEY.id)
        await uow.commit()

    assert hits(desk) == before


class Looking(WrappedStorage):
    """A storage that looks at Redis right before each COMMIT, and holds nothing up."""

    def __init__(self, beneath: Storage, client: Client) -> None:
        super().__init__(beneath)
        self.seen: list[bytes | None] = []
        self._client = client

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        async def at_last(changes: Changes) -> None:
            self.seen.append(await self._client.get(VALUE))
            if before_commit is not None:
                await before_commit(changes)
            self.seen.append(await self._client.get(VALUE))

        return await super().apply(backend, changes, at_last)


async def test_tombstones_are_set_while_the_rows_are_locked_and_go_after_the_commit(own_redis: RedisServer, client: Client) -> None:
    looking = Looking(MemoryStorage(), client)
    desk = Desk(CachedStorage(looking, own_redis.url, limits=PATIENT), "acme")
    await desk.kept(a_ticket())
    await warm(desk)

    await change(desk)

    with_locks, at_commit = (seen[:1] if seen else None for seen in looking.seen[-2:])
    assert (with_locks, at_commit) == (b"=", b"!")
    assert b"other" in (await client.get(VALUE) or b"")
    await desk.storage.aclose()


async def test_what_another_unit_keeps_away_does_not_come_back_with_ours(storage: CachedStorage, client: Client) -> None:
    company, first, second = storage.company("acme"), new_name(), new_name()
    await company.bury(first, [PLACE])
    await company.bury(second, [PLACE])

    await company.release(first, [PLACE])
    stands = await client.get(VALUE)
    await company.release(second, [PLACE])

    assert stands == f"!{second}".encode()
    assert await client.get(VALUE) is None


@pytest.mark.usefixtures("desk")
async def test_whoever_read_before_a_tombstone_keeps_nothing_after_it(storage: CachedStorage, client: Client) -> None:
    await client.delete(VALUE)
    company, name = storage.company("acme"), new_name()

    async def slow(keys: Collection[Key]) -> Mapping[Key, Ticket]:
        found = await storage.beneath.backend("acme").tickets.find_many(keys)
        await company.bury(name, [PLACE])
        await company.release(name, [PLACE])
        return found

    found = await company.read("ticket", [KEY], slow)

    assert KEY in found
    assert await client.get(VALUE) is None


@pytest.mark.parametrize("loss", ["lease", "generation", "everything"])
@pytest.mark.usefixtures("desk")
async def test_whoever_reads_while_redis_forgets_keeps_nothing(storage: CachedStorage, client: Client, loss: str) -> None:
    await client.delete(VALUE)
    company = storage.company("acme")

    async def slow(keys: Collection[Key]) -> Mapping[Key, Ticket]:
        found = await storage.beneath.backend("acme").tickets.find_many(keys)
        lost = {"lease": [NAMES.lease("ticket", KEY)], "generation": NAMES.generations(), "everything": await client.keys("*")}
        await client.delete(*lost[loss])
        return found

    await company.read("ticket", [KEY], slow)

    assert await client.get(VALUE) is None


@pytest.mark.usefixtures("desk")
async def test_of_two_readers_one_keeps_the_value(storage: CachedStorage, client: Client) -> None:
    await client.delete(VALUE)
    company = storage.company("acme")

    async def meanwhile(keys: Collection[Key]) -> Mapping[Key, Ticket]:
        await company.read("ticket", keys, storage.beneath.backend("acme").tickets.find_many)
        inner.append(await client.get(VALUE))
        return await storage.beneath.backend("acme").tickets.find_many(keys)

    inner: list[bytes | None] = []
    await company.read("ticket", [KEY], meanwhile)

    assert inner == [None]
    assert await client.get(VALUE) is not None


async def test_after_redis_was_emptied_nothing_is_kept_for_a_while(own_redis: RedisServer, client: Client) -> None:
    storage = CachedStorage(MemoryStorage(), own_redis.url, limits=evolve(PATIENT, settling_s=0.3))
    desk = Desk(storage, "acme")
    await desk.kept(a_ticket())

    for _ in range(3):
        await desk.find(KEY)
    kept = await client.get(VALUE)
    await asyncio.sleep(0.31)
    await desk.find(KEY)

    assert kept is None
    assert await client.get(VALUE) is not None
    await storage.aclose()


async def test_two_who_close_a_generation_both_have_to_open_it(desk: Desk, storage: CachedStorage) -> None:
    company, first, second = storage.company("acme"), new_name(), new_name()
    await company.close(first)
    await company.close(second)

    await company.open(first)
    before = hits(desk)
    for _ in range(3):
        await desk.find(KEY)
    was_closed = hits(desk) == before
    await company.open(second)
    for _ in range(3):
        await desk.find(KEY)

    assert was_closed
    assert hits(desk) > before


async def test_of_two_who_close_a_generation_one_that_died_is_forgotten(own_redis: RedisServer, client: Client) -> None:
    storage = CachedStorage(MemoryStorage(), own_redis.url, limits=evolve(PATIENT, tombstone_s=0.2))
    desk = Desk(storage, "acme")
    await desk.kept(a_ticket())
    company, dead, alive = storage.company("acme"), new_name(), new_name()
    await company.close(dead)
    await asyncio.sleep(0.15)
    await company.close(alive)
    await asyncio.sleep(0.1)

    await company.open(alive)
    await warm(desk)

    assert await client.get(VALUE) is not None
    await storage.aclose()


async def test_a_claim_ends_what_is_cached_of_its_own_tickets_alone(desk: Desk, client: Client) -> None:
    other = a_ticket("43", text="later")
    await desk.kept(other)
    for _ in range(2):
        async with desk.storage.unit_of_work("acme") as uow:
            await uow.progress.find_many([KEY])
            await uow.progress.find_many([other.key])
        await asyncio.sleep(0.01)
    values = [NAMES.value("processing", key) for key in (KEY, other.key)]
    before = await client.mget(values)

    (taken,) = await desk.storage.claim("acme", KEY.platform, 1, worker="w", lease=timedelta(minutes=1))

    gone, kept = values[::1] if taken.key == KEY else values[::-1]
    assert None not in before
    assert await client.get(gone) is None
    assert await client.get(kept) is not None
    async with desk.storage.unit_of_work("acme") as uow:
        assert await uow.progress.find(taken.key.platform, taken.key.id) == taken
        found = hits(desk)
        await uow.progress.find_many([KEY if taken.key == other.key else other.key])
    assert hits(desk) == found + 1


async def test_a_unit_that_is_discarded_leaves_no_value(desk: Desk, client: Client) -> None:
    with pytest.raises(_NotNow):
        async with desk.storage.unit_of_work("acme") as uow:
            uow.tickets.save(a_ticket("43", text="never"))
            await uow.tickets.find(KEY.platform, "43")
            raise _NotNow

    assert [name for name in await client.keys("*") if b":43" in name] == []


async def test_a_unit_that_fails_leaves_no_value(desk: Desk, storage: CachedStorage, client: Client) -> None:
    async def refuse(_: Changes) -> None:
        raise _NotNow

    stored = await desk.find(KEY)
    assert isinstance(stored, Ticket)
    with pytest.raises(_NotNow):
        await storage.backend("acme").apply(Changes(records=(SaveRecord(evolve(a_ticket(text="never"), version=stored.version)),)), refuse)

    assert await desk.find(KEY) == stored
    kept = await client.get(VALUE)
    assert kept is None or b"never" not in kept


async def test_where_nobody_knows_whether_a_commit_took_place_the_value_stays_away(own_redis: RedisServer, client: Client) -> None:
    faulty = FaultyStorage(MemoryStorage())
    desk = Desk(CachedStorage(faulty, own_redis.url, limits=PATIENT), "acme")
    await desk.kept(a_ticket())
    await warm(desk)
    faulty.commits.extend(lost_answer())

    with pytest.raises(CommitOutcomeUnknown):
        await change(desk)

    assert (await client.get(VALUE) or b"")[:1] == b"!"
    found = await desk.find(KEY)
    assert isinstance(found, Ticket)
    assert found.data["description"] == "other"
    await desk.storage.aclose()


async def test_a_unit_that_was_led_astray_by_an_old_value_reads_the_database_next(desk: Desk, storage: CachedStorage) -> None:
    old = await desk.find(KEY)
    outsider = Desk(storage.beneath, "acme")
    await change(outsider)
    assert await desk.find(KEY) == old  # a writer that knows of no cache: until the value ends

    with pytest.raises(VersionConflict):
        await change(desk)

    assert await desk.find(KEY) == await outsider.find(KEY) != old


async def test_whoever_could_not_tell_redis_of_a_commit_does_not_read_the_old_value(own_redis: RedisServer, desk: Desk) -> None:
    assert isinstance(desk.storage, CachedStorage)
    mine = Desk(CachedStorage(desk.storage.beneath, own_redis.url, limits=SOON), "acme")
    old = await mine.find(KEY)

    await asyncio.to_thread(own_redis.freeze)
    async with mine.storage.unit_of_work("acme") as uow:
        assert old is not None
        uow.tickets.save(evolve(a_ticket(text="other"), version=old.version))
        await uow.commit()
    await asyncio.to_thread(own_redis.thaw)

    found = await mine.find(KEY)
    await mine.storage.aclose()
    assert isinstance(found, Ticket)
    assert found.data["description"] == "other"


async def test_copies_end_every_value_of_the_company(desk: Desk, storage: CachedStorage) -> None:
    stored = await desk.find(KEY)
    assert isinstance(stored, Ticket)

    newer = evolve(a_ticket(text="restored"), version=stored.version + 1)
    await storage.replica("acme").apply([copy_of(newer)], epoch=None)

    assert await desk.find(KEY) == newer


async def test_a_flush_ends_every_value_of_a_company_and_of_no_other(desk: Desk, storage: CachedStorage) -> None:
    other = Desk(storage, "globex")
    await other.kept(a_ticket())
    await warm(other)

    await storage.flush_cache("acme")
    before = hits(desk)
    await desk.find(KEY)
    after_flush = hits(desk)
    await other.find(KEY)

    assert after_flush == before
    assert hits(desk) == before + 1


async def test_nothing_is_left_of_an_erased_company_once_its_values_have_ended(own_redis: RedisServer, client: Client) -> None:
    storage = CachedStorage(MemoryStorage(), own_redis.url, limits=evolve(PATIENT, value_s=0.3, tombstone_s=0.3, lease_s=0.3))
    desk = Desk(storage, "acme")
    await desk.kept(a_ticket())
    await warm(desk)

    await storage.erase("acme")
    found = await desk.find(KEY)
    await asyncio.sleep(0.4)

    assert found is None
    assert await client.keys("*") == []
    await storage.aclose()


async def test_what_nobody_should_have_put_there_is_removed_and_read_anew(desk: Desk, client: Client) -> None:
    stored = await desk.find(KEY)
    kept = await client.get(VALUE) or b""
    for planted in (b"garbage", kept[:-3], kept.replace(b"acme", b"evil"), b"!not a tombstone"):
        await client.set(VALUE, planted)

        assert await desk.find(KEY) == stored
        assert await client.get(VALUE) not in (planted, None)
    await client.delete(VALUE)
    await client.rpush(VALUE, b"a list")

    assert await desk.find(KEY) == stored
    assert await client.type(VALUE) in (b"none", b"string")


async def test_a_large_unit_ends_every_value_and_lets_new_ones_come(desk: Desk) -> None:
    async with desk.storage.unit_of_work("acme") as uow:
        for number in range(120):
            uow.tickets.save(a_ticket(f"n{number}"))
        await uow.commit()
    heads = await desk.storage.backend("acme").tickets.heads([KEY, *(a_ticket(f"n{number}").key for number in range(120))])
    async with desk.storage.unit_of_work("acme") as uow:
        for key, head in heads.items():
            uow.tickets.save(evolve(a_ticket(key.id, text="all new"), version=head.version))
        await uow.commit()

    found = await desk.find(KEY)

    assert isinstance(found, Ticket)
    assert found.data["description"] == "all new"
    before = hits(desk)
    await warm(desk)
    await desk.find(KEY)
    assert hits(desk) > before


async def test_new_tickets_leave_what_is_cached_alone(desk: Desk) -> None:
    async with desk.storage.unit_of_work("acme") as uow:
        for number in range(300):
            uow.tickets.save(a_ticket(f"n{number}"))
            uow.summaries.add(a_summary(a_ticket(f"n{number}").key))
        await uow.commit()
    before = hits(desk)

    await desk.find(KEY)

    assert hits(desk) == before + 1


async def test_a_read_of_several_is_of_one_moment(desk: Desk, client: Client) -> None:
    other = a_ticket("43")
    await desk.kept(other)
    await client.delete(NAMES.value("ticket", other.key))
    before = hits(desk)

    async with desk.storage.unit_of_work("acme") as uow:
        found = await uow.tickets.find_many([KEY, other.key])  # one of them is in Redis, the other is not

    assert found.keys() == {KEY, other.key}
    assert hits(desk) == before


class _NotNow(Exception):
    """What a decorator raises that is no error of ours."""
