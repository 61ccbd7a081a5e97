"""The command line on files: what it prints, what it says, and how it ends."""

import json
import re
from pathlib import Path

import pytest

from deskstore import __version__
from deskstore.cli import main
from deskstore.cli.root import COMMANDS, command
from tests.cli.conftest import Deskstore
from tests.payloads import as_bytes, freshdesk

NOW = re.compile(r'"(saved_at|changed_at|last_updated)": "[^"]+Z"')


@pytest.fixture
def tickets(tmp_path: Path) -> str:
    path = tmp_path / "tickets.json"
    path.write_bytes(as_bytes([freshdesk(number, status=2 + number % 2) for number in range(1, 6)]))
    return str(path)


@pytest.fixture
def acme(deskstore: Deskstore, tickets: str) -> Deskstore:
    assert deskstore("import", tickets, "--company", "acme", "--platform", "freshdesk").code == 0
    return deskstore


def test_an_import_prints_what_became_of_the_records(deskstore: Deskstore, tickets: str) -> None:
    first = deskstore("import", tickets, "--company", "acme", "--platform", "freshdesk")
    again = deskstore("import", tickets, "--company", "acme", "--platform", "freshdesk")

    assert (first.code, first.lines) == (0, [["CREATED", "UPDATED", "UNCHANGED", "STALE", "REJECTED"], ["5", "0", "0", "0", "0"]])
    assert again.lines[1] == ["0", "0", "5", "0", "0"]
    assert first.err == f"deskstore: {tickets}: a JSON array, tickets\n"


def test_an_import_with_rejects_ends_with_3_and_keeps_them(deskstore: Deskstore, tmp_path: Path) -> None:
    (tmp_path / "t.ndjson").write_bytes(as_bytes(freshdesk(1)) + b'\n{"subject": "no id", "status": 2}\n')

    ran = deskstore("import", "t.ndjson", "--company", "acme", "--platform", "freshdesk")

    assert (ran.code, ran.lines[1]) == (3, ["1", "0", "0", "0", "1"])
    assert "rejected: t.ndjson, line 2: " in ran.err
    assert "1 rejected record is in t.rejects.ndjson: mend it there and import that file" in ran.err
    assert json.loads((tmp_path / "t.rejects.ndjson").read_text())["line"] == 2


def test_rejects_of_two_imports_from_one_folder_are_in_two_files_and_the_second_one_says_so(deskstore: Deskstore, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "week.ndjson").write_bytes(as_bytes(freshdesk(1)) + f"\nbroken in {name}\n".encode())

    first = deskstore("import", "a/week.ndjson", "--company", "acme", "--platform", "freshdesk")
    second = deskstore("import", "b/week.ndjson", "--company", "globex", "--platform", "freshdesk")

    assert (first.code, second.code) == (3, 3)
    assert "week.rejects.ndjson holds what was rejected before, and stays as it is: these are in week.rejects-2.ndjson\n" in second.err
    assert "1 rejected record is in week.rejects-2.ndjson: mend it there and import that file" in second.err
    assert "holds what was rejected before" not in first.err
    assert "broken in a" in (tmp_path / "week.rejects.ndjson").read_text()
    assert "broken in b" in (tmp_path / "week.rejects-2.ndjson").read_text()


def test_the_report_of_an_import_has_a_stable_shape(deskstore: Deskstore, tickets: str) -> None:
    ran = deskstore("import", tickets, "--company", "acme", "--platform", "freshdesk", "--json")

    assert ran.json == {
        "company": "acme",
        "kind": "ticket",
        "records": 5,
        "created": 5,
        "updated": 0,
        "unchanged": 0,
        "stale": 0,
        "suppressed": 0,
        "rejected": 0,
        "damaged": 0,
        "resumed_at": 0,
        "dry_run": False,
        "detected": {tickets: "a JSON array"},
        "rejects_file": None,
        "rejects": [],
    }


def test_a_dry_run_keeps_nothing(deskstore: Deskstore, tickets: str, data_path: Path) -> None:
    ran = deskstore("import", tickets, "--company", "acme", "--platform", "freshdesk", "--dry-run")

    assert (ran.code, ran.lines[1]) == (0, ["5", "0", "0", "0", "0"])
    assert "nothing was kept: this was a dry run" in ran.err
    assert not data_path.exists()


