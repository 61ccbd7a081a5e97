"""No lost database and no lost file lets anybody in again who was erased."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from deskstore.adapters.file import FileStorage, layout
from deskstore.domain.errors import RequesterSuppressed, StorageUnavailable
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_suppression, a_ticket

KIM = a_suppression("kim@example.com")  # of whom a_ticket() is


def lose_database(company: Path) -> None:
    for path in (company / layout.OWN).glob("state.sqlite3*"):
        path.unlink()


async def test_a_lost_database_lets_nobody_in_again(desk: Desk, base: Path, new_storage: Callable[[], FileStorage]) -> None:
    await desk.suppress(KIM)
    before = [copy async for copy in desk.replica().copies("suppression")]
    await desk.storage.aclose()
    lose_database(base / "acme")

    again = Desk(new_storage(), "acme")

    with pytest.raises(RequesterSuppressed):
        await again.keep(a_ticket())
    assert [copy async for copy in again.replica().copies("suppression")] == before


async def test_a_lost_database_keeps_nobody_out_who_was_let_in_again(
    desk: Desk, base: Path, new_storage: Callable[[], FileStorage]
) -> None:
    await desk.suppress(KIM)
    await desk.lift(KIM)
    await desk.storage.aclose()
    lose_database(base / "acme")

    again = Desk(new_storage(), "acme")
    await again.keep(a_ticket())

    assert await again.find(a_ticket().key) is not None


async def test_suppressions_that_nothing_tells_any_more_are_not_guessed(
    desk: Desk, base: Path, new_storage: Callable[[], FileStorage]
) -> None:
    await desk.suppress(KIM)
    await desk.storage.aclose()
    lose_database(base / "acme")
    (base / "acme" / layout.SUPPRESSIONS).write_bytes(b'{"suppressions": [{}]}')

    with pytest.raises(StorageUnavailable, match=r"suppressions\.json.*restore the file"):
        await Desk(new_storage(), "acme").keep(a_ticket())


async def test_a_file_of_suppressions_that_was_removed_is_written_again(
    desk: Desk, base: Path, new_storage: Callable[[], FileStorage]
) -> None:
    await desk.suppress(KIM)
    await desk.storage.aclose()
    file = base / "acme" / layout.SUPPRESSIONS
    before = file.read_bytes()
    file.unlink()

    await Desk(new_storage(), "acme").find(a_ticket().key)

    assert file.read_bytes() == before
    assert [one["digest"] for one in orjson.loads(before)["suppressions"]] == [KIM.digest]


async def test_the_file_of_suppressions_is_nothing_to_the_doctor_and_to_others(desk: Desk, base: Path) -> None:
    assert isinstance(desk.storage, FileStorage)
    await desk.suppress(KIM)

    findings = [finding async for finding in desk.storage.inspection().findings("acme")]

    assert findings == []
    assert (base / "acme" / layout.SUPPRESSIONS).stat().st_mode & 0o777 == 0o600
