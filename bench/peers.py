"""
Peers: other stores for small documents, each used as its documentation advises.

No bars: what they promise differs. Of those here only deskstore keeps a unit of several records whole, checks what it reads, and lets
several processes write; diskcache may lose its last writes at a power cut, TinyDB rewrites one file at each insert, and the original syncs
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
from attrs import frozen

from bench.bars import Samples
from bench.machine import release_of
from bench.measuring import Run, Subject, Trial, interleaved
from bench.original import OriginalStorage
from bench.references import SqliteTable, write_per_record
from bench.stores import find, folder, opened, save
from bench.tickets import COMPANY, PLATFORM, tickets
from deskstore.domain.records import Ticket

ONE_BY_ONE: Final = "one document a call"
TOGETHER: Final = "all documents together"
READ: Final = "read one document"
_PACKAGES: Final = {"diskcache": "diskcache", "TinyDB": "tinydb", "FileTreeStore": "py-key-value-aio"}
_SLOW: Final = 100  #: documents for a peer whose time grows with the square of their number

Document = dict[str, Any]  # Any: whatever a payload holds


class Peer(Protocol):
    """A store that is open."""

    def put(self, ticket: Ticket, /) -> Awaitable[object]:
        """Keep one document."""
        ...

    def put_all(self, batch: Sequence[Ticket], /) -> Awaitable[object]:
        """Keep documents in the fastest way the store knows."""
        ...

    def get(self, ticket_id: str, /) -> Awaitable[object]:
        """Read one document."""
        ...


Opening = Callable[[Path], AbstractAsyncContextManager[Peer]]


@frozen(kw_only=True)
class Comparison:
    """What several stores took for the same work."""

    name: str
    samples: tuple[Samples, ...]  #: seconds a document, ours first

    @property
    def middles(self) -> Sequence[tuple[str, float]]:
        """What each store took, in the middle."""
        return [(one.name, one.middle) for one in self.samples]


async def measure(run: Run) -> list[Comparison]:
    """Every comparison, of the stores that are installed."""
    batch = list(tickets(run.seed, run.sizes.peers))
    stores = installed()
    singly = {name: _writing(run, opening, batch[: _few(name, batch)], one_by_one) for name, opening in stores.items()}
    at_once = {name: _writing(run, opening, batch, together) for name, opening in stores.items()}
    found = {name: reading(partial(_fresh, run, opening), batch) for name, opening in stores.items()}
    return [
        _comparison(ONE_BY_ONE, await interleaved(singly, run.rounds), lambda name: _few(name, batch)),
        comparison(TOGETHER, await interleaved(at_once, run.rounds), len(batch)),
        comparison(READ, await interleaved(found, run.rounds), len(batch)),
    ]


def _few(name: str, batch: Sequence[Ticket]) -> int:
    return min(_SLOW, len(batch)) if name.startswith("TinyDB") else len(batch)


def missing() -> list[str]:
    """The peers that are not installed."""
    return [package for package in _PACKAGES.values() if release_of(package) is None]


def installed() -> Mapping[str, Opening]:
    """The stores to compare, ours first, each with its release."""
    stores: dict[str, Opening] = {"deskstore": _deskstore, "SQLite": _sqlite, "per record": _per_record, "original": _original}
    others = {"diskcache": _diskcache, "TinyDB": _tinydb, "FileTreeStore": _file_tree}
    found = {name: release_of(package) for name, package in _PACKAGES.items()}
    return stores | {f"{name} {found[name]}": opening for name, opening in others.items() if found[name]}


# -- the work ------------------------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _fresh(run: Run, opening: Opening) -> AsyncGenerator[Peer, None]:
    with folder(run) as place:
        async with opening(place) as peer:
            yield peer


def _writing(run: Run, opening: Opening, batch: Sequence[Ticket], work: Callable[[Peer, Sequence[Ticket]], Awaitable[None]]) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial, None]:
        with folder(run) as place:

            async def trial() -> None:
                async with opening(place) as peer:
                    await work(peer, batch)

            yield trial

    return subject


def reading(fresh: Callable[[], AbstractAsyncContextManager[Peer]], batch: Sequence[Ticket]) -> Subject:
    """Finding each of the tickets in a store of its own, which holds them."""

    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial, None]:
        async with fresh() as peer:
            await peer.put_all(batch)

            async def trial() -> None:
                for ticket in batch:
                    await peer.get(ticket.ticket_id)

            yield trial

    return subject


async def one_by_one(peer: Peer, batch: Sequence[Ticket]) -> None:
    """Keep tickets, each for itself."""
    for ticket in batch:
        await peer.put(ticket)


async def together(peer: Peer, batch: Sequence[Ticket]) -> None:
    """Keep tickets in one go."""
    await peer.put_all(batch)


def comparison(name: str, taken: Mapping[str, Samples], documents: int) -> Comparison:
    """What each store took for one of so many documents."""
    return _comparison(name, taken, lambda _: documents)


def _comparison(name: str, taken: Mapping[str, Samples], documents: Callable[[str], int]) -> Comparison:
    each = (Samples(name=who, values=tuple(value / documents(who) for value in one.values)) for who, one in taken.items())
    return Comparison(name=name, samples=tuple(each))


# -- the stores ----------------------------------------------------------------------------------------------------------------------------


@frozen
class _Plain:
    """A store as a few functions that block; asynchronous applications call such functions in a thread."""

    put_one: Callable[[Ticket], object]
    put_many: Callable[[Sequence[Ticket]], object]
    get_one: Callable[[str], object]

    async def put(self, ticket: Ticket) -> None:
        await asyncio.to_thread(self.put_one, ticket)

    async def put_all(self, batch: Sequence[Ticket]) -> None:
        await asyncio.to_thread(self.put_many, batch)

    async def get(self, ticket_id: str) -> object:
        return await asyncio.to_thread(self.get_one, ticket_id)


@frozen
class Awaited:
    """A store as a few functions that are awaited."""

    put: Callable[[Ticket], Awaitable[Any]]  # Any: each store answers in its own way
    put_all: Callable[[Sequence[Ticket]], Awaitable[Any]]
    get: Callable[[str], Awaitable[Any]]


@asynccontextmanager
async def _deskstore(place: Path) -> AsyncGenerator[Peer, None]:
    async with opened(place) as storage:
        yield Awaited(
            lambda ticket: save(storage, [ticket]),
            lambda batch: save(storage, batch),
            lambda ticket_id: find(storage, COMPANY, ticket_id),
        )


@asynccontextmanager
async def _sqlite(place: Path) -> AsyncGenerator[Peer, None]:
    table = SqliteTable(place / "tickets.sqlite3")
    try:
        yield _Plain(lambda ticket: table.save([ticket]), table.save, table.find)
    finally:
        table.close()


@asynccontextmanager
async def _per_record(place: Path) -> AsyncGenerator[Peer, None]:
    yield _Plain(
        lambda ticket: write_per_record(place, [ticket]),
        lambda batch: write_per_record(place, batch),
        lambda ticket_id: orjson.loads((place / f"{ticket_id}.json").read_bytes()),
    )


@asynccontextmanager
async def _original(place: Path) -> AsyncGenerator[Peer, None]:
    storage = OriginalStorage(place)

    async def put(ticket: Ticket) -> None:
        await storage.save_ticket(COMPANY, PLATFORM, _document(ticket))

    async def put_all(batch: Sequence[Ticket]) -> None:
        for ticket in batch:
            await put(ticket)

    yield Awaited(put, put_all, lambda ticket_id: storage.get_ticket(COMPANY, PLATFORM, ticket_id))


@asynccontextmanager
async def _diskcache(place: Path) -> AsyncGenerator[Peer, None]:
    with import_module("diskcache").Cache(str(place)) as cache:

        def put_many(batch: Sequence[Ticket]) -> None:
            with cache.transact():
                for ticket in batch:
                    cache.set(ticket.ticket_id, ticket.payload)

        yield _Plain(lambda ticket: cache.set(ticket.ticket_id, ticket.payload), put_many, cache.get)


@asynccontextmanager
async def _tinydb(place: Path) -> AsyncGenerator[Peer, None]:
    tinydb = import_module("tinydb")
    with tinydb.TinyDB(place / "tickets.json") as documents:
        yield _Plain(
            lambda ticket: documents.insert(_document(ticket)),
            lambda batch: documents.insert_multiple([_document(ticket) for ticket in batch]),
            lambda ticket_id: documents.get(tinydb.where("id") == int(ticket_id)),
        )


@asynccontextmanager
async def _file_tree(place: Path) -> AsyncGenerator[Peer, None]:
    filetree = import_module("key_value.aio.stores.filetree")
    store = filetree.FileTreeStore(
        data_directory=place,
        key_sanitization_strategy=filetree.FileTreeV1KeySanitizationStrategy(place),
        collection_sanitization_strategy=filetree.FileTreeV1CollectionSanitizationStrategy(place),
    )
    yield Awaited(
        lambda ticket: store.put(key=ticket.ticket_id, value=_document(ticket), collection=PLATFORM),
        lambda batch: store.put_many(
            keys=[ticket.ticket_id for ticket in batch], values=[_document(ticket) for ticket in batch], collection=PLATFORM
        ),
        lambda ticket_id: store.get(key=ticket_id, collection=PLATFORM),
    )


def _document(ticket: Ticket) -> Document:
    found: Document = orjson.loads(ticket.payload)
    return found