def test_a_dry_run_says_how_many_it_would_reject_beyond_those_it_names(deskstore: Deskstore, tmp_path: Path, data_path: Path) -> None:
    (tmp_path / "bad.ndjson").write_text('{"id": 1, "subject": "a", "status": 2}\n' + '{"subject": "b", "status": 2}\n' * 7)

    ran = deskstore("import", "bad.ndjson", "--company", "acme", "--platform", "freshdesk", "--dry-run")

    named = ran.err.count("rejected: bad.ndjson, line")
    assert (ran.code, ran.lines[1][-1]) == (3, "7")
    assert f"deskstore: {7 - named} more would be rejected: the import writes all of them to bad.rejects.ndjson" in ran.err
    assert not data_path.exists()


def test_tickets_are_listed_page_by_page(acme: Deskstore) -> None:
    first = acme("ticket", "list", "--company", "acme", "--status", "3", "--limit", "2")
    cursor = first.err.split()[-1]
    second = acme("ticket", "list", "--company", "acme", "--status", "3", "--limit", "2", "--after", cursor)

    assert first.lines[0] == ["PLATFORM", "ID", "STATUS", "PROCESSING", "CREATED", "SUBJECT"]
    assert [line[:6] for line in first.lines[1:]] == [["freshdesk", one, "3", "pending", "2026-01-02", "03:04:05"] for one in ("5", "3")]
    assert [line[1] for line in second.lines[1:]] == ["1"]
    assert second.err == ""


def test_a_listed_ticket_has_a_stable_shape(acme: Deskstore) -> None:
    ran = acme("ticket", "list", "--company", "acme", "--limit", "1", "--json")

    (ticket,) = ran.json["tickets"]
    assert ticket.pop("version") > 0
    assert re.fullmatch("[0-9a-f]{64}", ticket.pop("sha256"))
    assert NOW.sub(r'"\1": "now"', json.dumps(ticket)) == json.dumps(
        {
            "platform": "freshdesk",
            "id": "5",
            "subject": "주문 5이 도착하지 않았습니다",
            "status": "3",
            "priority": "1",
            "requester": "7005",
            "created_at": "2026-01-02T03:04:05Z",
            "updated_at": "2026-01-02T03:04:05Z",
            "saved_at": "now",
            "bytes": len(as_bytes(freshdesk(5, status=3))),
            "processing": {"status": "pending", "attempts": 0, "error": None, "worker": None, "lease_until": None, "changed_at": "now"},
        }
    )


def test_a_ticket_is_printed_byte_for_byte(acme: Deskstore) -> None:
    ran = acme("ticket", "get", "3", "--company", "acme", "--platform", "freshdesk")

    assert ran.out.encode() == as_bytes(freshdesk(3, status=3))


def test_an_article_is_found_in_its_locale(deskstore: Deskstore, tmp_path: Path) -> None:
    (tmp_path / "kb.json").write_bytes(b'[{"id": 1, "title": "How", "body": "so", "created_at": "2026-01-02T00:00:00Z"}]')
    deskstore("import", "kb.json", "--company", "acme", "--platform", "docs", "--locale", "ko")

    listed = deskstore("kb", "list", "--company", "acme")
    shape = deskstore("kb", "list", "--company", "acme", "--json").json
    found = deskstore("kb", "get", "1", "--locale", "ko", "--company", "acme", "--platform", "docs")
    envelope = deskstore("kb", "get", "1", "--locale", "ko", "--company", "acme", "--platform", "docs", "--envelope")
    missing = deskstore("kb", "get", "1", "--company", "acme", "--platform", "docs")

    assert listed.lines[1] == ["docs", "1", "ko", "-", "2026-01-02", "00:00:00", "How"]
    assert found.out == '{"id": 1, "title": "How", "body": "so", "created_at": "2026-01-02T00:00:00Z"}'
    assert shape == {"articles": [envelope.json], "next": None}
    assert [*envelope.json] == [
        "platform",
        "id",
        "locale",
        *["subject", "status", "priority", "requester", "created_at", "updated_at", "saved_at", "version", "bytes", "sha256"],
    ]
    said = "deskstore: article '1' on 'docs' does not exist: it is kept in ko, so say which with --locale\n"
    assert (missing.code, missing.err) == (1, said)


