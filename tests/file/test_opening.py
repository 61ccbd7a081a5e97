"""A storage touches nothing before it must, leaves nothing behind that it does not own, and lets go of everything."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve

from deskstore.adapters.file import FileStorage, database, layout
from deskstore.adapters.file.handle import CompanyHandle
from deskstore.adapters.file.handles import MOST_IDLE
from deskstore.domain.errors import (
    CompanyErased,
    ConfigurationError,
    StorageBusy,
    StorageError,
    StorageUnavailable,
    StoreReplaced,
    TicketNotFound,
    VersionConflict,
)
from deskstore.domain.findings import FindingKind
from deskstore.domain.paging import EVERYTHING
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_summary, a_ticket
from tests.file.conftest import Settle
from tests.file.trees import contents_of, tree_of

OPENINGS: list[str] = []  #: the paths that this process opened while somebody counts
COUNTING: list[bool] = []


def _count_openings(event: str, arguments: tuple[Any, ...]) -> None:  # Any: each event has arguments of its own
    if COUNTING and event in ("open", "sqlite3.connect", "os.scandir"):
        OPENINGS.append(str(arguments[0]))


sys.addaudithook(_count_openings)


async def _openings_of(call: Coroutine[Any, Any, object]) -> int:  # Any: what a coroutine may be sent
    """How often a call opens a file, a directory or a database."""
    OPENINGS.clear()
    COUNTING.append(True)
    try:
        await call
    finally:
        COUNTING.clear()
    return len(OPENINGS)


def _is_missing(path: Path) -> bool:
    return not path.exists()


def _files(place: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


def _put_in_place(of: Path, kind: str, target: Path) -> None:
    """Let something else stand where one of deskstore's own files or directories stood, which is moved away."""
    of.rename(target)
    match kind:
        case "link":
            of.symlink_to(target)
        case "pipe":
            os.mkfifo(of)
        case _:
            (of / "within").mkdir(parents=True)


def _descriptors() -> int:
    gc.collect()  # what earlier tests left behind is not ours to count
    return len(os.listdir("/proc/self/fd" if os.path.exists("/proc/self/fd") else "/dev/fd"))


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("deskstore")}


# -- before the first commit ---------------------------------------------------------------------------------------------------------------


async def test_making_a_storage_and_opening_a_unit_touches_no_disk(base: Path, clock: ManualClock) -> None:
    async def make() -> None:
        storage = FileStorage(base, clock=clock)
        async with storage.unit_of_work("acme") as uow:
            uow.tickets.save(a_ticket())
            uow.tickets.delete(a_ticket().key, version=0)
        await storage.aclose()

    assert await _openings_of(make()) == 0
    assert _is_missing(base)


async def test_reading_a_company_that_nobody_knows_makes_nothing(base: Path, desk: Desk) -> None:
    everything = await desk.everything()
    claimed = await desk.claim(10)
    state = await desk.replica().state()
    await desk.storage.erase(desk.company_id)
    companies = await desk.storage.companies()

    assert (everything.tickets, everything.stats, claimed, state, companies) == ([], [], [], None, [])
    assert _is_missing(base)


async def _conflict(desk: Desk) -> None:
    await desk.keep(evolve(a_ticket(), version=7))


async def _orphan(desk: Desk) -> None:
    await desk.summarise(a_summary(a_ticket().key))


@pytest.mark.parametrize(("fail", "error"), [(_conflict, VersionConflict), (_orphan, TicketNotFound)])
async def test_a_first_commit_that_fails_leaves_no_company(
    desk: Desk, settle: Settle, fail: Callable[[Desk], Coroutine[Any, Any, None]], error: type[StorageError]
) -> None:
    with pytest.raises(error):
        await fail(desk)

    assert await desk.storage.companies() == []
    assert await desk.replica().state() is None
    desk = await settle(desk)
    assert (await desk.everything()).tickets == []
    assert await desk.storage.companies() == []


async def test_a_company_may_begin_after_a_first_commit_that_failed(desk: Desk, settle: Settle) -> None:
    with pytest.raises(VersionConflict):
        await _conflict(desk)

    stored = await desk.kept(a_ticket())

    assert await desk.storage.companies() == [desk.company_id]
    desk = await settle(desk)
    assert await desk.find(stored.key) == stored
    assert await desk.storage.companies() == [desk.company_id]


async def test_asking_for_the_store_of_an_unknown_company_registers_nothing(desk: Desk) -> None:
    store_id = await desk.replica().store_id()

    state = await desk.replica().state()

    assert (state, await desk.storage.companies()) == (None, [])
    assert store_id == await desk.replica().store_id()


