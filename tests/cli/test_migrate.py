"""`deskstore migrate` moves companies between files and a database, says what it did, and ends as documented."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from tests.cli.conftest import Deskstore, Ran
from tests.cli.test_json import written_down
from tests.payloads import as_bytes, freshdesk
from tests.servers.databases import Database

OF_ACME = ("--company", "acme")


@pytest.fixture
def migrate(deskstore: Deskstore, fresh_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """The command, with a company in the files and a database beside them."""
    monkeypatch.setenv("DATABASE_URL", fresh_database.app_url)
    (tmp_path / "tickets.json").write_bytes(b"[" + b",".join(as_bytes(freshdesk(id=number)) for number in (1, 2, 3)) + b"]")
    assert deskstore("import", "tickets.json", *OF_ACME, "--platform", "freshdesk").code == 0
    return lambda *words: deskstore("migrate", *words)


def _shape(value: object) -> object:
    """The keys of a JSON document, all the way down; of a list those of its first."""
    if isinstance(value, dict):
        return {key: _shape(one) for key, one in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [_shape(one) for one in cast("list[object]", value)[:1]]
    return None


def _same(found: Any, page: Any) -> bool:  # Any: JSON
    """Whether both have the same keys; a list that is empty here says nothing."""
    if isinstance(found, dict):
        return found.keys() == page.keys() and all(_same(found[key], page[key]) for key in cast("dict[str, object]", found))
    if isinstance(found, list) and found:
        return _same(found[0], page[0])
    return True


def test_a_company_goes_there_and_back_and_every_step_prints_what_the_page_shows(migrate: Callable[..., Ran], data_path: Path) -> None:
    page = written_down()
    steps = [
        ("plan",),
        ("start", "--backup", "."),
        ("status",),
        ("verify", "--depth", "content"),
        ("cutover",),
        ("rollback",),
        ("cutover",),
        ("repair",),
        ("finish", "--delete", "--yes"),
    ]

    for words in steps:
        ran = migrate(*words, *OF_ACME, "--json")
        assert ran.code == 0, ran.err
        assert _same(_shape(ran.json), _shape(page[f"migrate {words[0]}"])), words

    lines = [json.loads(line) for line in (data_path / ".migrations.ndjson").read_bytes().splitlines()]
    assert [line["step"] for line in lines] == ["start", "verify", "cutover", "rollback", "cutover", "repair", "finish"]
    assert migrate("status", *OF_ACME, "--json").json["companies"][0]["lives_in"] == "postgresql"


def test_all_companies_are_shown_in_a_table(migrate: Callable[..., Ran], deskstore: Deskstore) -> None:
    assert deskstore("import", "tickets.json", "--company", "globex", "--platform", "freshdesk").code == 0

    ran = migrate("start", "--all", "--no-backup")

    assert ran.code == 0, ran.err
    assert ran.lines[0][:2] == ["COMPANY", "RESUMED"]
    assert [line[0] for line in ran.lines[1:]] == ["acme", "globex"]
    assert migrate("verify", "--all").code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("status",), 2, "say which company with --company NAME, or all of them with --all"),
        (("start", *OF_ACME), 2, "a backup comes first"),
        (("start", *OF_ACME, "--backup", "tickets.json"), 2, "tickets.json is a file: --backup names the folder that backups are put into"),
        (("cutover", *OF_ACME), 1, "run `deskstore migrate start` first"),
        (("verify", *OF_ACME, "--accept", "42"), 2, "write it as ticket/PLATFORM/ID"),
        (("finish", "--all", "--delete"), 2, "add --yes if that is meant"),
        (("start", "--company", "nobody", "--no-backup"), 1, "the source does not know it"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_a_code(migrate: Callable[..., Ran], words: tuple[str, ...], code: int, said: str) -> None:
    ran = migrate(*words)

    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_without_a_database_the_line_says_what_is_missing(deskstore: Deskstore) -> None:
    ran = deskstore("migrate", "status", *OF_ACME)

    assert ran.code == 2
    assert "DATABASE_URL is missing: companies move between DATA_PATH and that" in ran.err


def test_finishing_before_the_cutover_says_that_nothing_has_moved(migrate: Callable[..., Ran]) -> None:
    for words in (("start", "--no-backup"), ("verify",)):
        assert migrate(*words, *OF_ACME).code == 0

    finished = migrate("finish", *OF_ACME)

    assert (finished.code, finished.lines[1]) == (0, ["acme", "files", "False"])
    assert "company 'acme' stays in files, and was not moved to postgresql" in finished.err
    assert migrate("cutover", *OF_ACME).code == 1


@pytest.mark.usefixtures("migrate")
def test_a_company_that_both_sides_hold_is_named_and_the_others_are_counted(deskstore: Deskstore, monkeypatch: pytest.MonkeyPatch) -> None:
    for storage, company in (("postgresql", "twice"), ("file", "twice")):  # files do not look into a database
        assert deskstore("--storage", storage, "import", "tickets.json", "--company", company, "--platform", "freshdesk").code == 0
    monkeypatch.setenv("STORAGE_TYPE", "hybrid")

    shown = deskstore("status")
    as_json = deskstore("status", "--json")

    assert (shown.code, as_json.code) == (1, 1)
    assert [line[:2] for line in shown.lines[2:]] == [["acme", "freshdesk"]]
    assert [row["company"] for row in as_json.json["platforms"]] == ["acme"]
    assert "company 'twice' is in the store" in shown.err


def test_a_damaged_file_is_named_and_the_company_is_not_complete(migrate: Callable[..., Ran], data_path: Path) -> None:
    damaged = data_path / "acme" / "freshdesk" / "tickets" / "2.json"
    body = damaged.read_bytes()
    damaged.write_bytes(body.replace(b'"id": 2', b'"id": 5'))

    planned = migrate("plan", *OF_ACME)
    started = migrate("start", *OF_ACME, "--no-backup", "--json")
    verified = migrate("verify", *OF_ACME)
    cut_over = migrate("cutover", *OF_ACME)
    again = migrate("start", *OF_ACME, "--no-backup", "--json")
    damaged.write_bytes(body)
    mended = migrate("start", *OF_ACME, "--no-backup", "--json")

    assert (planned.code, started.code, verified.code, cut_over.code, again.code, mended.code) == (1, 3, 1, 1, 3, 0)
    for ran in (started, again):
        assert [one["id"] for one in ran.json["companies"][0]["rejects"] if one["part"] == "ticket"] == ["2"]
    assert mended.json["companies"][0]["rejects"] == []
    assert "ticket freshdesk 2" in verified.err
    assert "not verified" in cut_over.err


def test_a_company_that_has_moved_is_named_with_where_it_lives_and_is_read_there_alone(
    migrate: Callable[..., Ran], deskstore: Deskstore
) -> None:
    assert deskstore("import", "tickets.json", "--company", "globex", "--platform", "freshdesk").code == 0
    for words in (("start", "--no-backup"), ("verify",), ("cutover",)):
        assert migrate(*words, *OF_ACME).code == 0
    moved = migrate("status", *OF_ACME, "--json").json["companies"][0]

    status = deskstore("status", "--json")
    shown = deskstore("status")
    ticket = deskstore("ticket", "get", "1", *OF_ACME, "--platform", "freshdesk")

    assert (moved["lives_in"], moved["mirror"], moved["held_up"]) == ("postgresql", "verified", False)
    assert (status.code, status.json["elsewhere"]) == (0, ["acme"])
    assert {row["company"] for row in status.json["platforms"]} == {"globex"}
    assert "company 'acme' lives in the store" in shown.err
    assert (ticket.code, ticket.out) == (4, "")
    assert "open that one (by STORAGE_TYPE, where hybrid opens both)" in ticket.err


def test_the_doctor_of_two_storages_says_how_each_company_stands_and_what_comes_next(
    migrate: Callable[..., Ran], deskstore: Deskstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in (("start", "--no-backup"), ("verify",), ("cutover",)):
        assert migrate(*words, *OF_ACME).code == 0
    monkeypatch.setenv("STORAGE_TYPE", "hybrid")

    ran = deskstore("doctor", "--json")

    told = {check["name"]: check for check in ran.json["checks"]}
    assert ran.code == 0, ran.err
    assert {"files: directory", "database: server", "database: schema"} <= told.keys()
    assert "it lives in the database" in told["sides of acme"]["detail"]
    assert "its mirror in the files is verified, 0 things behind" in told["sides of acme"]["detail"]