def test_status_and_progress_count_what_is_kept(acme: Deskstore) -> None:
    status = acme("status")
    shape = acme("status", "--company", "acme", "--json").json
    progress = acme("progress", "--company", "acme", "--platform", "freshdesk")
    counted = acme("progress", "--company", "acme", "--platform", "freshdesk", "--json").json

    assert status.lines[1:] == [
        ["COMPANY", "PLATFORM", "TICKETS", "ARTICLES", "PENDING", "PROCESSING", "COMPLETED", "FAILED"],
        ["acme", "freshdesk", "5", "0", "5", "0", "0", "0"],
    ]
    assert progress.lines[1][:7] == ["5", "5", "0", "0", "0", "0.0", "%"]
    assert counted.pop("last_updated")
    assert counted == {
        "company": "acme",
        "platform": "freshdesk",
        "total": 5,
        "pending": 5,
        "processing": 0,
        "completed": 0,
        "failed": 0,
        "percentage": 0.0,
    }
    assert [*shape["storage"]] == ["adapter", "place", "companies", "cache"]
    assert [*shape["platforms"][0]] == ["company", "platform", "tickets", "articles", "progress"]


def test_companies_are_listed(acme: Deskstore) -> None:
    assert acme("company", "list").out == "COMPANY\nacme\n"
    assert acme("company", "list", "--json").json == {"companies": ["acme"]}