# -- which companies there are -------------------------------------------------------------------------------------------------------------


async def test_only_companies_are_listed_whatever_else_lies_there(storage: FileStorage, base: Path, outside: Path) -> None:
    for company_id in ("acme", "Acme", "../up", "회사", "~"):
        await Desk(storage, company_id).keep(a_ticket())
    (base / ".DS_Store").write_bytes(b"\0")
    (base / "notes.txt").write_text("hello")
    (base / "lost+found").mkdir()
    (base / "empty").mkdir()
    (base / "strange/.deskstore").mkdir(parents=True)
    (base / "strange/.deskstore/company.json").write_text('{"company": 7}')
    (base / "theirs").symlink_to(outside, target_is_directory=True)
    (base / "link").symlink_to(base / "acme", target_is_directory=True)
    shutil.copytree(base / "acme", base / "copy-of-acme")
    os.mkfifo(base / "pipe")

    companies = await asyncio.wait_for(storage.companies(), 1)

    assert companies == sorted(["acme", "Acme", "../up", "회사", "~"])


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\xff\xfe{\0}\0",
        b"[]",
        b"[" * 100_000,
        b'{"layout": 1, "company": "\\ud800", "store_id": "file-1", "state": {"primary": "file-1", "mirror_status": "none"}}',
        b'{"layout": 99, "company": "\\ud800"}',
        b'{"layout": 1' + b"0" * 5_000 + b', "company": "strange"}',
    ],
    ids=["nothing", "no UTF-8", "no object", "too deep", "a lone surrogate", "a lone surrogate of a newer layout", "a number without end"],
)
async def test_what_no_release_wrote_in_a_company_file_hides_no_company(storage: FileStorage, base: Path, said: bytes) -> None:
    await Desk(storage, "acme").keep(a_ticket())
    (base / "strange" / layout.OWN).mkdir(parents=True)
    (base / "strange" / layout.COMPANY_FILE).write_bytes(said)

    assert await storage.companies() == ["acme"]


@pytest.mark.parametrize("way", ["a link", "a linked directory", "no link"])
async def test_another_programs_database_is_no_company_and_stays_as_it_is(
    storage: FileStorage, base: Path, outside: Path, way: str
) -> None:
    await Desk(storage, "acme").keep(a_ticket())
    own, foreign = base / "strange" / layout.OWN, outside / "state.sqlite3"
    own.parent.mkdir()
    if way == "a linked directory":
        own.symlink_to(outside, target_is_directory=True)
    else:
        own.mkdir()
        (own / "state.sqlite3").symlink_to(foreign)
    if way == "no link":
        (own / "state.sqlite3").unlink()
        foreign = own / "state.sqlite3"
    with closing(sqlite3.connect(foreign)) as connection, connection:
        connection.execute("create table customer (name)")
    before, listed = foreign.read_bytes(), sorted(os.listdir(foreign.parent))

    companies = await storage.companies(), await storage.inspection().companies()

    assert companies == (["acme"], ["acme"])
    assert (foreign.read_bytes(), sorted(os.listdir(foreign.parent))) == (before, listed)


# -- where they lie ------------------------------------------------------------------------------------------------------------------------


async def test_a_data_path_that_is_a_file_is_named(base: Path, desk: Desk) -> None:
    (base.parent / base.name).open("w").close()

    for call in (desk.keep(a_ticket()), desk.storage.companies(), desk.storage.health()):
        with pytest.raises(StorageUnavailable, match=str(base)):
            await call

    assert list(tree_of(base.parent)) == [base.name]


async def test_a_data_path_that_cannot_be_is_an_error_of_ours(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / ("x" * 300))
    desk = Desk(storage, "acme")

    for call in (desk.keep(a_ticket()), desk.find(a_ticket().key), desk.claim(), storage.companies(), storage.erase("acme")):
        with pytest.raises(StorageUnavailable, match="too long"):
            await call
    await storage.aclose()


async def test_a_data_path_may_be_a_link_to_a_directory(base: Path, outside: Path, desk: Desk) -> None:
    os.symlink(outside, base, target_is_directory=True)

    stored = await desk.kept(a_ticket())

    assert await desk.find(stored.key) == stored
    assert await desk.storage.companies() == ["acme"]
    await desk.storage.aclose()  # a file may be written after its commit is acknowledged
    assert (outside / "acme/zendesk/tickets/42.json").is_file()


