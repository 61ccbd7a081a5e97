"""What lies in a company's directory is that company's, or it is nobody's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deskstore.adapters.file import FileStorage, layout
from deskstore.domain.errors import CorruptRecord, StorageError, StorageUnavailable
from deskstore.domain.identifiers import ticket_key
from deskstore.domain.paging import EVERYTHING
from deskstore.domain.records import Ticket
from deskstore.testing.desk import Desk
from deskstore.testing.makers import PLATFORM, a_summary, a_ticket
from tests.file.conftest import Settle
from tests.file.trees import contents_of

OURS, THEIRS = "acme", "theirs"


@pytest.fixture
async def both(storage: FileStorage) -> None:
    """Two companies with the same ids, closed."""
    for company_id in (OURS, THEIRS):
        await Desk(storage, company_id).fill(f"secret of {company_id}")
    await storage.aclose()


@pytest.fixture
def opened(new_storage: Callable[[], FileStorage]) -> Callable[[str], Desk]:
    return lambda company_id: Desk(new_storage(), company_id)


async def _reads(desk: Desk) -> str:
    """All that a company can be made to say, errors included."""
    said: list[object] = []
    key = ticket_key(PLATFORM, "1")
    for call in (
        desk.find(key),
        desk.history(key),
        desk.unit().tickets.page(EVERYTHING),
        desk.everything(),
        desk.claim(10),
        desk.keep(a_ticket("new")),
        desk.find(key),
    ):
        try:
            said.append(await call)
        except StorageError as error:
            said.append(str(error))
    return repr([(one.payload, one) if isinstance(one, Ticket) else one for one in said])


@pytest.mark.usefixtures("both")
async def test_another_companys_file_in_the_same_place_is_never_ours(base: Path, opened: Callable[[str], Desk]) -> None:
    for place in (layout.record_path(ticket_key(PLATFORM, "1")), layout.summary_path(ticket_key(PLATFORM, "1"), 1)):
        shutil.copy(base / THEIRS / place, base / OURS / place)

    desk = opened(OURS)

    with pytest.raises(CorruptRecord):
        await desk.find(ticket_key(PLATFORM, "1"))
    with pytest.raises(CorruptRecord):
        await desk.history(ticket_key(PLATFORM, "1"))
    assert "secret of theirs" not in await _reads(desk)


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("lost", [(), ("company.json",), ("state.sqlite3",), ("company.json", "state.sqlite3")], ids=str)
async def test_another_companys_directory_in_our_place_is_never_ours(
    base: Path, opened: Callable[[str], Desk], lost: tuple[str, ...]
) -> None:
    shutil.rmtree(base / OURS)
    shutil.copytree(base / THEIRS, base / OURS)
    for name in lost:
        (base / OURS / layout.OWN / name).unlink()
    theirs = contents_of(base / THEIRS)

    said = await _reads(opened(OURS))

    assert "secret of theirs" not in said
    assert contents_of(base / THEIRS) == theirs
    assert (await opened(THEIRS).everything()).tickets[0].fields.subject == "secret of theirs"


@pytest.mark.usefixtures("both")
async def test_another_companys_company_file_is_refused(base: Path, opened: Callable[[str], Desk]) -> None:
    shutil.copy(base / THEIRS / layout.COMPANY_FILE, base / OURS / layout.COMPANY_FILE)

    with pytest.raises(StorageUnavailable, match="another company"):
        await opened(OURS).everything()

    assert await opened(THEIRS).find(ticket_key(PLATFORM, "1")) is not None


@pytest.mark.usefixtures("both")
async def test_another_companys_database_is_refused(base: Path, opened: Callable[[str], Desk]) -> None:
    shutil.copy(base / THEIRS / layout.DATABASE, base / OURS / layout.DATABASE)

    said = await _reads(opened(OURS))

    assert "another company" in said
    assert "secret of theirs" not in said


@pytest.mark.usefixtures("both")
async def test_a_link_to_another_companys_directory_is_not_followed(base: Path, opened: Callable[[str], Desk]) -> None:
    shutil.rmtree(base / OURS)
    os.symlink(base / THEIRS, base / OURS, target_is_directory=True)
    theirs = contents_of(base / THEIRS)
    desk = opened(OURS)

    said = await _reads(desk)

    assert "symbolic link" in said
    assert "secret" not in said
    assert await desk.storage.companies() == [THEIRS]
    assert contents_of(base / THEIRS) == theirs


@pytest.mark.usefixtures("both")
async def test_links_to_another_companys_platform_or_private_directory_are_not_followed(base: Path, opened: Callable[[str], Desk]) -> None:
    theirs = contents_of(base / THEIRS)
    for name in (PLATFORM, layout.OWN):
        shutil.rmtree(base / OURS / name)
        os.symlink(base / THEIRS / name, base / OURS / name, target_is_directory=True)

        said = await _reads(opened(OURS))

        assert "secret of theirs" not in said
        assert contents_of(base / THEIRS) == theirs


async def test_no_error_or_log_of_a_company_names_another_or_quotes_its_records(
    storage: FileStorage, base: Path, settle: Settle, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "deskstore")
    ours, theirs = Desk(storage, OURS), Desk(storage, "globex")
    await ours.fill("our-text")
    await theirs.keep(a_ticket("their-id", text="their-text"))
    await theirs.summarise(a_summary(ticket_key(PLATFORM, "their-id"), content=b'{"their":"summary"}'))
    ours = await settle(ours)
    caplog.clear()
    (base / OURS / layout.record_path(ticket_key(PLATFORM, "1"))).write_bytes(b"{}")

    said = await _reads(ours)
    await ours.storage.aclose()

    for secret in ("globex", "their-id", "their-text", "summary of"):
        assert secret not in said
        assert secret not in caplog.text
    assert "our-text" not in caplog.text
