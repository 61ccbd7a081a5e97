"""Backups from the command line: what is printed, what is said, and how it ends."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import evolve

from deskstore.adapters.file import FileStorage
from tests.cli.conftest import Deskstore
from tests.cli.processes import run
from tests.cli.test_interruptions import interrupted
from tests.payloads import as_bytes, freshdesk

ACME = ("--company", "acme")
MANY = 3_000


@pytest.fixture
def acme(deskstore: Deskstore, tmp_path: Path) -> Deskstore:
    (tmp_path / "tickets.json").write_bytes(as_bytes([freshdesk(number) for number in range(1, 6)]))
    assert deskstore("import", "tickets.json", *ACME, "--platform", "freshdesk").code == 0
    assert deskstore("backup", "create", *ACME, "-o", "acme.tar").code == 0
    return deskstore


def test_a_backup_says_what_it_holds_and_until_when(acme: Deskstore) -> None:
    ran = acme("backup", "create", *ACME, "--output", "again.tar")

    assert (ran.code, ran.lines[:2]) == (0, [["PART", "THINGS"], ["ticket", "5"]])
    assert re.fullmatch(r"deskstore: all of company 'acme' as it was at \S+Z is in again.tar, read back and found whole\n", ran.err)


def test_a_file_that_is_there_is_not_overwritten(acme: Deskstore, tmp_path: Path) -> None:
    before = (tmp_path / "acme.tar").read_bytes()

    ran = acme("backup", "create", *ACME, "-o", "acme.tar")

    assert ran.code == 2
    assert "acme.tar: there is a file of that name already, and backups overwrite nothing" in ran.err
    assert (tmp_path / "acme.tar").read_bytes() == before


def test_a_folder_that_is_not_there_is_named_and_not_the_file_that_was_to_be_written(acme: Deskstore) -> None:
    ran = acme("backup", "create", *ACME, "-o", "nowhere/acme.tar")

    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "nowhere is not a directory: make it first, or name another place for acme.tar" in ran.err


def test_a_backup_is_no_export_and_an_import_says_what_to_do_with_it(acme: Deskstore) -> None:
    ran = acme("import", "acme.tar", *ACME, "--platform", "freshdesk")

    assert (ran.code, ran.err) == (
        1,
        "deskstore: acme.tar is a tar archive: unpack it, or use `deskstore backup restore` if it is a backup\n",
    )


def test_nothing_is_written_for_a_company_that_is_not_there(acme: Deskstore, tmp_path: Path) -> None:
    ran = acme("backup", "create", "--company", "nobody", "-o", "nobody.tar")

    assert (ran.code, "there is nothing to back up" in ran.err) == (1, True)
    assert not (tmp_path / "nobody.tar").exists()


def test_a_changed_file_is_found_without_a_storage(acme: Deskstore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (tmp_path / "acme.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:-1])
    (tmp_path / "bad.tar").write_bytes(whole[:1_700] + b"x" + whole[1_701:])
    monkeypatch.setenv("STORAGE_TYPE", "nonsense")

    good = acme("backup", "check", "acme.tar")
    bad = acme("backup", "check", "acme.tar", "cut.tar", "bad.tar", "tickets.json")
    listed = acme("backup", "list", ".")

    assert (good.code, bad.code, listed.code) == (0, 1, 1)
    assert good.lines[1][:5] == ["acme.tar", "acme", *good.lines[1][2:4], "5"]
    assert [line[0] for line in bad.lines[1:]] == ["acme.tar", "cut.tar", "bad.tar", "tickets.json"]
    assert [line[-1] for line in bad.lines[1:]] == ["-", "missing", "fit", "does"]
    assert "things/000000.ndjson.zst was changed: its sha256 does not fit" in bad.out
    assert "it does not begin as a backup does" in bad.out
    assert "its end is missing" in listed.out


def test_a_backup_goes_into_an_empty_company_and_into_no_other(acme: Deskstore) -> None:
    unnamed = acme("backup", "restore", "acme.tar", "--company", "copy")
    copied = acme("backup", "restore", "acme.tar", "--company", "copy", "--of", "acme")
    again = acme("backup", "restore", "acme.tar", "--company", "copy", "--of", "acme")
    merged = acme("backup", "restore", "acme.tar", "--company", "copy", "--of", "acme", "--merge")

    assert [ran.code for ran in (unnamed, copied, again, merged)] == [1, 0, 1, 0]
    assert "the backup is not of company 'copy'" in unnamed.err
    assert "'copy' is not empty" in again.err
    assert merged.lines[1] == ["0", "0", "5", "0", "0"]
    assert acme("export", "--company", "copy", "-o", "-").out == acme("export", *ACME, "-o", "-").out


def test_a_company_is_replaced_only_if_that_is_meant_and_kept(acme: Deskstore) -> None:
    unkept = acme("backup", "restore", "acme.tar", *ACME, "--replace")
    unagreed = acme("backup", "restore", "acme.tar", *ACME, "--replace", "--keep", "before.tar")
    both = acme("backup", "restore", "acme.tar", *ACME, "--replace", "--keep", "before.tar", "--merge")
    done = acme("backup", "restore", "acme.tar", *ACME, "--replace", "--keep", "before.tar", "--yes")

    assert [ran.code for ran in (unkept, unagreed, both, done)] == [2, 2, 2, 0]
    assert "add --yes if that is meant" in unagreed.err
    assert "what it held before is in before.tar" in done.err
    assert acme("backup", "check", "before.tar").code == 0


def test_only_an_interrupted_restore_is_undone(acme: Deskstore) -> None:
    ran = acme("backup", "restore", "--undo", *ACME, "--yes")

    assert (ran.code, "nothing to undo" in ran.err) == (1, True)
    assert acme("backup", "restore", "--undo", *ACME).code == 2
    assert acme("backup", "restore", "acme.tar", "--undo", *ACME, "--yes").code == 2
    assert acme("backup", "restore", *ACME).code == 2


def test_a_damaged_record_is_named_and_the_rest_is_backed_up_and_the_code_is_1(acme: Deskstore, data_path: Path) -> None:
    file = data_path / "acme/freshdesk/tickets/3.json"
    file.write_bytes(file.read_bytes()[:-40])

    ran = acme("backup", "create", *ACME, "-o", "rest.tar")
    restored = acme("backup", "restore", "rest.tar", "--company", "copy", "--of", "acme")

    assert (ran.code, ran.lines[1], restored.code) == (1, ["ticket", "4"], 1)
    assert "not in rest.tar, since it was damaged: ticket freshdesk 3: freshdesk/tickets/3.json" in ran.err
    assert acme("status", "--company", "copy", "--json").json["platforms"][0]["tickets"] == 4


def test_an_interrupted_backup_leaves_no_file(environment: dict[str, str], tmp_path: Path) -> None:
    export = b"".join(as_bytes(freshdesk(number)) + b"\n" for number in range(MANY))
    assert run(environment, "import", "-", *ACME, "--platform", "freshdesk", given=export).returncode == 0

    code, said = interrupted(
        environment, ["backup", "create", *ACME, "-o", str(tmp_path / "b.tar")], when=lambda: any(tmp_path.glob(".*.part"))
    )

    assert (code, "b.tar was not written" in said) == (130, True)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert run(environment, "backup", "create", *ACME, "-o", str(tmp_path / "b.tar")).returncode == 0


def test_a_killed_backup_is_named_until_it_is_forgotten(acme: Deskstore, data_path: Path) -> None:
    began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    asyncio.run(_register(data_path, f"backup {began} abcd"))

    looked = acme("backup", "forget", *ACME, "--dry-run")
    named = acme("backup", "forget", *ACME, "--dry-run", "--json")
    forgotten = acme("backup", "forget", *ACME)
    again = acme("backup", "forget", *ACME)

    assert (looked.lines[1][-1], looked.err) == ("abcd", "deskstore: nothing was changed: this was a dry run\n")
    assert named.json == {"company": "acme", "forgotten": [{"name": f"backup {began} abcd", "began_at": began}], "dry_run": True}
    assert (forgotten.code, forgotten.lines[1][-1]) == (0, "abcd")
    assert (again.code, again.err) == (0, "deskstore: no backup of company 'acme' has begun and not ended\n")


async def _register(data: Path, name: str) -> None:
    """Leave the name of a backup behind, as one does that is killed."""
    storage = FileStorage(data)
    replica = storage.replica("acme")
    state = await replica.state()
    assert state is not None
    assert await replica.compare_and_set_state(state, evolve(state, backups=(name,)))
    await storage.aclose()
