"""`deskstore doctor` on files: what it prints, what it asks, and how it ends."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from deskstore.adapters.file import layout
from tests.cli.conftest import Deskstore
from tests.payloads import as_bytes, freshdesk
from tests.privileges import without_privileges

PROGRAM: Final = [sys.executable, "-m", "deskstore.cli"]
STATUS: Final = b'"status": 2'
ACME: Final = ("--company", "acme")


@pytest.fixture
def tickets(tmp_path: Path) -> str:
    path = tmp_path / "tickets.json"
    path.write_bytes(as_bytes([freshdesk(number) for number in range(1, 4)]))
    return str(path)


@pytest.fixture
def acme(deskstore: Deskstore, tickets: str) -> Deskstore:
    assert deskstore("import", tickets, *ACME, "--platform", "freshdesk").code == 0
    return deskstore


@pytest.fixture
def files(data_path: Path) -> Path:
    """Where the tickets of the company lie."""
    return data_path / "acme" / "freshdesk" / "tickets"


def edit(file: Path) -> None:
    body = file.read_bytes()
    assert body.count(STATUS) == 1
    file.write_bytes(body.replace(STATUS, b'"status": 5'))


def test_nothing_at_all_is_no_fault(deskstore: Deskstore, data_path: Path) -> None:
    ran = deskstore("doctor")

    assert (ran.code, ran.err) == (0, "deskstore: nothing is wrong\n")
    assert ["directory", "ok"] in [line[:2] for line in ran.lines]
    assert not data_path.exists()


def test_a_sound_company_is_told_with_its_settings_and_its_layout(acme: Deskstore, data_path: Path) -> None:
    ran = acme("doctor")

    assert (ran.code, ran.err) == (0, "deskstore: nothing is wrong\n")
    assert ["DATA_PATH", str(data_path), "option"] in ran.lines
    assert ["layout", "of", "acme", "ok", str(layout.LAYOUT)] in ran.lines
    assert "FINDING" not in ran.out


def test_findings_are_named_with_what_can_be_done(acme: Deskstore, files: Path) -> None:
    edit(files / "1.json")
    (files / "2.json").unlink()

    ran = acme("doctor")

    assert ran.code == 1
    assert [line[:3] for line in ran.lines[-2:]] == [
        ["acme", "edited", "freshdesk/tickets/1.json"],
        ["acme", "missing", "freshdesk/tickets/2.json"],
    ]
    assert ran.err.splitlines() == [
        "deskstore: edited: --accept-edits takes it in as a new version, --repair sets it aside and gives the record up",
        "deskstore: missing: put the file back, or --repair gives the record up",
        "deskstore: 2 findings",
    ]


def test_the_report_has_a_stable_shape(acme: Deskstore, files: Path, data_path: Path) -> None:
    (files / "2.json").unlink()

    ran = acme("doctor", "--json")

    shown = ran.json
    assert [check.pop("name") for check in shown["checks"]] == ["directory", "writable", "free space", "free inodes", "erasures"]
    assert [set(check) for check in shown.pop("checks")] == [{"ok", "detail"}] * 5
    assert shown["settings"][1] == {"variable": "DATA_PATH", "value": str(data_path), "origin": "option"}
    del shown["settings"]
    assert shown == {
        "companies": [{"company": "acme", "layout": 1}],
        "findings": [
            {
                "company": "acme",
                "kind": "missing",
                "file": "freshdesk/tickets/2.json",
                "record": {"kind": "ticket", "platform": "freshdesk", "id": "2", "locale": "", "summary": None},
                "what": "the file is missing",
                "advice": "put the file back, or --repair gives the record up",
                "healable": False,
                "fault": True,
            }
        ],
        "mended": [],
        "released_claims": [],
        "dry_run": False,
    }


def test_what_was_mended_has_a_stable_shape(acme: Deskstore, files: Path) -> None:
    edit(files / "1.json")

    ran = acme("doctor", "--accept-edits", "--json")

    (mended,) = ran.json["mended"]
    assert (ran.code, ran.json["findings"]) == (0, [])
    assert {key: mended[key] for key in ("kind", "file", "remedy", "detail", "summaries")} == {
        "kind": "edited",
        "file": "freshdesk/tickets/1.json",
        "remedy": "taken in",
        "detail": "",
        "summaries": 0,
    }
    assert acme("doctor").code == 0
    assert acme("doctor", "--accept-edits").err == "deskstore: there was nothing to mend\n"


def test_a_repair_that_loses_something_names_it_counts_it_and_ends_with_1(acme: Deskstore, files: Path) -> None:
    (files / "1.json").write_bytes(b"{")
    (files / "2.json").unlink()

    ran = acme("doctor", "--repair", "--yes")

    aside = f"{layout.EDITED}/freshdesk/tickets/1.json"
    assert ran.code == 1
    assert [line[1:] for line in ran.lines[-2:]] == [
        ["damaged", "freshdesk/tickets/1.json", "lost"],
        ["missing", "freshdesk/tickets/2.json", "lost"],
    ]
    assert ran.err.splitlines() == [
        f"deskstore: lost: acme/freshdesk/tickets/1.json (ticket '1' on 'freshdesk'): the old file is in {aside}",
        "deskstore: lost: acme/freshdesk/tickets/2.json (ticket '2' on 'freshdesk')",
        "deskstore: 2 lost",
        "deskstore: 2 records or summaries are lost: restore them from a backup, or import again",
    ]
    assert acme("ticket", "list", *ACME).code == 0


def test_what_was_lost_comes_back_with_the_next_import(acme: Deskstore, files: Path, tickets: str) -> None:
    (files / "1.json").write_bytes(b"{")
    acme("doctor", "--repair", "--yes")

    again = acme("import", tickets, *ACME, "--platform", "freshdesk")

    assert again.lines[1] == ["1", "0", "2", "0", "0"]


def test_a_repair_that_loses_nothing_asks_nothing(acme: Deskstore, files: Path) -> None:
    (files / "1.json").chmod(0o644)

    ran = acme("doctor", "--repair")

    assert (ran.code, ran.err) == (0, "deskstore: 1 healed\n")
    assert ran.lines[-1] == ["acme", "permissions", "freshdesk/tickets/1.json", "healed"]


def test_nothing_is_given_up_unasked(acme: Deskstore, files: Path) -> None:
    (files / "1.json").write_bytes(b"{")
    (files / "2.json").chmod(0o644)

    ran = acme("doctor", "--repair")

    assert ran.code == 2
    assert "1 record or summary of 'acme' cannot be healed" in ran.err
    assert "add --yes" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert [line[1] for line in acme("doctor").lines[-2:]] == ["damaged", "permissions"]


def test_a_dry_run_changes_nothing(acme: Deskstore, files: Path) -> None:
    edit(files / "1.json")
    before = (files / "1.json").read_bytes()

    repair = acme("doctor", "--repair", "--dry-run")
    accept = acme("doctor", "--accept-edits", "--dry-run")

    assert (repair.code, repair.lines[-1][-1]) == (1, "lost")
    assert (accept.code, accept.lines[-1][-2:]) == (0, ["taken", "in"])
    assert "nothing was changed: this was a dry run" in repair.err
    assert (files / "1.json").read_bytes() == before


@pytest.mark.parametrize("words", [("--dry-run",), ("--yes",), ("--company", ""), ("--company", " x")])
def test_wrong_usage_is_one_line(acme: Deskstore, words: tuple[str, ...]) -> None:
    ran = acme("doctor", *words)

    assert (ran.code, len(ran.err.splitlines())) == (2, 1)


def test_a_company_that_is_not_there_is_said(acme: Deskstore) -> None:
    ran = acme("doctor", "--company", "nobody")

    assert ran.code == 2
    assert "company 'nobody' does not exist: see which do with `deskstore company list`" in ran.err


def test_tickets_are_handed_out_again_when_asked(acme: Deskstore, data_path: Path) -> None:
    (data_path / "acme" / layout.DATABASE).unlink()
    assert acme("doctor").code == 1
    assert acme("doctor", "--repair").code == 0

    waiting = acme("doctor")
    released = acme("doctor", "--release-claims")

    assert (waiting.code, waiting.lines[-1][:2]) == (0, ["acme", "claims"])
    assert (released.code, "acme: tickets are handed out again" in released.err) == (0, True)
    assert "claims" not in acme("doctor").out


def test_it_is_said_when_no_claims_were_held_back(acme: Deskstore) -> None:
    ran = acme("doctor", "--release-claims")

    assert (ran.code, "no claims were being held back" in ran.err) == (0, True)


@pytest.mark.parametrize("closed", ["acme", "acme/.deskstore"])
def test_a_company_that_cannot_be_opened_hides_nothing_else(deskstore: Deskstore, closed: str) -> None:
    with without_privileges(), TemporaryDirectory() as folder:
        data_path, export = Path(folder, "data"), Path(folder, "tickets.json")
        export.write_bytes(as_bytes([freshdesk(1)]))
        for company_id in ("acme", "globex"):
            deskstore("--data-path", str(data_path), "import", str(export), "--company", company_id, "--platform", "freshdesk")
        (data_path / "globex/freshdesk/tickets/1.json").unlink()
        (data_path / closed).chmod(0)

        ran = deskstore("--data-path", str(data_path), "doctor")
        (data_path / closed).chmod(0o700)

    assert ran.code == 4
    assert ["free", "space", "ok"] in [line[:3] for line in ran.lines]
    assert ["company", "acme", "failed"] in [line[:3] for line in ran.lines]
    assert ["globex", "missing", "freshdesk/tickets/1.json"] in [line[:3] for line in ran.lines]
    assert f"company acme: {data_path}" in ran.err
    assert "Permission denied: check DATA_PATH, its owner and its permissions" in ran.err


def test_no_text_about_a_company_names_another_one(acme: Deskstore, tickets: str, data_path: Path, files: Path) -> None:
    other = "globex-7f3a"
    acme("import", tickets, "--company", other, "--platform", "freshdesk")
    (files / "1.json").write_bytes((data_path / other / "freshdesk" / "tickets" / "1.json").read_bytes())
    (files / "9.json").write_bytes((data_path / other / "freshdesk" / "tickets" / "2.json").read_bytes())
    (data_path / other / "freshdesk" / "tickets" / "3.json").unlink()

    for words in ([], ["--json"], ["--accept-edits"], ["--repair"], ["--repair", "--dry-run"], ["--repair", "--yes"]):
        ran = acme("doctor", *ACME, *words)

        assert other not in ran.out + ran.err

    assert other in acme("doctor").out


@pytest.mark.parametrize(("typed", "code", "is_kept"), [(b"acme\n", 1, False), (b"acne\n", 2, True)])
def test_on_a_terminal_the_name_of_the_company_is_typed(
    acme: Deskstore, files: Path, data_path: Path, typed: bytes, code: int, is_kept: bool
) -> None:
    assert acme("doctor").code == 0
    (files / "1.json").write_bytes(b"{")

    ended, shown = at_a_terminal(typed, "--data-path", str(data_path), "doctor", "--repair", *ACME)

    assert ended == code
    assert "Type the company's name" in shown
    assert (files / "1.json").exists() is is_kept


def at_a_terminal(typed: bytes, *words: str) -> tuple[int, str]:
    """How a command ends, and what it shows, when somebody types that."""
    ours, theirs = pty.openpty()
    os.write(ours, typed)
    done = subprocess.run([*PROGRAM, *words], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True)
    os.close(ours)
    os.close(theirs)
    return done.returncode, done.stdout


def test_an_export_goes_on_behind_a_damaged_record_and_ends_with_1(acme: Deskstore, files: Path, tmp_path: Path) -> None:
    (files / "2.json").write_bytes(b"{")

    ran = acme("export", *ACME, "-o", "all.ndjson")

    assert ran.code == 1
    assert len((tmp_path / "all.ndjson").read_bytes().splitlines()) == 2
    assert "left out: ticket '2' on 'freshdesk' cannot be trusted: freshdesk/tickets/2.json" in ran.err