def test_an_export_goes_in_again_unchanged(acme: Deskstore, tmp_path: Path) -> None:
    ran = acme("export", "--company", "acme", "-o", "out.ndjson.gz")
    again = acme("import", "out.ndjson.gz", "--company", "acme", "--platform", "freshdesk")

    assert (ran.code, ran.out, ran.err) == (0, "", "deskstore: 5 tickets written to out.ndjson.gz\n")
    assert again.lines[1] == ["0", "0", "5", "0", "0"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out.ndjson.gz", "tickets.json"]


def test_an_export_to_the_standard_output_is_the_payloads_and_nothing_else(acme: Deskstore) -> None:
    ran = acme("export", "--company", "acme", "-o", "-")

    assert ran.out.encode().splitlines() == [as_bytes(freshdesk(number, status=2 + number % 2)) for number in range(1, 6)]


def test_an_export_with_envelopes_needs_no_platform_to_come_in(acme: Deskstore) -> None:
    acme("export", "--company", "acme", "--envelope", "-o", "out.ndjson")

    ran = acme("import", "out.ndjson", "--company", "copy")

    assert ran.lines[1] == ["5", "0", "0", "0", "0"]
    assert acme("ticket", "get", "3", "--company", "copy", "--platform", "freshdesk").out.encode() == as_bytes(freshdesk(3, status=3))


def test_an_export_says_what_it_leaves_out(acme: Deskstore, tmp_path: Path) -> None:
    (tmp_path / "kb.json").write_bytes(b'[{"id": 1, "title": "How", "body": "so"}]')
    acme("import", "kb.json", "--company", "acme", "--platform", "docs")

    ran = acme("export", "--company", "acme", "-o", "out.ndjson")

    assert "1 article is kept too: export with --kind articles" in ran.err
    assert acme("export", "--company", "acme", "--kind", "articles", "-o", "kb.ndjson", "--json").json == {
        "records": 1,
        "kind": "article",
        "damaged": [],
        "output": "kb.ndjson",
    }


def test_a_damaged_record_is_named_and_the_rest_is_exported_and_the_code_is_1(acme: Deskstore, tmp_path: Path, data_path: Path) -> None:
    file = data_path / "acme/freshdesk/tickets/3.json"
    file.write_bytes(file.read_bytes()[:-40])

    exported = acme("export", "--company", "acme", "-o", "out.ndjson")
    listed = acme("ticket", "list", "--company", "acme")

    assert exported.code == 1
    assert [json.loads(line)["id"] for line in (tmp_path / "out.ndjson").read_bytes().splitlines()] == [1, 2, 4, 5]
    assert re.search(r"^deskstore: left out: .*freshdesk/tickets/3\.json", exported.err, re.MULTILINE)
    assert (listed.code, listed.out) == (1, "")
    assert "freshdesk/tickets/3.json" in listed.err


def test_an_import_that_meets_an_edited_record_names_it_and_ends_with_1(acme: Deskstore, tickets: str, data_path: Path) -> None:
    file = data_path / "acme/freshdesk/tickets/3.json"
    edited = file.read_bytes().replace(b'"subject":"', b'"subject":"my ', 1)
    file.write_bytes(edited)

    ran = acme("import", tickets, "--company", "acme", "--platform", "freshdesk")

    assert (ran.code, ran.lines[1]) == (1, ["0", "0", "4", "0", "1"])
    assert re.search(r"^deskstore: rejected: .*freshdesk/tickets/3\.json: .* edited or damaged", ran.err, re.MULTILINE)
    assert file.read_bytes() == edited


def test_the_settings_are_shown_with_their_origin_and_without_secrets(deskstore: Deskstore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:secret@db/desk")

    ran = deskstore("config", "show", "--json")

    assert {one["variable"]: one["origin"] for one in ran.json["settings"]} == {
        "STORAGE_TYPE": "default",
        "DATA_PATH": "option",
        "DATABASE_URL": "environment",
        "DESKSTORE_OWNER_URL": "default",
        "REDIS_URL": "default",
        "HYBRID_USE_POSTGRES": "default",
        "DESKSTORE_SCHEMA": "default",
        "DESKSTORE_POOLER": "default",
        "DESKSTORE_POOL_SIZE": "default",
        "DESKSTORE_TIMEOUT_S": "default",
        "DESKSTORE_MAY_LOSE_COMMITS": "default",
        "DESKSTORE_OTEL": "default",
        "DESKSTORE_LOG_LEVEL": "default",
        "DESKSTORE_LOG_FORMAT": "default",
    }
    assert ran.json["settings"][2]["value"] == "postgresql://app:***@db/desk"
    assert "secret" not in deskstore("config", "show").out


# -- what goes wrong -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["ticket"], 2, "Missing command"),
        (["tickets"], 2, "No such command 'tickets'"),
        (["ticket", "show", "1"], 2, "No such command 'show'. Choose one of: get, list, set-status (see deskstore ticket --help)"),
        (["search", "login"], 2, "No such command 'search'. Choose one of: adapters, adopt,"),
        (["ticket", "list"], 2, "Missing option '--company' (see deskstore ticket list --help)"),
        (
            ["ticket", "set-status", "1", "done", "--company", "acme", "--platform", "freshdesk"],
            2,
            "Invalid value for 'pending|processing|completed|failed': 'done' is not one of",
        ),
        (["ticket", "list", "--company", ""], 2, "no company was named"),
        (["ticket", "list", "--company", "a\nb"], 2, "holds a control character"),
        (["ticket", "list", "--company", "acme", "--limit", "0"], 2, "0 is not in the range 1<=x<=1000"),
        (
            ["ticket", "list", "--company", "acme", "--after", "nonsense"],
            2,
            "is not a cursor of this list: give the one that its last page named",
        ),
        (["ticket", "list", "--company", "acme", "--created-from", "yesterday"], 2, "'yesterday' is not a time: write it as 2026-11-20 or"),
        (["ticket", "list", "--company", "acme", "--limit", "ten"], 2, "'ten' is not a valid number from 1 to 1,000"),
        (["tiket", "list"], 2, "No such command 'tiket'. Did you mean 'ticket'?"),
        (["import", "table.csv", "--company", " acme", "--platform", "freshdesk"], 2, "begins or ends with white space"),
        (["import", "table.csv", "--company", "acme", "--platform", ""], 2, "platform is empty"),
        (["import", ".", "--company", "acme", "--platform", "freshdesk"], 2, ". is a directory: name a file"),
        (["export", "--company", "nobody", "-o", "x.ndjson"], 1, "company 'nobody' does not exist: see which do with"),
        (["export", "--company", "acme", "-o", "."], 2, ". is a directory: name a file in it"),
        (["ticket", "get", "1", "--company", "acme", "--platform", "freshdesk"], 1, "ticket '1' on 'freshdesk' does not exist"),
        (
            ["import", "missing.json", "--company", "acme", "--platform", "freshdesk"],
            2,
            "missing.json: No such file or directory: check the name",
        ),
        (["import", "table.csv", "--company", "acme", "--platform", "freshdesk"], 1, "looks like CSV"),
        (["import", "one.json", "--company", "acme"], 2, "one.json: nothing says which platform it is from: name one with --platform"),
        (["import", "table.csv", "--company", "acme", "--rejects", "table.csv"], 2, "name another file with --rejects"),
        (["import", "table.csv", "--company", "acme", "--kind", "people"], 2, "'people' is neither tickets nor articles"),
        (
            ["export", "--company", "acme", "-o", "no/such/folder.ndjson"],
            2,
            "no/such is not a directory: make it first, or name another place for folder.ndjson",
        ),
        (["status", "--storage", "hybrid"], 2, "DATABASE_URL is missing: write it as postgresql://"),
        (["status", "--storage", "postgresql"], 2, "DATABASE_URL is missing: write it as postgresql://"),
        (["status", "--storage", "postgres"], 2, "'postgres' is not one of 'file', 'hybrid', 'postgresql'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_a_code_and_changes_nothing(
    deskstore: Deskstore, tmp_path: Path, data_path: Path, words: list[str], code: int, says: str
) -> None:
    (tmp_path / "table.csv").write_text("id,subject\n1,Hello\n")
    (tmp_path / "one.json").write_bytes(as_bytes([freshdesk(1)]))

    ran = deskstore(*words)

    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert ran.err.startswith("deskstore: ")
    assert len(ran.err.splitlines()) == 1
    assert not data_path.exists()


def test_a_store_that_does_not_work_ends_with_4(acme: Deskstore, data_path: Path) -> None:
    (data_path / "acme" / ".deskstore" / "company.json").unlink()
    (data_path / "acme" / ".deskstore" / "company.json").mkdir()

    ran = acme("ticket", "list", "--company", "acme")

    assert (ran.code, len(ran.err.splitlines())) == (4, 1)


def test_files_are_not_looked_for_in_a_file(deskstore: Deskstore, data_path: Path) -> None:
    data_path.write_text("this is no folder")

    ran = deskstore("status")

    assert (ran.code, ran.err) == (
        2,
        f"deskstore: DATA_PATH is '{data_path}', which is a file: name a directory, or one that is to be made\n",
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["status"], ""),
        (["status", "--company", "nobody"], "company 'nobody' does not exist: see which do with `deskstore company list`"),
        (["ticket", "list", "--company", "nobody"], "company 'nobody' does not exist: see which do with `deskstore company list`"),
        (
            ["kb", "list", "--company", "acme", "--platform", "zendesk"],
            "nothing of company 'acme' came from 'zendesk': choose one of: freshdesk",
        ),
        (["progress", "--company", "acme", "--platform", "zd"], "nothing of company 'acme' came from 'zd': choose one of: freshdesk"),
        (["ticket", "list", "--company", "acme", "--status", "no such"], ""),
    ],
)
def test_a_name_that_means_nothing_is_said_beside_the_empty_table(acme: Deskstore, words: list[str], says: str) -> None:
    ran = acme(*words)

    assert (ran.code, ran.err) == (0, f"deskstore: {says}\n" if says else "")
    assert ran.lines


