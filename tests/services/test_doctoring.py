"""What another hand changed is taken in as an ordinary save, and what cannot be is left, named and counted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from deskstore.adapters.file import FileStorage
from deskstore.adapters.file.layout import record_path
from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import ConfigurationError
from deskstore.domain.findings import FindingKind, Mended, Remedy
from deskstore.domain.identifiers import Key, article_key, ticket_key
from deskstore.domain.processing import COMPLETED, PENDING, ProcessingStatus
from deskstore.services.articles import find_article, save_article
from deskstore.services.doctoring import accept_edits, inspect_company, inspection_of, release_claims, repair_company
from deskstore.services.exporting import export_records
from deskstore.services.importing import import_records
from deskstore.services.processing import update_processing_status
from deskstore.services.tickets import find_ticket, save_ticket

ACME: Final = "acme"
DESK: Final = "freshdesk"
PAYLOAD: Final = {"id": 42, "subject": "Login", "description_text": "It fails", "status": 2, "updated_at": "2026-01-02T00:00:00Z"}
KEY: Final = ticket_key(DESK, "42")


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[FileStorage]:
    """A company with a ticket that was completed, a second one, and an article; all in files."""
    first = FileStorage(tmp_path)
    await save_ticket(first, ACME, DESK, PAYLOAD)
    await save_ticket(first, ACME, DESK, {**PAYLOAD, "id": 43})
    await save_article(first, ACME, DESK, {"id": 7, "title": "How to", "description_text": "Like this"}, locale="ko")
    await update_processing_status(first, ACME, DESK, "42", COMPLETED)
    await first.aclose()
    storage = FileStorage(tmp_path)
    yield storage
    await storage.aclose()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ACME / record_path(KEY)


async def accepted(storage: FileStorage, *, dry_run: bool = False) -> list[Mended]:
    return [one async for one in accept_edits(storage, ACME, dry_run=dry_run)]


async def faults(storage: FileStorage) -> list[FindingKind]:
    return [one.kind async for one in inspect_company(storage, ACME) if one.is_fault]


async def status_of(storage: FileStorage, key: Key) -> ProcessingStatus | None:
    async with storage.unit_of_work(ACME) as uow:
        found = await uow.progress.find(key.platform, key.id)
    return found.status if found else None


def edit(file: Path, old: bytes, new: bytes) -> None:
    body = file.read_bytes()
    assert body.count(old) == 1
    file.write_bytes(body.replace(old, new))


def put(file: Path, body: bytes) -> None:
    file.touch(mode=0o600)
    file.write_bytes(body)


async def test_a_changed_text_is_a_new_version_and_pending_again(files: FileStorage, file: Path) -> None:
    before = await find_ticket(files, ACME, DESK, "42")
    edit(file, b"It fails", b"It works")

    (mended,) = await accepted(files)

    found = await find_ticket(files, ACME, DESK, "42")
    assert (mended.remedy, mended.finding.kind, mended.finding.key) == (Remedy.TAKEN_IN, FindingKind.EDITED, KEY)
    assert before is not None
    assert found is not None
    assert (found.data["description_text"], found.version > before.version) == ("It works", True)
    assert await status_of(files, KEY) is PENDING
    assert await faults(files) == []


async def test_a_change_that_is_no_text_leaves_the_processing_alone(files: FileStorage, file: Path) -> None:
    edit(file, b'"status":2', b'"status":4')

    await accepted(files)

    found = await find_ticket(files, ACME, DESK, "42")
    assert found is not None
    assert found.fields.status == "4"
    assert await status_of(files, KEY) is COMPLETED


async def test_an_edit_counts_as_newer_whatever_the_platform_says(files: FileStorage, file: Path) -> None:
    edit(file, b'"updated_at":"2026-01-02T00:00:00Z"', b'"updated_at":"2001-01-02T00:00:00Z"')

    await accepted(files)

    found = await find_ticket(files, ACME, DESK, "42")
    assert found is not None
    assert found.data["updated_at"] == "2001-01-02T00:00:00Z"


async def test_an_envelope_alone_that_was_changed_is_written_anew_with_the_same_payload(files: FileStorage, file: Path) -> None:
    before = await find_ticket(files, ACME, DESK, "42")
    edit(file, b'"locale":"","version":', b'"locale":"","version":1')

    (mended,) = await accepted(files)

    found = await find_ticket(files, ACME, DESK, "42")
    assert mended.remedy is Remedy.TAKEN_IN
    assert before is not None
    assert found is not None
    assert (found.data, found.version > before.version) == (before.data, True)
    assert await status_of(files, KEY) is COMPLETED


async def test_a_payload_put_there_by_hand_replaces_the_stored_one_exactly(files: FileStorage, file: Path) -> None:
    payload = b'{"id": 42.0,\n "subject": "\\u00fc", "subject": "twice"}'
    put(file, payload + b"\n")

    await accepted(files)

    found = await find_ticket(files, ACME, DESK, "42")
    assert found is not None
    assert found.payload == payload


async def test_an_added_file_is_a_new_record(files: FileStorage, file: Path) -> None:
    put(file.with_name("99.json"), b'{"id": 99, "subject": "new"}')

    (mended,) = await accepted(files)

    found = await find_ticket(files, ACME, DESK, "99")
    assert (mended.remedy, mended.finding.kind) == (Remedy.TAKEN_IN, FindingKind.ADDED)
    assert found is not None
    assert found.fields.subject == "new"
    assert await status_of(files, found.key) is PENDING
    assert await faults(files) == []


async def test_an_article_keeps_the_locale_of_its_place(files: FileStorage, tmp_path: Path) -> None:
    file = tmp_path / ACME / record_path(article_key(DESK, "7", "ko"))
    edit(file, b"Like this", b"Like that")

    await accepted(files)

    found = await find_article(files, ACME, DESK, "7", "ko")
    assert found is not None
    assert found.data["description_text"] == "Like that"


async def test_what_cannot_be_a_record_is_left_with_the_reason(files: FileStorage, file: Path) -> None:
    put(file, b'{"id": 43}')
    put(file.with_name("99.json"), b'{"subject": "no id"}')

    mended = {one.finding.place: one for one in await accepted(files)}

    assert {one.remedy for one in mended.values()} == {Remedy.LEFT}
    assert "another id than its name" in mended[record_path(KEY)].detail
    assert await faults(files) == [FindingKind.EDITED, FindingKind.ADDED]


async def test_a_file_that_is_no_json_is_no_edit(files: FileStorage, file: Path) -> None:
    put(file, b"{")

    assert await accepted(files) == []
    assert await faults(files) == [FindingKind.DAMAGED]


async def test_a_dry_run_says_the_same_and_changes_nothing(files: FileStorage, file: Path) -> None:
    edit(file, b"It fails", b"It works")
    file.with_name("43.json").unlink()

    taken = [one.remedy for one in await accepted(files, dry_run=True)]
    foreseen = {one.finding.kind: one.remedy async for one in repair_company(files, ACME, dry_run=True)}

    assert taken == [Remedy.TAKEN_IN]
    assert foreseen == {FindingKind.EDITED: Remedy.LOST, FindingKind.MISSING: Remedy.LOST}
    assert await faults(files) == [FindingKind.EDITED, FindingKind.MISSING]


async def test_edits_that_are_taken_in_first_are_not_given_up(files: FileStorage, file: Path) -> None:
    edit(file, b"It fails", b"It works")

    await accepted(files)

    assert [one async for one in repair_company(files, ACME)] == []


async def test_a_storage_that_cannot_be_looked_through_says_so(storage: MemoryStorage) -> None:
    with pytest.raises(ConfigurationError, match="STORAGE_TYPE=file"):
        inspection_of(storage)


async def test_nobody_waits_for_claims_in_a_sound_company(files: FileStorage) -> None:
    assert not await release_claims(files, ACME)


# -- what goes on beside a damaged record --------------------------------------------------------------------------------------------------


async def test_an_export_names_a_damaged_record_in_the_middle_and_writes_the_rest(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "data")
    for number in range(1, 6):
        await save_ticket(storage, ACME, DESK, {**PAYLOAD, "id": number})
    await storage.aclose()
    put(tmp_path / "data" / ACME / record_path(ticket_key(DESK, "3")), b"{}")
    storage = FileStorage(tmp_path / "data")

    report = await export_records(storage, ACME, tmp_path / "all.ndjson")
    await storage.aclose()

    lines = (tmp_path / "all.ndjson").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [1, 2, 4, 5]
    assert (report.records, [error.key for error in report.damaged]) == (4, [ticket_key(DESK, "3")])
    assert report.damaged[0].place == record_path(ticket_key(DESK, "3"))


async def test_an_import_over_a_damaged_record_leaves_it_to_the_doctor(files: FileStorage, file: Path, tmp_path: Path) -> None:
    put(file, b"{}")
    (tmp_path / "t.json").write_text(json.dumps([{**PAYLOAD, "description_text": "newer"}, {**PAYLOAD, "id": 44}]))

    report = await import_records(files, ACME, DESK, [tmp_path / "t.json"])

    assert (report.created, report.updated, report.damaged) == (1, 0, 1)
    assert len(await faults(files)) == 1
