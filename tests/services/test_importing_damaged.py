"""An import that meets stored records whose files were damaged or edited: each is named and left as it is, and all others come in."""

from pathlib import Path

import pytest

from deskstore.adapters.file import FileStorage
from deskstore.domain.errors import CorruptRecord
from deskstore.domain.identifiers import ARTICLE, TICKET, Kind
from deskstore.services.importing import import_records
from deskstore.services.tickets import delete_ticket, find_ticket, save_ticket

ACME = "acme"
EXPORT = b"".join(b'{"id":%d,"text":"a"}\n' % number for number in range(5))
CHANGED = EXPORT.replace(b'"a"', b'"b"')


def export(tmp_path: Path, content: bytes = EXPORT) -> Path:
    path = tmp_path / "t.ndjson"
    path.write_bytes(content)
    return path


def edit(tmp_path: Path, number: int, folder: str = "tickets") -> Path:
    """Change a record's file by hand, as an editor does."""
    [path] = [one for one in (tmp_path / "data" / ACME / "docs" / folder).rglob("*.json") if one.name == f"{number}.json"]
    path.write_bytes(path.read_bytes().replace(b'"text":"a"', b'"text":"mine"'))
    return path


async def _kept(files: FileStorage, tmp_path: Path, kind: Kind = TICKET) -> None:
    """What was imported a while ago: the journal no longer holds it."""
    await import_records(files, ACME, "docs", [export(tmp_path)], kind=kind)
    await files.aclose()


@pytest.mark.parametrize("content", [EXPORT, CHANGED], ids=["the same bytes", "other bytes"])
@pytest.mark.parametrize(("kind", "folder"), [(TICKET, "tickets"), (ARTICLE, "articles")])
@pytest.mark.parametrize("is_dry", [False, True], ids=["import", "dry run"])
async def test_an_edited_record_is_neither_unchanged_nor_replaced(
    tmp_path: Path, content: bytes, kind: Kind, folder: str, is_dry: bool
) -> None:
    await _kept(FileStorage(tmp_path / "data"), tmp_path, kind)
    edited = edit(tmp_path, 3, folder)
    before = edited.read_bytes()
    files = FileStorage(tmp_path / "data")

    report = await import_records(files, ACME, "docs", [export(tmp_path, content)], kind=kind, dry_run=is_dry)
    await files.aclose()

    assert (report.unchanged + report.updated, report.rejected, report.damaged) == (4, 1, 1)
    assert "3.json: the file is not the one deskstore wrote: it was edited or damaged" in report.rejects[0].reason
    assert edited.read_bytes() == before


async def test_however_many_records_were_edited_each_is_reported_once(tmp_path: Path) -> None:
    await _kept(FileStorage(tmp_path / "data"), tmp_path)
    for number in (0, 2, 3, 4):
        edit(tmp_path, number)
    files = FileStorage(tmp_path / "data")

    report = await import_records(files, ACME, "docs", [export(tmp_path)])
    await files.aclose()

    assert (report.unchanged, report.rejected, report.damaged) == (1, 4, 4)
    assert [one.place.line for one in report.rejects] == [1, 3, 4, 5]


async def test_saving_over_an_edited_record_is_refused_and_deleting_it_is_not(tmp_path: Path) -> None:
    await _kept(FileStorage(tmp_path / "data"), tmp_path)
    edit(tmp_path, 3)
    files = FileStorage(tmp_path / "data")

    with pytest.raises(CorruptRecord, match=r"3\.json"):
        await save_ticket(files, ACME, "docs", {"id": 3, "text": "c"})
    await delete_ticket(files, ACME, "docs", "3")

    assert await find_ticket(files, ACME, "docs", "3") is None
    assert await find_ticket(files, ACME, "docs", "4") is not None
    await files.aclose()