async def test_a_data_path_stays_where_it_was_when_the_process_goes_elsewhere(
    tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = FileStorage(Path("data"))
    await Desk(storage, "acme").keep(a_ticket("1"))

    monkeypatch.chdir(outside)
    await Desk(storage, "acme").keep(a_ticket("2"))
    await Desk(storage, "other").keep(a_ticket())

    assert await storage.companies() == ["acme", "other"]
    await storage.aclose()
    assert sorted(os.listdir(tmp_path / "data")) == ["acme", "other"]
    assert os.listdir(outside) == ["42.json"]


async def test_a_data_path_may_have_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    base = tmp_path / os.fsdecode(b"d\xffta")
    storage = FileStorage(base)

    stored = await Desk(storage, "acme").kept(a_ticket())
    await storage.aclose()
    again = FileStorage(base)

    assert await Desk(again, "acme").find(stored.key) == stored
    assert await again.companies() == ["acme"]
    await again.aclose()


async def test_a_data_path_that_nobody_may_write_to_is_named() -> None:
    storage = FileStorage(Path("/proc/deskstore"))

    with pytest.raises(StorageUnavailable, match="/proc"):
        await Desk(storage, "acme").keep(a_ticket())
    await storage.aclose()


@pytest.mark.parametrize("name", [".deskstore", ".deskstore/state.sqlite3", ".deskstore/lock", ".deskstore/company.json"])
@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
async def test_a_stranger_in_place_of_what_is_deskstores_own_is_not_followed(
    base: Path, desk: Desk, outside: Path, new_storage: Callable[[], FileStorage], name: str, kind: str
) -> None:
    await desk.keep(a_ticket())
    await desk.storage.aclose()
    _put_in_place(base / "acme" / name, kind, outside / "moved")
    before = _files(outside)

    desk = Desk(new_storage(), "acme")
    try:
        await asyncio.wait_for(desk.keep(a_ticket("another")), 2)
    except StorageUnavailable as error:
        outcome = str(error)
    else:
        outcome = "kept"

    assert outcome == "kept" or str(base / "acme") in outcome
    assert _files(outside) == before


def test_a_file_system_without_shared_memory_is_refused_with_a_clear_line() -> None:
    memory = ":memory:"  # where SQLite keeps no write-ahead log either

    with pytest.raises(StorageUnavailable, match="write-ahead log here: put DATA_PATH on a disk of this machine"):
        database.connect(memory, busy_s=1)


async def test_a_newer_layout_is_refused_by_its_number(desk: Desk, base: Path, new_storage: Callable[[], FileStorage]) -> None:
    await desk.keep(a_ticket())
    await desk.storage.aclose()
    path = base / "acme" / layout.COMPANY_FILE
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | {"layout": 99}))
    before = contents_of(base)

    desk = Desk(new_storage(), "acme")
    for call in (desk.everything(), desk.keep(a_ticket("another"))):
        with pytest.raises(ConfigurationError, match="99"):
            await call

    assert contents_of(base) == before


@pytest.mark.parametrize("said", [{"layout": 99, "company": "acme"}, {"layout": 99, "name": "acme"}])
async def test_companies_are_listed_beside_one_of_a_newer_layout(desk: Desk, base: Path, said: dict[str, object]) -> None:
    await desk.keep(a_ticket())
    await Desk(desk.storage, "other").keep(a_ticket())
    (base / "acme" / layout.COMPANY_FILE).write_bytes(orjson.dumps(said))

    assert await desk.storage.companies() == ["acme", "other"]


async def test_a_database_of_a_newer_layout_is_refused_by_its_number(
    desk: Desk, base: Path, new_storage: Callable[[], FileStorage]
) -> None:
    await desk.keep(a_ticket())
    await desk.storage.aclose()
    with closing(sqlite3.connect(base / "acme" / layout.DATABASE)) as connection, connection:
        connection.execute("update meta set value = 99 where name = 'layout'")

    with pytest.raises(ConfigurationError, match="99"):
        await Desk(new_storage(), "acme").everything()


