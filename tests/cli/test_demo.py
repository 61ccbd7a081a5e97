"""The demo holds what it says, again and again, and says so when something does not hold."""

import re
from pathlib import Path

import click
import pytest

from deskstore.cli.demo.checks import Checks
from deskstore.cli.demo.entry import MARK
from deskstore.cli.shared import Shared
from tests.cli.conftest import Deskstore


def test_the_demo_holds_what_it_says_and_can_be_repeated(deskstore: Deskstore, tmp_path: Path) -> None:
    first, again = deskstore("demo"), deskstore("demo", "--json")

    assert (first.code, again.code) == (0, 0)
    assert "FAIL  " not in first.out
    assert "\x1b" not in first.out + first.err
    assert [line[:2] for line in first.lines[-2:]] == [["initech", "orders"], ["(all)", "(all)"]]
    assert re.search(r"next: \S*deskstore ticket list --company acme --platform freshdesk --data-path deskstore-demo/data", first.err)
    assert (tmp_path / "deskstore-demo" / "data" / "acme" / "freshdesk" / "tickets" / "42.json").is_file()
    assert {check["passed"] for check in again.json["checks"]} == {True}
    assert len(again.json["checks"]) == len(first.out.split("ok  ")) - 1 == 9
    assert [(row["company"], row["platform"], row["tickets"], row["articles"]) for row in again.json["platforms"]][:4] == [
        ("acme", "freshdesk", 120, 0),
        ("acme", "zendesk", 60, 20),
        ("globex", "freshdesk", 90, 0),
        ("globex", "intercom", 40, 0),
    ]


def test_a_folder_that_no_demo_made_is_left_alone(deskstore: Deskstore, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")

    ran = deskstore("demo", "--folder", "mine")

    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "name another place with --folder" in ran.err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]
    assert not (tmp_path / "mine" / MARK).exists()


def test_a_check_that_failed_is_shown_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    checks = Checks()

    with click.Context(click.Command("demo"), obj=Shared()):
        checks.add("water runs uphill", is_true=False)

    assert checks.passed == {"water runs uphill": False}
    assert "FAIL  water runs uphill" in click.unstyle(capsys.readouterr().out)
