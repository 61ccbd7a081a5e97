"""`deskstore adopt`, as an operator runs it."""

from pathlib import Path

import pytest

from tests.cli.conftest import Deskstore
from tests.payloads import freshdesk
from tests.services.first_version import FirstVersion, digest


@pytest.fixture
def old(tmp_path: Path) -> FirstVersion:
    old = FirstVersion(tmp_path / "tree")
    old.save_ticket("acme", "freshdesk", freshdesk(1, ticket_id=1, processed_data={"topic": "x"}))
    old.update_processing_status("acme", "freshdesk", "1", "completed")
    old.save_summary("acme", "freshdesk", "1", {"text": "x"})
    old.save_kb_article("acme", "freshdesk", {"id": 5, "title": "How"})
    return old


def test_a_tree_is_adopted_and_then_served(deskstore: Deskstore, old: FirstVersion) -> None:
    before = digest(old.base_path)

    ran = deskstore("adopt", str(old.base_path))
    listed = deskstore("ticket", "list", "--company", "acme", "--json").json["tickets"]
    again = deskstore("adopt", str(old.base_path))

    assert (ran.code, ran.err, ran.lines[0]) == (
        0,
        "",
        ["COMPANY", "PLATFORM", "KIND", "CREATED", "UPDATED", "UNCHANGED", "STALE", "NOT", "PLACED"],
    )
    assert ran.lines[1:] == [
        ["acme", "freshdesk", "articles", "1", "0", "0", "0", "0"],
        ["acme", "freshdesk", "summaries", "2", "0", "0", "0", "0"],
        ["acme", "freshdesk", "tickets", "1", "0", "0", "0", "0"],
    ]
    assert [(one["id"], one["processing"]["status"]) for one in listed] == [("1", "completed")]
    assert [line[3:6] for line in again.lines[1:]] == [["0", "0", "1"], ["0", "0", "2"], ["0", "0", "1"]]
    assert digest(old.base_path) == before


def test_what_cannot_be_placed_is_listed_and_the_exit_code_says_so(deskstore: Deskstore, old: FirstVersion) -> None:
    old.save_ticket("acme", "freshdesk", {"ticket_id": "\x1b[2J"})
    (old.base_path / "acme/freshdesk/tickets/torn.json").write_bytes(b"{")
    old.put_progress("acme", "freshdesk", {"total_tickets": 9})

    ran = deskstore("adopt", str(old.base_path))

    assert ran.code == 3
    assert "not placed: acme/freshdesk/tickets/torn.json: the payload is not valid JSON" in ran.err
    assert "acme/freshdesk/progress/progress.json: says total_tickets 9, and the tree has 1" in ran.err
    assert "2 files were not placed, and lie in the tree as before" in ran.err
    assert "\x1b" not in ran.err


def test_files_with_the_same_remark_are_one_line_and_all_of_them_in_json(deskstore: Deskstore, tmp_path: Path) -> None:
    old = FirstVersion(tmp_path / "tree")
    for number in range(3):
        old.save_ticket("acme", "freshdesk", {"company_id": 77, **freshdesk(number, ticket_id=number)})

    ran = deskstore("adopt", str(old.base_path))
    shown = deskstore("adopt", str(old.base_path), "--json").json

    assert ran.err.count("\n") == 1
    assert "acme/freshdesk/tickets/0.json and 2 more: the payload had company_id of its own" in ran.err
    assert [len(one["files"]) for one in shown["remarks"]] == [3]
    assert shown["rows"][0] == {
        "company": "acme",
        "platform": "freshdesk",
        "kind": "tickets",
        "created": 0,
        "updated": 0,
        "unchanged": 3,
        "stale": 0,
        "suppressed": 0,
        "not_placed": 0,
    }


def test_a_dry_run_keeps_nothing(deskstore: Deskstore, old: FirstVersion) -> None:
    ran = deskstore("adopt", str(old.base_path), "--dry-run")

    assert (ran.code, ran.lines[3][:4]) == (0, ["acme", "freshdesk", "tickets", "1"])
    assert "nothing was kept" in ran.err
    assert deskstore("company", "list", "--json").json == {"companies": []}


def test_a_company_can_be_chosen(deskstore: Deskstore, old: FirstVersion) -> None:
    old.save_ticket("globex", "freshdesk", {"ticket_id": 1})

    ran = deskstore("adopt", str(old.base_path), "--company", "globex")

    assert (ran.code, deskstore("company", "list", "--json").json) == (0, {"companies": ["globex"]})


@pytest.mark.parametrize(
    ("tree", "said"), [("data", "kept by deskstore already"), ("nowhere", "No such file"), (".", "choose a DATA_PATH outside the tree")]
)
def test_what_cannot_be_adopted_is_a_wrong_usage(deskstore: Deskstore, old: FirstVersion, tmp_path: Path, tree: str, said: str) -> None:
    deskstore("adopt", str(old.base_path))

    ran = deskstore("adopt", str(tmp_path / tree))

    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert said in ran.err
