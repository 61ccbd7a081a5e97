"""`ticket set-status` and `summaries stale`: what an operator sees and sets of the processing."""

import asyncio
from pathlib import Path

import pytest

from deskstore.bootstrap import Settings, open_storage
from deskstore.services.processing import claim_tickets
from deskstore.services.summaries import SummaryDraft, save_summary
from deskstore.services.tickets import get_ticket, save_ticket
from tests.cli.conftest import Deskstore
from tests.payloads import as_bytes, freshdesk

OF_ACME = ("--company", "acme", "--platform", "freshdesk")


@pytest.fixture
def acme(deskstore: Deskstore, tmp_path: Path) -> Deskstore:
    """A company with three tickets."""
    (tmp_path / "tickets.json").write_bytes(as_bytes([freshdesk(number) for number in (1, 2, 3)]))
    assert deskstore("import", "tickets.json", *OF_ACME).code == 0
    return deskstore


def status_of(acme: Deskstore, ticket_id: str) -> str:
    return str(acme("ticket", "get", ticket_id, *OF_ACME, "--json").json["processing"]["status"])


@pytest.mark.parametrize("status", ["processing", "completed", "failed", "pending"])
def test_a_status_is_set_and_shown(acme: Deskstore, status: str) -> None:
    ran = acme("ticket", "set-status", "1", status, *OF_ACME)

    assert (ran.code, ran.err) == (0, "")
    assert [line[:3] for line in ran.lines] == [["PLATFORM", "ID", "PROCESSING"], ["freshdesk", "1", status]]
    assert (status_of(acme, "1"), status_of(acme, "2")) == (status, "pending")


def test_the_status_it_has_already_changes_nothing(acme: Deskstore) -> None:
    first = acme("ticket", "set-status", "1", "completed", *OF_ACME, "--json")

    again = acme("ticket", "set-status", "1", "completed", *OF_ACME, "--json")

    assert (again.code, again.json) == (0, first.json)


def test_a_step_that_is_not_allowed_says_which_are(acme: Deskstore) -> None:
    acme("ticket", "set-status", "1", "completed", *OF_ACME)

    ran = acme("ticket", "set-status", "1", "failed", *OF_ACME)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "deskstore: ticket '1' on 'freshdesk' is completed and cannot become failed; from here it may become pending\n"
    assert status_of(acme, "1") == "completed"


def test_a_ticket_that_a_worker_holds_is_left_to_the_worker(acme: Deskstore, data_path: Path) -> None:
    async def claim() -> None:
        async with open_storage(Settings(data_path=data_path)) as storage:
            await claim_tickets(storage, "acme", "freshdesk", 3, worker="worker-7")

    asyncio.run(claim())

    ran = acme("ticket", "set-status", "1", "completed", *OF_ACME)

    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert ran.err.startswith("deskstore: ticket '1' on 'freshdesk' is held by worker 'worker-7' until 20")
    assert "wait until the worker is done, or the lease over" in ran.err
    assert status_of(acme, "1") == "processing"


def test_a_ticket_that_is_not_there_gets_no_status(acme: Deskstore) -> None:
    ran = acme("ticket", "set-status", "9", "completed", *OF_ACME)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("deskstore: ticket '9' on 'freshdesk' does not exist in this company")


def test_a_status_that_is_none_is_wrong_usage(acme: Deskstore) -> None:
    ran = acme("ticket", "set-status", "1", "done", *OF_ACME)

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "'done' is not one of 'pending', 'processing', 'completed', 'failed'" in ran.err
    assert status_of(acme, "1") == "pending"


@pytest.fixture
def stale(acme: Deskstore, data_path: Path) -> Deskstore:
    """The same company, all tickets summarised, and 1 and 3 changed since then."""

    async def write() -> None:
        async with open_storage(Settings(data_path=data_path)) as storage:
            for ticket_id in ("1", "2", "3"):
                ticket = await get_ticket(storage, "acme", "freshdesk", ticket_id)
                await save_summary(storage, "acme", ticket, SummaryDraft(content={"text": "short"}, model="a-model"))
            for number in (1, 3):
                await save_ticket(storage, "acme", "freshdesk", freshdesk(number) | {"description_text": "changed"}, force=True)

    asyncio.run(write())
    return acme


def test_stale_summaries_are_listed_in_order(stale: Deskstore) -> None:
    ran = stale("summaries", "stale", "--company", "acme")

    assert (ran.code, ran.err) == (0, "")
    assert ran.lines[0] == ["PLATFORM", "KIND", "ID", "LOCALE", "SUMMARY", "MODEL", "PROMPT", "WRITTEN"]
    assert [line[:7] for line in ran.lines[1:]] == [["freshdesk", "ticket", one, "-", "1", "a-model", "-"] for one in ("1", "3")]


@pytest.mark.parametrize(("words", "ids"), [((), ["1", "3"]), (("--kind", "articles"), []), (("--platform", "freshdesk"), ["1", "3"])])
def test_stale_summaries_are_filtered(stale: Deskstore, words: tuple[str, ...], ids: list[str]) -> None:
    ran = stale("summaries", "stale", "--company", "acme", *words, "--json")

    assert (ran.code, [one["id"] for one in ran.json["summaries"]]) == (0, ids)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--company", "acme", "--kind", "articles"), "no summary is stale"),
        (("--company", "acme", "--platform", "zendesk"), "nothing of company 'acme' came from 'zendesk'"),
        (("--company", "globex"), "company 'globex' does not exist"),
    ],
)
def test_an_empty_list_of_stale_summaries_says_why(stale: Deskstore, words: tuple[str, ...], reason: str) -> None:
    ran = stale("summaries", "stale", *words)

    assert (ran.code, len(ran.lines)) == (0, 1)
    assert reason in ran.err