@pytest.mark.parametrize("lost", [layout.COMPANY_FILE, layout.DATABASE])
async def test_a_state_in_words_of_a_newer_release_is_refused_and_nothing_is_set_aside(
    desk: Desk, base: Path, new_storage: Callable[[], FileStorage], lost: str
) -> None:
    await desk.keep(a_ticket())
    await desk.storage.aclose()
    said = orjson.loads((base / "acme" / layout.COMPANY_FILE).read_bytes())
    state = said["state"] | {"witness": "another store"}
    if lost == layout.DATABASE:
        (base / "acme" / layout.COMPANY_FILE).write_bytes(orjson.dumps(said | {"state": state}))
    else:
        with closing(sqlite3.connect(base / "acme" / layout.DATABASE)) as connection, connection:
            connection.execute("update meta set value = ? where name = 'state'", (orjson.dumps(state).decode(),))
    (base / "acme" / lost).unlink()

    again = new_storage()
    for call in (Desk(again, "acme").everything(), Desk(again, "acme").keep(a_ticket("another"))):
        with pytest.raises(ConfigurationError, match=r"newer release \(witness\)"):
            await call

    findings = [(one.kind, one.place) async for one in again.inspection().findings("acme")]
    kept = layout.DATABASE if lost == layout.COMPANY_FILE else layout.COMPANY_FILE
    assert findings == [(FindingKind.LAYOUT, kept)]
    assert not (base / "acme" / layout.DAMAGED).exists()


# -- what opening costs --------------------------------------------------------------------------------------------------------------------


async def test_opening_a_company_that_was_closed_costs_the_same_however_many_records_it_has(
    storage: FileStorage, new_storage: Callable[[], FileStorage]
) -> None:
    await Desk(storage, "small").keep(a_ticket("1"))
    await Desk(storage, "large").keep(*(a_ticket(str(number)) for number in range(1, 301)))
    await storage.aclose()

    small = await _openings_of(Desk(new_storage(), "small").find(a_ticket("1").key))
    large = await _openings_of(Desk(new_storage(), "large").find(a_ticket("1").key))

    assert small == large


async def test_companies_that_nobody_uses_are_closed(base: Path, clock: ManualClock) -> None:
    storage = FileStorage(base, clock=clock)
    before = _descriptors()
    desks = [Desk(storage, f"company-{number}") for number in range(MOST_IDLE + 2)]
    for desk in desks:
        await desk.keep(a_ticket())
    each = 8  # the lock, the directory, two connections of up to three files each

    assert _descriptors() - before <= (MOST_IDLE + 1) * each
    assert [ticket.ticket_id for ticket in (await desks[0].everything()).tickets] == ["42"]
    assert len(await storage.companies()) == len(desks)
    await storage.aclose()
    assert _descriptors() == before


# -- closing -------------------------------------------------------------------------------------------------------------------------------


async def test_an_open_that_fails_leaves_no_descriptor(desk: Desk, base: Path, new_storage: Callable[[], FileStorage]) -> None:
    await desk.keep(a_ticket())
    await desk.storage.aclose()
    with closing(sqlite3.connect(base / "acme" / layout.DATABASE)) as connection, connection:
        connection.execute("update meta set value = 'another' where name = 'company'")
    desk = Desk(new_storage(), "acme")
    counted = list[int]()

    for _ in range(4):
        with pytest.raises(StorageUnavailable, match="another company"):
            await desk.find(a_ticket().key)
        counted.append(_descriptors())

    assert counted == [counted[0]] * 4


async def test_companies_that_were_only_named_or_not_found_leave_nothing_behind(storage: FileStorage) -> None:
    def desks() -> int:
        gc.collect()
        return sum(isinstance(one, CompanyHandle) for one in gc.get_objects())

    before = desks()

    for number in range(3 * MOST_IDLE):
        storage.unit_of_work(f"named-{number}")
        assert await Desk(storage, f"asked-for-{number}").find(a_ticket().key) is None

    assert desks() - before <= MOST_IDLE + 1


async def test_a_unit_refuses_what_was_erased_however_many_companies_came_since(storage: FileStorage) -> None:
    desk = Desk(storage, "acme")
    await desk.keep(a_ticket())
    late = desk.unit()
    await storage.erase("acme")
    for number in range(2 * MOST_IDLE):
        await Desk(storage, f"other-{number}").find(a_ticket().key)
    gc.collect()

    with pytest.raises(CompanyErased):
        await late.tickets.find_many([a_ticket().key])


async def test_closing_lets_go_of_every_thread_and_descriptor(base: Path, clock: ManualClock) -> None:
    gc.collect()
    descriptors, threads = _descriptors(), _threads()
    storage = FileStorage(base, clock=clock)
    desk = Desk(storage, "acme")
    await desk.fill("ours")
    await desk.everything()

    await storage.aclose()
    await storage.aclose()

    assert (_descriptors(), _threads()) == (descriptors, threads)


