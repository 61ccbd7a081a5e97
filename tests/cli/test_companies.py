"""Companies at the command line: erased with a receipt, and not by accident."""

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest

from deskstore.bootstrap import Settings, open_storage
from deskstore.services.tickets import save_ticket
from tests.cli.conftest import Deskstore
from tests.payloads import as_bytes, freshdesk


@pytest.fixture(autouse=True)
def two_companies(data_path: Path) -> None:
    async def save() -> None:
        async with open_storage(Settings(data_path=data_path)) as storage:
            for company_id in ("acme", "globex"):
                await save_ticket(storage, company_id, "freshdesk", freshdesk())

    asyncio.run(save())


def files_below(path: Path) -> dict[str, bytes]:
    return {str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*.json")}


def test_erasing_a_company_prints_a_receipt_and_touches_no_other(deskstore: Deskstore, data_path: Path) -> None:
    neighbour = files_below(data_path / "globex")

    ran = deskstore("company", "erase", "acme", "--yes")

    assert ran.code == 0
    assert ["tickets", "1"] in ran.lines
    assert sha256(b"acme").hexdigest() in ran.out
    assert "- backups and copies" in ran.out
    assert not (data_path / "acme").exists()
    assert files_below(data_path / "globex") == neighbour


def test_a_company_is_not_erased_where_nobody_can_be_asked(deskstore: Deskstore) -> None:
    ran = deskstore("company", "erase", "acme")

    assert ran.code == 2
    assert "company 'acme' with 1 ticket and 0 articles would be erased" in ran.err
    assert "--yes" in ran.err
    assert deskstore("company", "list").lines[1:] == [["acme"], ["globex"]]


def test_a_receipt_can_be_had_again_and_never_for_what_was_not_there(deskstore: Deskstore) -> None:
    first = deskstore("company", "erase", "acme", "--yes", "--json")

    again = deskstore("company", "erase", "acme", "--json")
    unknown = deskstore("company", "erase", "initech", "--yes")

    assert (again.code, again.out) == (0, first.out)
    assert "erased already" in again.err
    assert unknown.code == 1
    assert "there is no company 'initech'" in unknown.err


def test_what_stays_of_erased_companies_is_listed_without_their_names(deskstore: Deskstore) -> None:
    deskstore("company", "erase", "acme", "--yes")

    ran = deskstore("company", "erasures")

    assert "acme" not in ran.out
    assert ran.lines[1][2:4] == [sha256(b"acme").hexdigest()[:12], "2"]


def test_a_requester_is_erased_and_stays_out_until_that_is_lifted(deskstore: Deskstore, tmp_path: Path) -> None:
    (tmp_path / "again.json").write_bytes(as_bytes([freshdesk()]))
    whose = ("7042", "--company", "acme", "--platform", "freshdesk")

    erased = deskstore("company", "erase-requester", *whose, "--yes")
    kept_out = deskstore("import", "again.json", "--company", "acme", "--platform", "freshdesk")
    lifted = deskstore("company", "erase-requester", *whose, "--lift")
    let_in = deskstore("import", "again.json", "--company", "acme", "--platform", "freshdesk")

    assert (erased.code, kept_out.code, lifted.code, let_in.code) == (0, 0, 0, 0)
    assert ["tickets", "1"] in erased.lines
    assert "7042" not in erased.out
    assert kept_out.lines[1] == ["0", "0", "0", "0", "1", "0"]
    assert let_in.lines[1] == ["1", "0", "0", "0", "0"]


def test_a_requester_is_not_erased_by_accident(deskstore: Deskstore) -> None:
    whose = ("7042", "--company", "acme", "--platform", "freshdesk")

    tried = deskstore("company", "erase-requester", *whose, "--dry-run")
    unasked = deskstore("company", "erase-requester", *whose)
    lifted = deskstore("company", "erase-requester", *whose, "--lift")
    contradicted = deskstore("company", "erase-requester", *whose, "--lift", "--yes")
    unknown = deskstore("company", "erase-requester", "7042", "--company", "initech", "--platform", "freshdesk", "--yes")

    assert (tried.code, unasked.code, lifted.code, contradicted.code, unknown.code) == (0, 2, 1, 2, 1)
    assert "1 ticket and 0 summaries of that requester in company 'acme' would be erased" in unasked.err
    assert "no ticket of that requester is kept" not in tried.err
    assert deskstore("ticket", "get", "42", "--company", "acme", "--platform", "freshdesk").code == 0


def test_a_requester_of_whom_no_ticket_is_kept_may_be_misspelt_and_that_is_said(deskstore: Deskstore) -> None:
    tried = deskstore("company", "erase-requester", "7024", "--company", "acme", "--platform", "freshdesk", "--dry-run")

    assert (tried.code, tried.lines[1]) == (0, ["tickets", "0"])
    assert "no ticket of that requester is kept: if there should be one, see what it is called with" in tried.err