def test_an_empty_store_says_what_can_be_done_first(deskstore: Deskstore) -> None:
    ran = deskstore("status")

    assert (ran.code, ran.err.count("\n")) == (0, 1)
    assert "nothing is kept there yet: bring records in with `deskstore import`, or see `deskstore demo`" in ran.err


def test_an_export_from_a_platform_that_is_not_there_leaves_the_earlier_file(acme: Deskstore, tmp_path: Path) -> None:
    (tmp_path / "out.ndjson").write_text("of yesterday")

    ran = acme("export", "--company", "acme", "--platform", "freshdsk", "-o", "out.ndjson")

    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert "came from 'freshdsk': choose one of: freshdesk; out.ndjson was not written" in ran.err
    assert (tmp_path / "out.ndjson").read_text() == "of yesterday"


def test_times_are_understood_as_the_json_shows_them(acme: Deskstore) -> None:
    at, behind = "2026-01-02T03:04:05Z", "2026-01-02T12:04:06+09:00"

    from_then = acme("ticket", "list", "--company", "acme", "--created-from", at, "--created-to", behind)

    assert (from_then.code, len(from_then.lines)) == (0, 6)
    assert len(acme("ticket", "list", "--company", "acme", "--created-from", behind).lines) == 1


def test_verbose_shows_where_an_error_arose(deskstore: Deskstore) -> None:
    ran = deskstore("ticket", "get", "1", "--company", "acme", "--platform", "freshdesk", "--verbose")

    assert "Traceback" in ran.err
    assert ran.err.splitlines()[-1].startswith("deskstore: ticket '1'")