async def test_closing_during_traffic_lets_everything_finish_or_fail_as_unavailable(base: Path, clock: ManualClock) -> None:
    gc.collect()
    descriptors, threads = _descriptors(), _threads()
    storage = FileStorage(base, clock=clock)
    desks = [Desk(storage, f"company-{number % 3}") for number in range(12)]

    async def traffic(number: int) -> int:
        for step in range(100):
            try:
                await desks[number].keep(a_ticket(f"{number}-{step}"))
                await desks[number].unit().tickets.page(EVERYTHING)
            except StorageUnavailable as error:
                assert "closed" in str(error)  # noqa: PT017 - the loop ends here
                return step
        return 100

    tasks = [asyncio.create_task(traffic(number)) for number in range(12)]
    await asyncio.sleep(0.2)
    await asyncio.wait_for(storage.aclose(), 20)
    steps = await asyncio.wait_for(asyncio.gather(*tasks), 20)

    assert min(steps) < 100
    assert (_descriptors(), _threads()) == (descriptors, threads)
    again = FileStorage(base, clock=clock)
    for number, step in enumerate(steps):
        kept = {ticket.ticket_id async for ticket in Desk(again, f"company-{number % 3}").unit().tickets.stream()}
        assert {f"{number}-{each}" for each in range(step)} <= kept
    await again.aclose()


async def test_two_closings_at_once_both_wait_for_the_end(base: Path, clock: ManualClock) -> None:
    storage = FileStorage(base, clock=clock)
    await Desk(storage, "acme").fill("ours")

    first = asyncio.create_task(storage.aclose())
    await asyncio.sleep(0)
    await storage.aclose()

    assert "state.sqlite3-wal" not in tree_of(base / "acme" / layout.OWN)
    assert _threads() == set()
    await first


# -- several storages, loops and processes -------------------------------------------------------------------------------------------------


async def test_two_storages_on_one_path_agree(storage: FileStorage, new_storage: Callable[[], FileStorage]) -> None:
    here, there = Desk(storage, "acme"), Desk(new_storage(), "acme")

    stored = await here.kept(a_ticket("1"))
    assert await there.find(stored.key) == stored
    changed = await there.received(stored, "another text")
    with pytest.raises(VersionConflict):
        await here.received(stored, "a third text")

    assert await here.find(stored.key) == changed
    assert await here.everything() == await there.everything()
    assert await here.storage.companies() == await there.storage.companies() == ["acme"]


def test_a_storage_serves_one_event_loop_after_another(base: Path) -> None:
    storage = FileStorage(base)
    desk = Desk(storage, "acme")

    stored = asyncio.run(desk.kept(a_ticket()))
    found = asyncio.run(desk.find(stored.key))
    asyncio.run(storage.aclose())

    assert found == stored


def test_after_a_fork_the_child_is_refused_and_the_parent_goes_on(tmp_path: Path) -> None:
    forking = [sys.executable, "-m", "tests.file.forking", str(tmp_path / "data")]

    done = subprocess.run(forking, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_a_company_that_another_process_recovers_for_too_long_is_busy(desk: Desk, base: Path, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    await desk.storage.aclose()
    impatient = FileStorage(base, clock=clock, busy_s=0.2)
    with (base / "acme" / layout.LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        with pytest.raises(StorageBusy, match="acme"):
            await asyncio.wait_for(Desk(impatient, "acme").find(a_ticket().key), 3)

    assert await Desk(impatient, "acme").find(a_ticket().key) is not None
    await impatient.aclose()


@pytest.mark.parametrize("suffix", ["", "-wal"])
async def test_a_database_or_log_that_vanished_is_refused_while_in_use(desk: Desk, base: Path, suffix: str) -> None:
    await desk.keep(a_ticket("1"))
    (base / "acme" / f"{layout.DATABASE}{suffix}").unlink()

    for call in (desk.find(a_ticket("1").key), desk.keep(a_ticket("2")), desk.claim()):
        with pytest.raises(StoreReplaced):
            await call


async def test_a_directory_replaced_by_another_companys_is_refused_while_in_use(storage: FileStorage, base: Path) -> None:
    ours, theirs = Desk(storage, "acme"), Desk(storage, "theirs")
    await ours.keep(a_ticket("1"))
    await theirs.keep(a_ticket("2"))
    (base / "acme").rename(base / "away")
    shutil.copytree(base / "theirs", base / "acme", ignore=shutil.ignore_patterns("tmp"))  # what lies there is under way

    for call in (ours.find(a_ticket("2").key), ours.keep(a_ticket("3")), ours.claim()):
        with pytest.raises(StoreReplaced):
            await call

    assert "3.json" not in {Path(name).name for name in tree_of(base)}
    assert await theirs.find(a_ticket("2").key) is not None
