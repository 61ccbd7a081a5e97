"""What Redis can be: a cluster, behind TLS, with a user a company; and what it may never do to whoever reads."""

import asyncio
import shutil
import ssl
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles
from time import monotonic
from urllib.parse import urlsplit

import pytest
from redis.exceptions import NoPermissionError

from deskstore.adapters.embedded.ports import HOST
from deskstore.adapters.embedded.redis import RedisServer
from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.redis import CachedStorage
from deskstore.adapters.redis.names import Names
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket
from tests.redis.broken import BROKEN, PATIENT, SOON
from tests.redis.clients import Client, client_at
from tests.redis.faults import client_of

KEY = a_ticket().key
CERTIFICATE = Path(__file__).parent / "localhost.pem"  # of nobody: made for this test, and worth nothing anywhere else
#: what a user of one company may do; docs/how-to/redis.md shows the same
MAY = "+mget +eval +evalsha +ping +time +getrange +set +del +pexpire +hincrby +hgetall +info +client|setinfo"


async def read_often(storage: CachedStorage, company_id: str) -> int:
    """Save a ticket, read it a few times, and say how many values came from Redis."""
    desk = Desk(storage, company_id)
    before = storage.cache.ledger.all.hits
    await desk.kept(a_ticket())
    for _ in range(5):
        await desk.find(KEY)
        await asyncio.sleep(0.01)
    return storage.cache.ledger.all.hits - before


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where anybody may write: a server that root starts runs as somebody else."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o777)
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def cluster(folder: Path) -> AsyncIterator[str]:
    """A cluster of one node."""
    with RedisServer(settings={"cluster-enabled": "yes", "cluster-config-file": str(folder / "nodes")}) as server:
        async with client_of(server) as client:
            await client.execute_command("CLUSTER", "ADDSLOTS", *range(16_384))  # a range of them is known from Redis 7 on
            for _ in range(200):
                if "cluster_state:ok" in str(await client.execute_command("CLUSTER", "INFO")):
                    break
                await asyncio.sleep(0.05)
        yield server.url.replace("redis://", "redis+cluster://")


async def test_a_cluster_serves_as_one_server_does(cluster: str) -> None:
    storage = CachedStorage(MemoryStorage(), cluster, limits=PATIENT)

    hits = [await read_often(storage, company_id) for company_id in ("acme", "globex", "a:b")]
    state = await storage.cache_state()
    counts = await storage.cache_counts("acme")
    await storage.flush_cache("acme")
    await storage.aclose()

    assert min(hits) > 1
    assert state.is_answering
    assert counts["misses"] > 0
    assert storage.cache.ledger.all.errors == 0


async def test_a_user_of_one_company_reaches_its_keys_and_no_others(own_redis: RedisServer, client: Client) -> None:
    name = "[a-z]*"
    await client.execute_command("ACL", "SETUSER", "desk", "reset", "on", ">pw", f"~{Names(name).pattern}", *MAY.split())
    parts = urlsplit(own_redis.url)
    url = f"redis://desk:pw@{parts.hostname}:{parts.port}/0"
    storage = CachedStorage(MemoryStorage(), url, limits=PATIENT)
    await client.set(Names("acme").value("ticket", KEY), b"theirs")

    own = await read_often(storage, name)
    foreign = await read_often(storage, "acme")
    async with client_at(url) as user:
        for command in (["GET", "ds:v1:{acme}:ticket:zendesk:42"], ["KEYS", "*"], ["FLUSHALL"], ["CONFIG", "GET", "*"]):
            with pytest.raises(NoPermissionError):
                await user.execute_command(*command)
    await storage.aclose()

    assert own > 1
    assert foreign == 0
    assert await client.get(Names("acme").value("ticket", KEY)) == b"theirs"


async def test_redis_is_reached_through_tls(own_redis: RedisServer) -> None:
    async with behind_tls(own_redis) as url:
        storage = CachedStorage(MemoryStorage(), f"{url}?ssl_ca_certs={CERTIFICATE}", limits=PATIENT)
        stranger = CachedStorage(MemoryStorage(), url, limits=PATIENT)

        known, unknown = await read_often(storage, "acme"), await read_often(stranger, "globex")
        await storage.aclose()
        await stranger.aclose()

    assert known > 1
    assert unknown == 0
    assert stranger.cache.ledger.all.errors > 0


@asynccontextmanager
async def behind_tls(server: RedisServer) -> AsyncGenerator[str]:
    """The same server behind somebody who speaks TLS alone."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection(HOST, server.port)
        await asyncio.gather(pass_on(reader, ours), pass_on(theirs, writer), return_exceptions=True)

    made = await asyncio.start_server(listen, HOST, 0, ssl=context)
    try:
        port = made.sockets[0].getsockname()[1]
        yield server.url.replace("redis://", "rediss://").replace(f":{server.port}/", f":{port}/")
    finally:
        made.close()


@pytest.mark.parametrize("how", ["refused", "silent", "babbling"])
async def test_a_redis_of_no_use_delays_a_few_calls_and_fails_none(how: str) -> None:
    async with BROKEN[how]("") as url:
        storage = CachedStorage(MemoryStorage(), url, limits=SOON)
        took = [await timed(storage, number) for number in range(300)]
        await storage.aclose()

    slow = [one for one in took if one > 0.045]
    assert len(slow) <= 12  # five reads and commits until it is left alone, and what a busy machine adds
    assert quantiles(took[20:], n=100)[98] <= 0.06
    assert max(took[:20]) < 0.5


async def timed(storage: CachedStorage, number: int) -> float:
    """How long a read takes, or now and then a commit."""
    began = monotonic()
    async with storage.unit_of_work("acme") as uow:
        if number % 50 == 0:
            uow.tickets.save(a_ticket(str(number)))
            await uow.commit()
        else:
            await uow.tickets.find(KEY.platform, "0")
    return monotonic() - began


async def test_a_redis_that_stands_still_delays_nobody_for_long_and_is_used_again(own_redis: RedisServer) -> None:
    storage = CachedStorage(MemoryStorage(), own_redis.url, limits=SOON)
    await read_often(storage, "acme")

    await asyncio.to_thread(own_redis.freeze)
    took = [await timed(storage, 1) for _ in range(50)]
    left_alone = not storage.cache.connection.is_open
    await asyncio.to_thread(own_redis.thaw)
    await asyncio.sleep(1.2)
    hits = [await read_often(storage, company_id) for company_id in ("globex", "initech")]
    await storage.aclose()

    assert sum(took) < 3
    assert left_alone
    assert max(hits) > 0


async def test_a_thousand_reads_at_once_wait_for_one_another_and_not_for_redis(own_redis: RedisServer) -> None:
    storage = CachedStorage(MemoryStorage(), own_redis.url, limits=PATIENT)
    await read_often(storage, "acme")

    found = await asyncio.gather(*(Desk(storage, "acme").find(KEY) for _ in range(1_000)))
    await storage.aclose()

    assert {one.key for one in found if one} == {KEY}
    assert None not in found
    assert storage.cache.ledger.all.errors == 0
