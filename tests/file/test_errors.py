"""Whatever SQLite or the operating system raises becomes an error of ours that says what, where, and what to do."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

from deskstore.adapters.file import FileStorage, database, layout
from deskstore.adapters.file.database import translated
from deskstore.adapters.file.tree import StrangerInTree
from deskstore.domain.errors import StorageBusy, StorageError, StorageUnavailable
from deskstore.domain.identifiers import ticket_key
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.makers import PLATFORM, a_ticket
from tests.file.conftest import Settle

CLASSES: Final = [
    kind for kind in vars(sqlite3).values() if isinstance(kind, type) and issubclass(kind, sqlite3.Error)
]  # every exception the driver has
CODES: Final = {
    name: value
    for name, value in vars(sqlite3).items()
    if name.startswith("SQLITE_") and isinstance(value, int) and name in getattr(sqlite3, "__all__", vars(sqlite3))
}
BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _translation(error: BaseException) -> StorageError:
    with pytest.raises(StorageError) as caught, translated("data/acme"):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_exception_of_the_driver_is_translated(kind: type[sqlite3.Error]) -> None:
    ours = _translation(kind("it says why"))

    assert isinstance(ours, StorageUnavailable)
    assert "data/acme" in str(ours)
    assert "it says why" in str(ours)


def test_every_code_of_sqlite_is_translated_by_its_meaning() -> None:
    assert len(CODES) > 50
    for name, code in CODES.items():
        error = sqlite3.OperationalError("it says why")
        error.sqlite_errorcode = code

        ours = _translation(error)

        assert isinstance(ours, StorageUnavailable), name
        assert isinstance(ours, StorageBusy) == (code & 0xFF in BUSY), name
        assert database.is_damaged(error) == (code & 0xFF in DAMAGED), name
        assert ("rebuilds it" in str(ours)) == (code & 0xFF in DAMAGED), name
        assert "data/acme" in str(ours), name


def test_every_error_of_the_operating_system_is_translated() -> None:
    for number in errno.errorcode:
        for error in (OSError(number, os.strerror(number), "data/acme/file"), OSError(number, os.strerror(number))):
            ours = _translation(error)

            assert isinstance(ours, StorageUnavailable)
            assert "data/acme" in str(ours)
            assert os.strerror(number) in str(ours) or "no space left" in str(ours)


def test_a_stranger_in_the_tree_is_translated_with_what_to_do() -> None:
    ours = _translation(StrangerInTree("zendesk", "is a symbolic link"))

    assert isinstance(ours, StorageUnavailable)
    assert "zendesk is a symbolic link" in str(ours)
    assert "move it away" in str(ours)


@pytest.mark.parametrize("error", [ValueError("theirs"), KeyError("theirs"), asyncio.CancelledError()], ids=repr)
def test_what_is_no_drivers_error_passes_untouched(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, translated("data/acme"):
        raise error

    assert caught.value is error


# -- in a storage --------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def impatient(base: Path, clock: ManualClock) -> AsyncIterator[Desk]:
    """A company with ticket 1, in a storage that waits a tenth of a second for a lock."""
    storage = FileStorage(base, clock=clock, busy_s=0.1)
    desk = Desk(storage, "acme")
    await desk.keep(a_ticket("1"))
    yield desk
    await storage.aclose()


@contextmanager
def _locked(base: Path) -> Generator[None]:
    """Hold the writer lock as another process would."""
    with closing(sqlite3.connect(base / "acme" / layout.DATABASE, isolation_level=None, timeout=10)) as connection:
        connection.execute("begin immediate")
        yield
        connection.execute("rollback")


async def _pragma(desk: Desk, statement: str) -> None:
    """Change how the connection that writes works."""
    assert isinstance(desk.storage, FileStorage)
    await desk.storage.write(desk.company_id, 0, lambda company, _: company.writer.execute(f"pragma {statement}").fetchall())


async def test_a_lock_that_another_holds_too_long_is_busy_in_bounded_time(impatient: Desk, base: Path) -> None:
    with _locked(base):
        began = time.monotonic()

        for call in (impatient.keep(a_ticket("2")), impatient.claim()):
            with pytest.raises(StorageBusy, match=str(base / "acme")):
                await call

        assert time.monotonic() - began < 3
        assert await impatient.find(ticket_key(PLATFORM, "1")) is not None

    await impatient.keep(a_ticket("2"))
    assert [ticket.ticket_id for ticket in (await impatient.everything()).tickets] == ["1", "2"]


async def test_a_lock_that_is_given_back_in_time_is_waited_for(desk: Desk, base: Path) -> None:
    await desk.keep(a_ticket("1"))
    with _locked(base):
        waiting = asyncio.create_task(desk.keep(a_ticket("2")))
        await asyncio.sleep(0.2)
        assert not waiting.done()

    await waiting

    assert await desk.find(ticket_key(PLATFORM, "2")) is not None


async def test_a_full_disk_keeps_nothing_of_the_unit_and_everything_else(desk: Desk, settle: Settle) -> None:
    await desk.keep(a_ticket("1"))
    await _pragma(desk, "max_page_count=1")  # not a page more than there are
    large = b'{"a":"' + b"x" * 3_000_000 + b'"}'

    with pytest.raises(StorageUnavailable, match="no space left"):
        await desk.keep(a_ticket("2"), a_ticket("large", payload=large))
    assert [ticket.ticket_id for ticket in (await desk.everything()).tickets] == ["1"]

    await _pragma(desk, "max_page_count=1000000")
    await desk.keep(a_ticket("large", payload=large))
    assert [ticket.ticket_id for ticket in (await (await settle(desk)).everything()).tickets] == ["1", "large"]


async def test_a_database_that_may_only_be_read_says_so(desk: Desk) -> None:
    await desk.keep(a_ticket("1"))
    await _pragma(desk, "query_only=on")

    with pytest.raises(StorageUnavailable, match="may not write there: check DATA_PATH, its owner and its permissions"):
        await desk.keep(a_ticket("2"))

    assert await desk.find(ticket_key(PLATFORM, "1")) is not None


async def test_a_record_that_cannot_be_written_yet_is_acknowledged_and_read_from_the_journal(
    desk: Desk, base: Path, settle: Settle, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.keep(a_ticket("1", platform="another"))
    in_the_way = [base / "acme/zendesk", base / "acme" / layout.EDITED]  # nor is there room to set it aside
    for place in in_the_way:
        place.write_text("what somebody put there")

    stored = await desk.kept(a_ticket("2"))
    await desk.keep(a_ticket("3", platform="another"))  # which comes after the files of the one before were tried
    for place in in_the_way:
        place.unlink()

    assert "not written yet" in caplog.text
    assert await desk.find(stored.key) == stored
    desk = await settle(desk)
    assert await desk.find(stored.key) == stored
    assert (base / "acme" / layout.record_path(stored.key)).is_file()


@pytest.mark.parametrize("name", ["tickets", "zendesk"])
async def test_a_stranger_in_the_way_of_a_record_is_set_aside_and_named(
    desk: Desk, base: Path, settle: Settle, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    await desk.keep(a_ticket("1", platform="another"))
    place = base / "acme" / ("zendesk/tickets" if name == "tickets" else "zendesk")
    place.parent.mkdir(exist_ok=True)
    place.write_text("what somebody put there")

    stored = await desk.kept(a_ticket("2"))
    desk = await settle(desk)

    assert await desk.find(stored.key) == stored
    aside = [path.read_text() for path in (base / "acme" / layout.EDITED).rglob("*") if path.is_file()]
    assert aside == ["what somebody put there"]
    assert "moved to" in caplog.text


async def test_no_error_of_a_broken_company_reaches_another(
    storage: FileStorage, base: Path, new_storage: Callable[[], FileStorage]
) -> None:
    broken, sound = Desk(storage, "broken"), Desk(storage, "sound")
    await broken.keep(a_ticket("1"))
    await sound.keep(a_ticket("1"))
    await storage.aclose()
    (base / "broken" / layout.LOCK).unlink()
    (base / "broken" / layout.LOCK).mkdir()
    again = new_storage()
    broken, sound = Desk(again, "broken"), Desk(again, "sound")

    outcomes = await asyncio.gather(
        *(broken.find(ticket_key(PLATFORM, "1")) for _ in range(6)),
        *(sound.find(ticket_key(PLATFORM, "1")) for _ in range(6)),
        broken.keep(a_ticket("2")),
        sound.keep(a_ticket("2")),
        return_exceptions=True,
    )

    assert [isinstance(one, StorageUnavailable) for one in outcomes] == [True] * 6 + [False] * 6 + [True, False]
    assert not any(isinstance(one, BaseException) for one in outcomes[6:12])
    assert await again.companies() == ["broken", "sound"]
