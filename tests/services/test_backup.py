"""Backups: the same data in any other storage, of one moment, whoever writes meanwhile."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve

from deskstore.adapters.file import FileStorage
from deskstore.adapters.hybrid import HybridStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.errors import (
    RESTORE,
    BackupError,
    CompanyErased,
    CompanyMoved,
    CorruptRecord,
    DamagedBackup,
    StorageBusy,
    StorageUnavailable,
)
from deskstore.domain.mirror import PARTS, CompanyState, Copy, Debt, Owed, Part, Thing
from deskstore.domain.ports import Replica, Storage
from deskstore.domain.tallies import totals_of
from deskstore.domain.wrapping import WrappedReplica, WrappedStorage
from deskstore.services.backup import (
    RestoreMode,
    check_backup,
    create_backup,
    forget_backups,
    list_backups,
    restore_backup,
    running_backups,
    undo_restore,
)
from deskstore.services.migrating import cut_over, start_migration, verify_migration
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_summary, a_ticket, an_article

KINDS = ("memory", "file", "postgres")
Opens = Callable[[str], Desk]


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """A database for those who open one; without them no server is started."""
    return str(request.getfixturevalue("postgres_url")) if "postgres" in request.node.name else ""


@pytest.fixture
async def opens(tmp_path: Path, url: str) -> AsyncIterator[Opens]:
    """Opens companies of their own in new storages of a kind."""
    async with AsyncExitStack() as stack:

        def open_one(kind: str) -> Desk:
            storage: Storage
            if kind == "memory":
                storage = MemoryStorage()
            elif kind == "file":
                storage = FileStorage(tmp_path / f"data {len(os.listdir(tmp_path))}")
                storage.path.mkdir()
            else:
                storage = PostgresStorage(url)
            stack.push_async_callback(storage.aclose)
            return Desk(storage, a_new_company())

        yield open_one


async def filled(desk: Desk) -> Desk:
    """A company with something of every part, some of it changed, claimed and deleted before."""
    await desk.fill("안녕 🙂")
    await desk.keep(an_article("1", "ko"), a_ticket("9", payload=b' {"a":\r\n1.10}\n'))
    await desk.summarise(a_summary(an_article("1", "ko").key, content=b'{"long":\n"1"}', pinned=True))
    await desk.delete(await desk.kept(a_ticket("gone")))
    await desk.claim(2)
    return desk


async def copies(desk: Desk) -> list[Copy]:
    return [copy for part in PARTS async for copy in desk.replica().copies(part)]


async def restored(desk: Desk, path: Path, of: Desk) -> Desk:
    await restore_backup(desk.storage, desk.company_id, path, of=of.company_id)
    return desk


def in_folder(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("data"))


# -- the same data -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", KINDS)
async def test_a_backup_restores_everything_as_it_was(opens: Opens, source: str, target: str, tmp_path: Path) -> None:
    there, here = await filled(opens(source)), opens(target)

    backup = await create_backup(there.storage, there.company_id, tmp_path / "b.tar")
    await restored(here, tmp_path / "b.tar", there)

    assert await copies(here) == await copies(there)
    assert await check_backup(tmp_path / "b.tar") == backup
    totals = await totals_of(here.replica())
    assert (totals.counts, totals.content, totals.replica) == (backup.counts, backup.content_digest, backup.replica_digest)
    assert backup.counts["summary"] == 5


async def test_what_belongs_to_a_record_finds_it_however_slowly_the_record_comes(opens: Opens, tmp_path: Path) -> None:
    there, target = opens("memory"), MemoryStorage()
    tickets = [a_ticket(f"{number:04}", payload=b'{"text":"%s"}' % (b"x" * 4_000)) for number in range(1_200)]
    await there.keep(*tickets)
    await there.summarise(*(a_summary(ticket.key) for ticket in tickets[::100] for _ in range(9)))
    await create_backup(there.storage, there.company_id, tmp_path / "b.tar")
    slow = _Slow(target)

    await restore_backup(slow, there.company_id, tmp_path / "b.tar")

    assert slow.most > 1
    assert await copies(Desk(target, there.company_id)) == await copies(there)


class _Slow(WrappedStorage):
    """A storage that takes the longer for copies the earlier they come, and notes how many lots it was given at once."""

    def __init__(self, beneath: Storage) -> None:
        super().__init__(beneath)
        self.most = self.under_way = 0

    def replica(self, company_id: str) -> Replica:
        return _SlowReplica(super().replica(company_id), self)


class _SlowReplica(WrappedReplica):
    def __init__(self, beneath: Replica, storage: _Slow) -> None:
        super().__init__(beneath)
        self._storage = storage

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        self._storage.under_way += 1
        self._storage.most = max(self._storage.most, self._storage.under_way)
        for _ in range(200 if self._storage.under_way == 1 else 1):
            await asyncio.sleep(0)
        self._storage.under_way -= 1
        return await super().apply(copies, epoch=epoch)


async def test_a_backup_holds_one_company_only(opens: Opens, tmp_path: Path) -> None:
    ours = await filled(opens("memory"))
    theirs = Desk(ours.storage, "globex")
    await theirs.fill("secret of globex")

    backup = await create_backup(ours.storage, ours.company_id, tmp_path / "b.tar")
    await restored(here := opens("memory"), tmp_path / "b.tar", ours)

    assert backup.counts == (await totals_of(ours.replica())).counts
    assert not any(b"secret of globex" in str(copy).encode() for copy in await copies(here))


async def test_a_company_with_two_sides_comes_back_on_both(tmp_path: Path) -> None:
    near, far = MemoryStorage(), MemoryStorage()
    hybrid = HybridStorage(near, far)
    there, here = await filled(Desk(hybrid, "acme")), Desk(hybrid, "copy")

    await create_backup(hybrid, "acme", tmp_path / "b.tar")
    await restored(here, tmp_path / "b.tar", there)
    await hybrid.drained("copy")

    assert await copies(here) == await copies(there)
    assert await copies(Desk(near, "copy")) == await copies(Desk(far, "copy"))
    await hybrid.aclose()


async def test_what_is_saved_after_a_restore_is_newer(opens: Opens, tmp_path: Path) -> None:
    there, here = await filled(opens("memory")), opens("file")
    await create_backup(there.storage, there.company_id, tmp_path / "b.tar")
    await restored(here, tmp_path / "b.tar", there)
    stood = await here.find(a_ticket("1").key)
    assert stood is not None

    saved = await here.kept(evolve(stood, saved_at=here.storage.clock()))

    assert saved.version > stood.version


async def test_nothing_is_noted_for_a_backup_that_is_over(opens: Opens, tmp_path: Path) -> None:
    desk = await filled(opens("memory"))
    before = await desk.replica().state()

    await create_backup(desk.storage, desk.company_id, tmp_path / "b.tar")
    with pytest.raises(FileExistsError):
        await create_backup(desk.storage, desk.company_id, tmp_path / "b.tar")

    assert await desk.replica().state() == before
    assert in_folder(tmp_path) == ["b.tar"]
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600


async def test_what_a_killed_backup_left_registered_goes_with_a_later_one(opens: Opens, tmp_path: Path) -> None:
    desk = await filled(opens("memory"))
    state = await desk.replica().state()
    assert state is not None
    killed, young = "backup 2020-01-01T00:00:00Z abcd", f"backup {desk.storage.clock():%Y-%m-%dT%H:%M:%SZ} abcd"
    assert await desk.replica().compare_and_set_state(state, evolve(state, backups=(killed, young, "somebody's own")))

    await create_backup(desk.storage, desk.company_id, tmp_path / "b.tar")

    state = await desk.replica().state()
    assert state is not None
    assert state.backups == (young, "somebody's own")


async def test_a_killed_backup_stands_in_the_way_of_nothing_once_it_is_forgotten(opens: Opens) -> None:
    desk, mirror = await filled(opens("memory")), opens("memory")
    await start_migration(desk.storage, mirror.storage, desk.company_id)
    await verify_migration(desk.storage, mirror.storage, desk.company_id)
    state = await desk.replica().state()
    assert state is not None
    killed = f"backup {desk.storage.clock():%Y-%m-%dT%H:%M:%SZ} abcd"
    assert await desk.replica().compare_and_set_state(state, evolve(state, backups=(killed,)))

    with pytest.raises(StorageBusy, match="deskstore backup forget"):
        await cut_over(desk.storage, mirror.storage, desk.company_id)
    found = await running_backups(desk.storage, desk.company_id)
    forgotten = await forget_backups(desk.storage, desk.company_id)

    assert [(one.name, one.began_at) for one in found] == [(killed, desk.storage.clock().replace(microsecond=0))]
    assert forgotten == found
    assert await running_backups(desk.storage, desk.company_id) == []
    assert (await cut_over(desk.storage, mirror.storage, desk.company_id)).lives_in == "target"


# -- while others write --------------------------------------------------------------------------------------------------------------------


class Slow(WrappedStorage):
    """A storage whose copies come slowly, so that much happens meanwhile."""

    def replica(self, company_id: str) -> Replica:
        return SlowReplica(super().replica(company_id))


class SlowReplica(WrappedReplica):
    async def copies(self, part: Part, *, after: Thing | None = None) -> AsyncIterator[Copy]:
        async for copy in super().copies(part, after=after):
            await asyncio.sleep(0.01)
            yield copy


@pytest.mark.parametrize("kind", KINDS)
async def test_a_backup_taken_under_writes_is_of_one_moment_at_its_end(opens: Opens, kind: str, tmp_path: Path) -> None:
    desk, here = await filled(opens(kind)), opens("memory")
    digests = [(await totals_of(desk.replica())).replica]

    known: list[int] = []

    async with writing(desk, digests):
        backup = await create_backup(
            Slow(desk.storage), desk.company_id, tmp_path / "b.tar", on_progress=lambda _: known.append(len(digests))
        )

    await restored(here, tmp_path / "b.tar", desk)
    assert known[-1] > known[0] + 3
    assert backup.replica_digest in digests[known[-1] - 1 :]
    assert backup.replica_digest == (await totals_of(here.replica())).replica


@asynccontextmanager
async def writing(desk: Desk, digests: list[str]) -> AsyncGenerator[None]:
    """Somebody changes, makes, claims and deletes all the time, and notes what the company came to after each commit."""
    is_over = False

    async def write() -> None:
        number = 0
        while not is_over:
            number += 1
            await desk.keep(a_ticket(f"new {number}"), an_article(f"new {number}"))
            digests.append((await totals_of(desk.replica())).replica)
            await (desk.claim(1) if number % 2 else desk.summarise(a_summary(a_ticket(f"new {number}").key)))
            digests.append((await totals_of(desk.replica())).replica)
            if number % 3 == 0 and (old := await desk.find(a_ticket(f"new {number - 2}").key)) is not None:
                await desk.delete(old)
                digests.append((await totals_of(desk.replica())).replica)

    task = asyncio.ensure_future(write())
    try:
        yield
    finally:
        is_over = True
        await task


@pytest.mark.parametrize("kind", KINDS)
async def test_a_backup_never_holds_half_a_unit(opens: Opens, kind: str, tmp_path: Path) -> None:
    desk, here = opens(kind), opens("memory")
    await desk.keep(*(a_ticket(f"{pair}{one}") for pair in "abc" for one in "12"))
    is_over = False

    async def write(pair: str) -> None:
        while not is_over:
            both = [await desk.find(a_ticket(f"{pair}{one}").key) for one in "12"]
            await desk.keep(*(one for one in both if one is not None))

    tasks = [asyncio.ensure_future(write(pair)) for pair in "abc"]
    await create_backup(Slow(desk.storage), desk.company_id, tmp_path / "b.tar")
    is_over = True
    await asyncio.gather(*tasks)

    await restored(here, tmp_path / "b.tar", desk)
    versions = {copy.thing.id: copy.version for copy in await copies(here) if copy.thing.part == "ticket"}
    assert all(versions[f"{pair}1"] == versions[f"{pair}2"] for pair in "abc")


async def test_a_backup_whose_name_was_taken_from_the_outbox_is_none(opens: Opens, tmp_path: Path) -> None:
    desk = await filled(opens("memory"))

    class Forgotten(SlowReplica):
        async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
            state = await self.state()
            assert state is not None
            await self.compare_and_set_state(state, evolve(state, backups=()))
            return await super().outbox(consumer, limit)

    with pytest.raises(BackupError, match="took longer"):
        await create_backup(of_kind(desk, Forgotten), desk.company_id, tmp_path / "b.tar")

    assert in_folder(tmp_path) == []


async def test_a_company_that_moves_or_goes_meanwhile_has_no_backup(opens: Opens, tmp_path: Path) -> None:
    desk = await filled(opens("memory"))

    class Moves(SlowReplica):
        async def owed(self, consumer: str, limit: int) -> Owed:
            state = await self.state()
            assert state is not None
            await self.compare_and_set_state(state, evolve(state, primary="another", epoch=state.epoch + 1))
            return await super().owed(consumer, limit)

    class Goes(SlowReplica):
        async def owed(self, consumer: str, limit: int) -> Owed:
            await desk.storage.erase(desk.company_id)
            return await super().owed(consumer, limit)

    with pytest.raises(CompanyMoved):
        await create_backup(of_kind(desk, Moves), desk.company_id, tmp_path / "b.tar")
    with pytest.raises(CompanyMoved):
        await create_backup(desk.storage, desk.company_id, tmp_path / "b.tar")
    await desk.storage.erase(desk.company_id)
    await desk.fill("anew")
    with pytest.raises(CompanyErased):
        await create_backup(of_kind(desk, Goes), desk.company_id, tmp_path / "b.tar")
    with pytest.raises(BackupError, match="nothing to back up"):
        await create_backup(desk.storage, "nobody", tmp_path / "b.tar")

    assert in_folder(tmp_path) == []


async def test_a_store_that_fails_when_a_backup_is_over_is_logged(opens: Opens, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = await filled(opens("memory"))
    is_there = True

    class Fails(SlowReplica):
        async def owed(self, consumer: str, limit: int) -> Owed:
            nonlocal is_there
            owed = await super().owed(consumer, limit)
            is_there = False
            return owed

        async def state(self) -> CompanyState | None:
            if not is_there:
                raise StorageUnavailable("it was told to fail")
            return await super().state()

    with caplog.at_level(logging.WARNING, "deskstore"):
        backup = await create_backup(of_kind(desk, Fails), desk.company_id, tmp_path / "b.tar")

    assert await check_backup(tmp_path / "b.tar") == backup
    assert "what changes is noted for it" in caplog.text


def of_kind(desk: Desk, kind: type[WrappedReplica]) -> Storage:
    class Of(WrappedStorage):
        def replica(self, company_id: str) -> Replica:
            return kind(super().replica(company_id))

    return Of(desk.storage)


async def test_a_cancelled_backup_leaves_nothing(opens: Opens, tmp_path: Path) -> None:
    desk = await filled(opens("file"))
    under_way = asyncio.Event()
    task = asyncio.ensure_future(
        create_backup(Slow(desk.storage), desk.company_id, tmp_path / "b.tar", on_progress=lambda _: under_way.set())
    )
    await under_way.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    state = await desk.replica().state()
    assert state is not None
    assert (in_folder(tmp_path), state.backups) == ([], ())


# -- damage --------------------------------------------------------------------------------------------------------------------------------


async def test_damaged_records_are_told_of_and_the_rest_is_saved(opens: Opens, tmp_path: Path) -> None:
    desk, here = await filled(opens("file")), opens("memory")
    assert isinstance(desk.storage, FileStorage)
    await desk.storage.aclose()
    (place,) = desk.storage.path.rglob("zendesk")
    for file in ("tickets/1.json", "articles/~/3.json", "summaries/tickets/2/1.json"):
        (place / file).write_bytes((place / file).read_bytes()[:-30])
    again = Desk(FileStorage(desk.storage.path), desk.company_id)

    backup = await create_backup(again.storage, desk.company_id, tmp_path / "b.tar")
    await again.storage.aclose()
    await restored(here, tmp_path / "b.tar", desk)

    assert [(one.part, one.id, one.number, one.place) for one in backup.damaged] == [
        ("article", "3", 0, "zendesk/articles/~/3.json"),
        ("summary", "2", 1, "zendesk/summaries/tickets/2/1.json"),
        ("ticket", "1", 0, "zendesk/tickets/1.json"),
    ]
    assert all(one.reason and one.place in str(one) for one in backup.damaged)
    assert await check_backup(tmp_path / "b.tar") == backup
    kept = {copy.thing[:4] for copy in await copies(here)}
    assert ("ticket", "ticket", "zendesk", "2") in kept
    assert not any(thing[3] == "1" and thing[1] == "ticket" for thing in kept)
    assert backup.counts == {
        "ticket": 3,
        "article": 3,
        "processing": 3,
        "summary": 3,
        "checkpoint": 1,
        "suppression": backup.counts["suppression"],
    }


async def test_a_payload_that_is_not_the_one_that_was_hashed_is_damage(opens: Opens, tmp_path: Path) -> None:
    desk = await filled(opens("memory"))
    ticket = await desk.find(a_ticket("1").key)
    assert ticket is not None
    bad = evolve(ticket, sha256=bytes(32), version=ticket.version + 1)
    await desk.replica().apply([Copy(Thing("ticket", *bad.key), bad.version, bad)], epoch=None)

    backup = await create_backup(desk.storage, desk.company_id, tmp_path / "b.tar")

    assert [(one.part, one.id) for one in backup.damaged] == [("ticket", "1")]


async def test_what_is_damaged_among_the_changes_is_told_of(opens: Opens, tmp_path: Path) -> None:
    desk, here = await filled(opens("memory")), opens("memory")
    hidden = a_ticket("new").key

    class Damaged(SlowReplica):
        async def copies(self, part: Part, *, after: Thing | None = None) -> AsyncIterator[Copy]:
            async for copy in super().copies(part, after=after):
                yield copy
            if part == PARTS[-1]:
                await desk.keep(a_ticket("new"), a_ticket("sound"))

        async def owed(self, consumer: str, limit: int) -> Owed:
            owed = await super().owed(consumer, limit)
            self.check([copy.thing for copy in owed.copies])
            return owed

        async def read(self, things: Collection[Thing]) -> Sequence[Copy]:
            self.check(things)
            return await super().read(things)

        def check(self, things: Collection[Thing]) -> None:
            if Thing("ticket", *hidden) in things:
                raise CorruptRecord(hidden, "new.json", "it was told to be")

    backup = await create_backup(of_kind(desk, Damaged), desk.company_id, tmp_path / "b.tar")
    await restored(here, tmp_path / "b.tar", desk)

    assert [(one.part, one.id, one.place) for one in backup.damaged] == [("ticket", "new", "new.json")]
    assert await here.find(a_ticket("sound").key) is not None
    assert await here.find(hidden) is None


# -- restoring -----------------------------------------------------------------------------------------------------------------------------


async def test_a_backup_of_another_company_is_refused_unless_it_is_named(opens: Opens, tmp_path: Path) -> None:
    there, here = await filled(opens("memory")), opens("memory")
    await create_backup(there.storage, there.company_id, tmp_path / "b.tar")

    for of in (None, "globex"):
        with pytest.raises(BackupError) as refused:
            await restore_backup(here.storage, here.company_id, tmp_path / "b.tar", of=of)
        assert there.company_id not in str(refused.value)

    assert await here.storage.companies() == []


async def test_a_company_that_is_not_empty_is_left_as_it_is(opens: Opens, tmp_path: Path) -> None:
    desk = await filled(opens("memory"))
    await create_backup(desk.storage, desk.company_id, tmp_path / "b.tar")
    before, state = await copies(desk), await desk.replica().state()

    with pytest.raises(BackupError, match="not empty"):
        await restore_backup(desk.storage, desk.company_id, tmp_path / "b.tar")

    assert (await copies(desk), await desk.replica().state()) == (before, state)


async def test_who_writes_before_the_fence_stands_keeps_the_company(opens: Opens, tmp_path: Path) -> None:
    there, here = await filled(opens("memory")), opens("memory")
    await create_backup(there.storage, there.company_id, tmp_path / "b.tar")
    await here.keep(a_ticket("1"))
    await here.delete(await here.kept(a_ticket("2")))
    ticket = await here.find(a_ticket("1").key)
    assert ticket is not None
    await here.delete(ticket)

    class Late(WrappedReplica):
        async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
            if wanted.swapping_to:
                await here.keep(a_ticket("late"))
            return await super().compare_and_set_state(expected, wanted)

    with pytest.raises(BackupError, match="not empty"):
        await restore_backup(of_kind(here, Late), here.company_id, tmp_path / "b.tar", of=there.company_id)

    await here.keep(a_ticket("later"))
    assert {copy.thing.id for copy in await copies(here)} == {"late", "later"}


async def test_a_changed_file_is_refused_before_anything_is_written(opens: Opens, tmp_path: Path) -> None:
    there, here = await filled(opens("memory")), opens("memory")
    path = tmp_path / "b.tar"
    await create_backup(there.storage, there.company_id, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:1_500] + b"x" + whole[1_501:])

    modes: Sequence[RestoreMode] = ("empty", "merge", "replace")
    for mode in modes:
        with pytest.raises(DamagedBackup, match=r"b\.tar is no whole backup"):
            await restore_backup(here.storage, here.company_id, path, of=there.company_id, mode=mode, keep=tmp_path / "keep.tar")

    assert await here.storage.companies() == []
    assert in_folder(tmp_path) == ["b.tar"]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_interrupted_restore_is_closed_to_writers_and_goes_on(opens: Opens, kind: str, tmp_path: Path) -> None:
    there, here = await filled(opens("memory")), opens(kind)
    await create_backup(there.storage, there.company_id, tmp_path / "b.tar")
    await interrupt(here, there, tmp_path / "b.tar")

    with pytest.raises(CompanyMoved, match="being restored"):
        await here.keep(a_ticket("mine"))
    with pytest.raises(CompanyMoved, match="being restored"):
        await create_backup(here.storage, here.company_id, tmp_path / "half.tar")
    await restored(here, tmp_path / "b.tar", there)

    assert await copies(here) == await copies(there)
    await here.keep(a_ticket("mine"))


@pytest.mark.parametrize("kind", KINDS)
async def test_an_interrupted_restore_is_undone(opens: Opens, kind: str, tmp_path: Path) -> None:
    there, here = await filled(opens("memory")), opens(kind)
    await create_backup(there.storage, there.company_id, tmp_path / "b.tar")
    await interrupt(here, there, tmp_path / "b.tar")
    await there.keep(a_ticket("more"))
    await create_backup(there.storage, there.company_id, tmp_path / "other.tar")

    with pytest.raises(BackupError, match="another backup"):
        await restored(here, tmp_path / "other.tar", there)
    await undo_restore(here.storage, here.company_id)
    gone = await here.storage.companies()
    with pytest.raises(BackupError, match="nothing to undo"):
        await undo_restore(here.storage, here.company_id)
    again = Desk(here.storage, here.company_id)
    await restored(again, tmp_path / "other.tar", there)

    assert here.company_id not in gone
    assert await copies(again) == await copies(there)


async def interrupt(here: Desk, there: Desk, path: Path) -> None:
    """Begin a restore whose store goes away after its first commit."""

    class Once(WrappedReplica):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            kept = await super().apply(list(copies)[:5], epoch=epoch)
            if kept:
                raise StorageUnavailable("it was told to fail")
            return kept

    with pytest.raises(StorageUnavailable):
        await restore_backup(of_kind(here, Once), here.company_id, path, of=there.company_id)
    state = await here.replica().state()
    assert state is not None
    assert str(state.swapping_to).startswith(RESTORE)


async def test_a_store_that_kept_something_else_is_found(opens: Opens, tmp_path: Path) -> None:
    there, here = await filled(opens("memory")), opens("memory")
    await create_backup(there.storage, there.company_id, tmp_path / "b.tar")

    class Loses(WrappedReplica):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            return await super().apply([copy for copy in copies if copy.thing.part != "summary"], epoch=epoch)

    with pytest.raises(BackupError, match="does not hold what the backup does"):
        await restore_backup(of_kind(here, Loses), here.company_id, tmp_path / "b.tar", of=there.company_id)

    with pytest.raises(CompanyMoved):
        await here.keep(a_ticket("mine"))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_company_is_replaced_once_it_was_backed_up(opens: Opens, kind: str, tmp_path: Path) -> None:
    desk = await filled(opens(kind))
    await create_backup(desk.storage, desk.company_id, tmp_path / "b.tar")
    before = await copies(desk)
    await desk.keep(a_ticket("new"))
    after = await copies(desk)

    with pytest.raises(BackupError, match="name a file"):
        await restore_backup(desk.storage, desk.company_id, tmp_path / "b.tar", mode="replace")
    done = await restore_backup(desk.storage, desk.company_id, tmp_path / "b.tar", mode="replace", keep=tmp_path / "keep.tar")
    replaced = await copies(Desk(desk.storage, desk.company_id))
    await restore_backup(desk.storage, desk.company_id, tmp_path / "keep.tar", mode="replace", keep=tmp_path / "again.tar")

    assert done.kept == await check_backup(tmp_path / "keep.tar")
    assert replaced == before
    assert await copies(Desk(desk.storage, desk.company_id)) == after


@pytest.mark.parametrize("kind", KINDS)
async def test_a_company_takes_in_what_it_lacks_and_keeps_what_it_has(opens: Opens, kind: str, tmp_path: Path) -> None:
    there, here = opens("memory"), opens(kind)
    await there.keep(a_ticket("both", text="old"), a_ticket("changed", text="other"), a_ticket("theirs"), an_article("theirs", "ko"))
    await there.summarise(a_summary(a_ticket("theirs").key), a_summary(a_ticket("both").key, "old"))
    await create_backup(there.storage, there.company_id, tmp_path / "b.tar")
    await here.keep(a_ticket("both", text="old"), a_ticket("changed", text="mine"), a_ticket("ours"))
    await here.settle((await here.processing(a_ticket("both").key)).completed(now=here.storage.clock()))
    both = await here.find(a_ticket("both").key)

    done = await restore_backup(here.storage, here.company_id, tmp_path / "b.tar", mode="merge", of=there.company_id)
    again = await restore_backup(here.storage, here.company_id, tmp_path / "b.tar", mode="merge", of=there.company_id)

    assert done.merged is not None
    assert again.merged is not None
    assert (done.merged.updated, done.merged.unchanged, again.things, again.merged.unchanged) == (1, 1, 0, 4)
    found = {copy.thing: copy for copy in await copies(here)}
    assert {thing.id for thing in found if thing.part == "ticket"} == {"both", "changed", "theirs", "ours"}
    assert await here.find(a_ticket("theirs").key) == await there.find(a_ticket("theirs").key)
    assert await here.find(a_ticket("both").key) == both
    assert (await here.processing(a_ticket("both").key)).status == "completed"
    assert len(await here.history(a_ticket("both").key)) == len(await here.history(a_ticket("theirs").key)) == 1


# -- listing -------------------------------------------------------------------------------------------------------------------------------


async def test_backups_of_a_folder_are_listed_with_what_is_wrong(opens: Opens, tmp_path: Path) -> None:
    desk = await filled(opens("memory"))
    backup = await create_backup(desk.storage, desk.company_id, tmp_path / "b.tar")
    (tmp_path / "cut.tar").write_bytes((tmp_path / "b.tar").read_bytes()[:-600])
    (tmp_path / "c.txt").write_bytes(b"no backup")
    (tmp_path / "folder.tar").mkdir()

    listed = await list_backups(tmp_path)

    assert [(one.path.name, one.backup, bool(one.fault)) for one in listed] == [("b.tar", backup, False), ("cut.tar", None, True)]
    assert backup.records == backup.counts["ticket"] + backup.counts["article"]


async def test_what_is_no_file_is_no_backup(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tar")

    async with asyncio.timeout(5):
        with pytest.raises(DamagedBackup, match="no regular file"):
            await check_backup(tmp_path / "pipe.tar")
    with pytest.raises(FileNotFoundError):
        await check_backup(tmp_path / "none.tar")


def test_a_backup_may_take_longer_than_any_there_is() -> None:
    from deskstore.services.backup.listening import LONGEST

    assert timedelta(hours=1) < LONGEST
