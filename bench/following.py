"""What a mirror costs those who write: while it follows, while it is down, and while the sides change places."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

from attrs import evolve, frozen

from bench.bars import (
    DUAL_DOWN,
    DUAL_FILES,
    DUAL_FILES_RATE,
    DUAL_POSTGRES,
    DUAL_POSTGRES_RATE,
    STALL,
    STALL_MS,
    STATE_TRIPS,
    Finding,
    Samples,
)
from bench.databases import Bench, bench_server
from bench.measuring import Run, in_ms, settle, timed
from bench.stores import folder, save
from bench.tickets import COMPANY, PLATFORM, tickets
from deskstore.adapters.file import FileStorage
from deskstore.adapters.hybrid import HybridStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.ports import Storage
from deskstore.domain.records import Ticket
from deskstore.services.migrating import cut_over, roll_back, start_migration, verify_migration
from tests.postgres.proxies import Wire, wire_to

_WRITERS: Final = 8
_KEPT: Final = 2_000  #: tickets of the company before anybody measures
_SWAPS: Final = 2  #: there and back, in a round
_BEFORE_S: Final = 0.75  #: of writing, before and behind each swap
_IN_TURN: Final = 150  #: writes of each kind in a round
_TOGETHER: Final = 100  #: of each writer, until all of it is in the mirror
_WARM: Final = 5  #: trips that prepare statements

_Make = Callable[[Path, str], Storage]


async def measure(run: Run) -> list[Finding]:
    """Every bar of what follows."""
    async with bench_server() as bench:
        return [*await _stalls(run, bench), *await _dual(run, bench), await _down(run, bench), await _trips(bench)]


@frozen
class _Tickets:
    """Tickets that nobody saved before, one after another."""

    some: Sequence[Ticket]
    numbers: Iterator[int]

    def next(self) -> Ticket:
        number = next(self.numbers)
        return evolve(self.some[number % len(self.some)], ticket_id=f"new-{number}")


def _new_tickets(run: Run) -> _Tickets:
    return _Tickets(list(tickets(run.seed, 500)), count(1))


# -- changing places -----------------------------------------------------------------------------------------------------------------------


async def _stalls(run: Run, bench: Bench) -> list[Finding]:
    """Eight writers who write one ticket after another while the company moves there and back."""
    longest: list[float] = []
    usual: list[float] = []
    held_up: list[float] = []
    written = 0
    for _ in range(run.rounds):
        async with _hybrid(run, bench) as hybrid:
            took = await _written_during_swaps(run, hybrid, held_up)
        written += len(took)
        longest.append(max(took))
        usual.append(sorted(took)[math.ceil(0.99 * len(took)) - 1])
    note = f"{_WRITERS} writers, {written:,} writes, {len(held_up)} swaps, which held up for {1e3 * median(held_up):.0f} ms; {in_ms(run)}"
    stall = Samples(name="longest write", values=tuple(longest))
    return [
        Finding(bar=STALL, subject=stall, reference=Samples(name="99 of 100 writes", values=tuple(usual)), note=note),
        Finding(bar=STALL_MS, subject=stall, scale=1e3),
    ]


async def _written_during_swaps(run: Run, hybrid: HybridStorage, held_up: list[float]) -> list[float]:
    """What each write took, in seconds."""
    given, took = _new_tickets(run), list[float]()
    is_over = asyncio.Event()

    async def write() -> None:
        while not is_over.is_set():
            took.append((await timed(partial(save, hybrid, [given.next()])))[0])

    writers = [asyncio.create_task(write()) for _ in range(_WRITERS)]
    try:
        await asyncio.sleep(_BEFORE_S)
        for _ in range(_SWAPS // 2):
            for swap in (cut_over, roll_back):
                held_up.append((await swap(hybrid.near, hybrid.far, COMPANY)).held_up_s)
                await asyncio.sleep(_BEFORE_S)
    finally:
        is_over.set()
        await asyncio.gather(*writers)
    return took


@asynccontextmanager
async def _hybrid(run: Run, bench: Bench) -> AsyncGenerator[HybridStorage]:
    """A company that lives in files, with a verified mirror in PostgreSQL."""
    with folder(run) as place:
        async with bench.fresh() as database:
            hybrid = HybridStorage(FileStorage(place), PostgresStorage(database.app_url))
            try:
                await save(hybrid.near, tickets(run.seed, _KEPT))
                await start_migration(hybrid.near, hybrid.far, COMPANY)
                await verify_migration(hybrid.near, hybrid.far, COMPANY)
                settle()
                yield hybrid
            finally:
                await hybrid.aclose()


# -- writing with a mirror and without -----------------------------------------------------------------------------------------------------


def _files(place: Path, _: str) -> Storage:
    return FileStorage(place / "alone")


def _postgres(_: Path, url: str) -> Storage:
    return PostgresStorage(url)


def _from_files(place: Path, url: str) -> Storage:
    return HybridStorage(FileStorage(place / "hybrid"), PostgresStorage(url))


def _from_postgres(place: Path, url: str) -> Storage:
    return HybridStorage(FileStorage(place / "hybrid"), PostgresStorage(url), prefers_far=True)


async def _dual(run: Run, bench: Bench) -> list[Finding]:
    """Writes in turn, and eight writers until the mirror has it all: with files as the primary, then with PostgreSQL."""
    makes: dict[str, _Make] = {"files": _files, "postgres": _postgres, "from files": _from_files, "from postgres": _from_postgres}
    single: dict[str, list[float]] = {name: [] for name in makes}
    whole: dict[str, list[float]] = {name: [] for name in makes}
    for _ in range(run.rounds):
        for name, make in makes.items():
            async with _opened(run, bench, make) as storage:
                given = _new_tickets(run)
                await save(storage, [given.next()])
                single[name].append(median([await _in_turn(storage, given) for _ in range(_IN_TURN)]))
                await _caught_up(storage)
                settle()
                whole[name].append((await timed(partial(_together, storage, given)))[0])
    return [*_latencies(run, single), *_throughputs(whole)]


@asynccontextmanager
async def _opened(run: Run, bench: Bench, make: _Make) -> AsyncGenerator[Storage]:
    with folder(run) as place:
        async with bench.fresh() as database:
            storage = make(place, database.app_url)
            try:
                yield storage
            finally:
                await storage.aclose()


async def _in_turn(storage: Storage, given: _Tickets) -> float:
    """Seconds that one write took; who else has something to do does it before."""
    began = perf_counter()
    await save(storage, [given.next()])
    took = perf_counter() - began
    await asyncio.sleep(0.005)
    return took


async def _together(storage: Storage, given: _Tickets) -> None:
    async def write() -> None:
        for _ in range(_TOGETHER):
            await save(storage, [given.next()])

    await asyncio.gather(*(write() for _ in range(_WRITERS)))
    await _caught_up(storage)


async def _caught_up(storage: Storage) -> None:
    if isinstance(storage, HybridStorage):
        await storage.drained(COMPANY)


def _latencies(run: Run, took: dict[str, list[float]]) -> list[Finding]:
    samples = {name: Samples(name=name, values=tuple(values)) for name, values in took.items()}
    note = f"units of one ticket, 5 ms apart; the mirror follows in the same process; {in_ms(run)}"
    return [
        Finding(bar=DUAL_FILES, subject=samples["from files"], reference=samples["files"], note=note),
        Finding(bar=DUAL_POSTGRES, subject=samples["from postgres"], reference=samples["postgres"]),
    ]


def _throughputs(took: dict[str, list[float]]) -> list[Finding]:
    samples = {name: Samples(name=name, values=tuple(values)) for name, values in took.items()}
    slower = max((samples["files"], samples["postgres"]), key=lambda one: one.middle)
    reference = evolve(slower, name=f"{slower.name} alone")
    rate = _WRITERS * _TOGETHER / slower.middle
    note = f"{_WRITERS} writers, units of one ticket, until the mirror has them all; the slower store alone: {rate:,.0f} a second"
    return [
        Finding(bar=DUAL_FILES_RATE, subject=samples["from files"], reference=reference, note=note),
        Finding(bar=DUAL_POSTGRES_RATE, subject=samples["from postgres"], reference=reference),
    ]


# -- a mirror that is down -----------------------------------------------------------------------------------------------------------------


async def _down(run: Run, bench: Bench) -> Finding:
    """The same writes to files, with PostgreSQL as the mirror behind a wire that is cut."""
    took: dict[str, list[float]] = {"down": [], "healthy": []}
    for _ in range(run.rounds):
        with folder(run) as place:
            async with bench.fresh() as database, wire_to(database.app_url) as (wire, url):
                storage, given = _from_files(place, url), _new_tickets(run)
                try:
                    await save(storage, [given.next()])
                    took["healthy"].append(median([await _in_turn(storage, given) for _ in range(_IN_TURN)]))
                    _cut(wire)
                    took["down"].append(median([await _in_turn(storage, given) for _ in range(_IN_TURN)]))
                finally:
                    await storage.aclose()
    down, healthy = (Samples(name=name, values=tuple(took[name])) for name in ("down", "healthy"))
    return Finding(bar=DUAL_DOWN, subject=down, reference=healthy, note="files as the primary; every write is acknowledged")


def _cut(wire: Wire) -> None:
    wire.is_down = True
    wire.cut()


# -- trips ---------------------------------------------------------------------------------------------------------------------------------


async def _trips(bench: Bench) -> Finding:
    """What a find sends to PostgreSQL beyond its one trip, and a unit of a company with a mirror beyond one of a company without."""
    extra: list[float] = []
    async with bench.fresh() as database, wire_to(database.app_url) as (wire, url):
        storage = PostgresStorage(url)

        async def sent(act: Callable[[], Awaitable[object]]) -> int:
            before = wire.trips
            await act()
            return wire.trips - before

        async def find() -> None:
            await storage.unit_of_work(COMPANY).tickets.find(PLATFORM, "1")

        given = iter(list(tickets(2, 10 * _WARM)))
        alone = [await sent(partial(save, storage, [next(given)])) for _ in range(2 * _WARM)][_WARM:]
        await find()
        replica = storage.replica(COMPANY)
        state = await replica.state()
        if state is None:
            raise LookupError(COMPANY)
        await replica.compare_and_set_state(state, evolve(state, mirror="the files", epoch=state.epoch + 1))
        await save(storage, [next(given)])
        for fewest in alone:
            extra.append(float(await sent(partial(save, storage, [next(given)])) - fewest))
            extra.append(float(await sent(find) - 1))
        await storage.aclose()
    note = "most of ten: a find beyond its one trip; a unit of a company with a mirror beyond that of one without"
    return Finding(bar=STATE_TRIPS, subject=Samples(name="trips", values=(max(extra),)), note=note)
