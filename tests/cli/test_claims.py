"""`claim list`, `release` and `requeue`, and `summaries history`: what an operator does when workers get stuck."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from deskstore.bootstrap import Settings, open_storage
from deskstore.domain.errors import ClaimLost
from deskstore.domain.ports import Storage
from deskstore.domain.processing import Processing
from deskstore.services.articles import get_article, save_article
from deskstore.services.processing import claim_tickets, complete, fail
from deskstore.services.summaries import SummaryDraft, save_summary
from deskstore.services.tickets import get_ticket, save_ticket, save_tickets
from tests.cli.conftest import Deskstore
from tests.payloads import freshdesk

ACME = ("--company", "acme")
OF_ACME = (*ACME, "--platform", "freshdesk")

Doing = Callable[[Callable[[Storage], Awaitable[object]]], object]


@pytest.fixture
def do(data_path: Path) -> Doing:
    """Does something in the storage, as a program beside the command would."""

    def run(work: Callable[[Storage], Awaitable[object]]) -> object:
        async def opened() -> object:
            async with open_storage(Settings(data_path=data_path)) as storage:
                return await work(storage)

        return asyncio.run(opened())

    return run


@pytest.fixture
def acme(deskstore: Deskstore, do: Doing) -> Deskstore:
    """Fifteen tickets: 12 failed, 1 completed by an old model, 2 in the hands of two workers."""

    async def work(storage: Storage) -> None:
        await save_tickets(storage, "acme", "freshdesk", [freshdesk(number) for number in range(100, 115)])
        taken = await claim_tickets(storage, "acme", "freshdesk", 13, worker="worker-1")
        for one in taken[:12]:
            await fail(storage, "acme", one, "ModelIsBusy: try again later")
        await complete(storage, "acme", taken[12], summary=SummaryDraft(content={"text": "환불"}, model="old", prompt_id="p1", tokens=7))
        await claim_tickets(storage, "acme", "freshdesk", 1, worker="worker-2")
        await claim_tickets(storage, "acme", "freshdesk", 1, worker="worker-3")

    do(work)
    return deskstore


def test_claims_are_listed_with_their_workers(acme: Deskstore) -> None:
    ran = acme("claim", "list", *ACME)

    assert (ran.code, ran.err, ran.lines[0][:5]) == (0, "", ["PLATFORM", "ID", "PROCESSING", "ATTEMPTS", "WORKER"])
    assert [line[:5] for line in ran.lines[1:]] == [
        ["freshdesk", "113", "processing", "1", "worker-2"],
        ["freshdesk", "114", "processing", "1", "worker-3"],
    ]


def test_a_claim_whose_lease_is_over_is_marked(acme: Deskstore, do: Doing) -> None:
    async def take(storage: Storage) -> None:
        await save_ticket(storage, "acme", "zendesk", {"id": 7})
        await claim_tickets(storage, "acme", "zendesk", 1, worker="died", lease=timedelta(milliseconds=1))

    do(take)
    listed = acme("claim", "list", *ACME)
    told = acme("claim", "list", *ACME, "--json").json["claims"]
    released = acme("claim", "release", *ACME, "--worker", "died")

    assert [line[1:3] for line in listed.lines[1:]] == [["113", "processing"], ["114", "processing"], ["7", "ended"]]
    assert [(one["id"], one["lease_ended"], one["processing"]["status"]) for one in told] == [
        ("113", False, "processing"),
        ("114", False, "processing"),
        ("7", True, "processing"),
    ]
    assert [line[1:3] for line in released.lines[1:]] == [["7", "ended"]]


@pytest.mark.parametrize(
    ("words", "ids"),
    [(("--worker", "worker-3"), ["114"]), (("--older-than", "1h"), []), (("--platform", "zendesk"), []), (("--older-than", "1s"), [])],
)
def test_claims_are_filtered(acme: Deskstore, words: tuple[str, ...], ids: list[str]) -> None:
    ran = acme("claim", "list", *ACME, *words, "--json")

    assert (ran.code, [one["id"] for one in ran.json["claims"]]) == (0, ids)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--company", "globex"), "company 'globex' does not exist"),
        ((*ACME, "--platform", "zendesk"), "nothing of company 'acme' came from 'zendesk'"),
        ((*ACME, "--worker", "nobody"), "nobody holds such a ticket"),
    ],
)
def test_an_empty_list_of_claims_says_why(acme: Deskstore, words: tuple[str, ...], reason: str) -> None:
    ran = acme("claim", "list", *words)

    assert (ran.code, len(ran.lines)) == (0, 1)
    assert reason in ran.err


def test_a_release_changes_nothing_until_it_is_agreed_to(acme: Deskstore) -> None:
    ran = acme("claim", "release", *ACME, "--worker", "worker-2")

    assert (ran.code, [line[1] for line in ran.lines]) == (0, ["ID", "113"])
    assert ran.err == "deskstore: 1 ticket would be pending again: add --yes to do it; nothing was changed\n"
    assert len(acme("claim", "list", *ACME, "--json").json["claims"]) == 2


def test_a_released_ticket_is_pending_and_its_worker_saves_nothing_more(acme: Deskstore, do: Doing) -> None:
    held: list[Processing] = []

    async def find(storage: Storage) -> None:
        async with storage.unit_of_work("acme") as uow:
            found = await uow.progress.find("freshdesk", "113")
            held.extend([found] if found else [])

    async def finish(storage: Storage) -> None:
        with pytest.raises(ClaimLost):
            await complete(storage, "acme", held[0], summary=SummaryDraft(content={"text": "late"}))

    do(find)
    ran = acme("claim", "release", *ACME, "--worker", "worker-2", "--yes")
    do(finish)

    assert (ran.code, ran.err) == (0, "deskstore: 1 ticket is pending again\n")
    assert acme("summaries", "history", "113", *OF_ACME, "--json").json["summaries"] == []
    assert [one["id"] for one in acme("claim", "list", *ACME, "--json").json["claims"]] == ["114"]


def test_failed_tickets_are_requeued_once_it_is_agreed_to(acme: Deskstore) -> None:
    dry = acme("claim", "requeue", *ACME)
    done = acme("claim", "requeue", *ACME, "--yes")
    again = acme("claim", "requeue", *ACME, "--yes")

    assert (dry.code, done.code, again.code) == (0, 0, 0)
    assert len(dry.lines) == len(done.lines) == 11
    assert dry.err.startswith("deskstore: 12 tickets would be pending again (the first 10 are shown): add --yes")
    assert done.err == "deskstore: 12 tickets are pending again (the first 10 are shown)\n"
    assert again.err == "deskstore: there is no such ticket\n"
    assert acme("progress", *OF_ACME, "--json").json["pending"] == 12


def test_what_is_requeued_is_told_as_json(acme: Deskstore) -> None:
    dry = acme("claim", "requeue", *ACME, "--json").json
    done = acme("claim", "requeue", *ACME, "--yes", "--json").json

    assert (dry["dry_run"], dry["matched"], dry["changed"], dry["left"], len(dry["first"])) == (True, 12, 0, 0, 10)
    assert (done["dry_run"], done["matched"], done["changed"], done["left"], len(done["first"])) == (False, 12, 12, 0, 10)
    assert dry["first"][0]["processing"]["error"] == "ModelIsBusy: try again later"


@pytest.mark.parametrize(
    ("words", "matched"),
    [
        (("--stale",), 0),
        (("--model", "old"), 0),
        (("--model", "new"), 1),
        (("--prompt-id", "p2"), 1),
        (("--older-than", "1h"), 0),
        (("--platform", "zendesk"), 0),
    ],
)
def test_tickets_to_be_requeued_are_filtered(acme: Deskstore, words: tuple[str, ...], matched: int) -> None:
    assert acme("claim", "requeue", *ACME, *words, "--json").json["matched"] == matched


def test_a_ticket_with_a_stale_summary_is_requeued(acme: Deskstore, do: Doing) -> None:
    async def change(storage: Storage) -> None:
        await save_ticket(storage, "acme", "freshdesk", freshdesk(112) | {"description_text": "changed"}, force=True)
        (claimed,) = await claim_tickets(storage, "acme", "freshdesk", 1, worker="w")
        await complete(storage, "acme", claimed)

    do(change)
    ran = acme("claim", "requeue", *ACME, "--stale", "--yes", "--json")

    assert (ran.code, ran.json["changed"], [one["id"] for one in ran.json["first"]]) == (0, 1, ["112"])


@pytest.mark.parametrize("value", ["", "10", "m", "1.5h", "-1h", "0s", "9999999d"])
@pytest.mark.parametrize("name", ["list", "release", "requeue"])
def test_a_time_span_that_is_none_is_wrong_usage(acme: Deskstore, name: str, value: str) -> None:
    ran = acme("claim", name, *ACME, "--older-than", value)

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "is not a time span: write it as 90s, 10m, 2h or 7d" in ran.err


def test_the_history_of_a_ticket_tells_which_summary_is_shown(acme: Deskstore, do: Doing) -> None:
    async def write(storage: Storage) -> None:
        ticket = await get_ticket(storage, "acme", "freshdesk", "112")
        await save_summary(storage, "acme", ticket, SummaryDraft(content={"text": "by hand"}, pinned=True))
        await save_summary(storage, "acme", ticket, SummaryDraft(content={"text": "anew"}, model="new", cost=0.5))
        await save_ticket(storage, "acme", "freshdesk", freshdesk(112) | {"description_text": "changed"}, force=True)

    do(write)
    ran = acme("summaries", "history", "112", *OF_ACME)
    told = acme("summaries", "history", "112", *OF_ACME, "--json").json["summaries"]

    assert ran.code == 0
    assert [line[:5] for line in ran.lines] == [
        ["SUMMARY", "STANDING", "MODEL", "PROMPT", "TOKENS"],
        ["1", "stale", "old", "p1", "7"],
        ["2", "current,", "pinned,", "stale", "-"],
        ["3", "stale", "new", "-", "-"],
    ]
    assert [(one["summary"], one["current"], one["content"]["text"]) for one in told] == [
        (1, False, "환불"),
        (2, True, "by hand"),
        (3, False, "anew"),
    ]


def test_the_history_of_an_article_is_that_of_one_locale(acme: Deskstore, do: Doing) -> None:
    async def write(storage: Storage) -> None:
        for locale in ("ko", "en"):
            await save_article(storage, "acme", "docs", {"id": 7, "title": "How"}, locale=locale)
        korean = await get_article(storage, "acme", "docs", "7", "ko")
        await save_summary(storage, "acme", korean, SummaryDraft(content={"text": "방법"}))

    do(write)
    words = ("summaries", "history", "7", "--kind", "articles", *ACME, "--platform", "docs")

    assert len(acme(*words, "--locale", "ko", "--json").json["summaries"]) == 1
    assert acme(*words, "--locale", "en").err == "deskstore: nothing was written of article '7' (en) on 'docs'\n"
    assert acme(*words).code == 1


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("99", *OF_ACME), 1, "ticket '99' on 'freshdesk' does not exist"),
        (("100", *OF_ACME, "--locale", "ko"), 2, "--locale is of articles"),
    ],
)
def test_a_history_of_nothing_is_one_line(acme: Deskstore, words: tuple[str, ...], code: int, reason: str) -> None:
    ran = acme("summaries", "history", *words)

    assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1)
    assert reason in ran.err