def test_text_out_of_payloads_cannot_steer_a_terminal(deskstore: Deskstore, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_bytes(as_bytes([freshdesk(1, subject="\x1b[2J\u202eevil\nline")]))
    deskstore("import", "t.json", "--company", "acme", "--platform", "freshdesk")

    assert deskstore("ticket", "list", "--company", "acme").lines[1][-1] == "�[2J�evil�line"


# -- help ----------------------------------------------------------------------------------------------------------------------------------


def test_the_version_is_printed(deskstore: Deskstore) -> None:
    assert deskstore("--version").out == f"deskstore {__version__}\n"


def test_the_help_names_every_command_with_its_own_first_line(deskstore: Deskstore) -> None:
    said = deskstore("--help").out

    for name, (_, purpose) in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(purpose)}$", said, re.MULTILINE)
        assert command(name).name == name


@pytest.mark.parametrize(
    "words", [[name] for name in COMMANDS] + [["ticket", "list"], ["ticket", "get"], ["kb", "list"], ["config", "show"]]
)
def test_every_command_has_help(deskstore: Deskstore, words: list[str]) -> None:
    ran = deskstore(*words, "--help")

    assert (ran.code, ran.err) == (0, "")
    assert f"Usage: deskstore {' '.join(words)}" in ran.out


def test_options_that_all_commands_share_may_stand_before_or_behind(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--data-path", str(tmp_path), "--json", "company", "list"]) == 0
    before = capfd.readouterr().out

    assert main(["company", "list", "--json", "--data-path", str(tmp_path)]) == 0

    assert before == capfd.readouterr().out == '{\n  "companies": []\n}\n'


def test_status_adds_up_companies_that_have_several_platforms_and_all_of_them(deskstore: Deskstore, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_bytes(b'[{"id": 1}, {"id": 2}]')
    for company, platform in (("acme", "docs"), ("acme", "wiki"), ("globex", "docs")):
        deskstore("import", "t.json", "--company", company, "--platform", platform, "--kind", "tickets")
    deskstore("ticket", "set-status", "1", "completed", "--company", "acme", "--platform", "wiki")

    ran = deskstore("status")
    told = deskstore("status", "--json").json

    assert [line[:4] + line[6:7] for line in ran.lines[2:]] == [
        ["acme", "docs", "2", "0", "0"],
        ["acme", "wiki", "2", "0", "1"],
        ["acme", "(all)", "4", "0", "1"],
        ["globex", "docs", "2", "0", "0"],
        ["(all)", "(all)", "6", "0", "1"],
    ]
    assert [(one["company"], one["tickets"], one["progress"]["percentage"]) for one in told["companies"]] == [
        ("acme", 4, 25.0),
        ("globex", 2, 0.0),
    ]
    assert (told["total"]["tickets"], told["total"]["progress"]["pending"], told["total"]["articles"]) == (6, 5, 0)
