"""The nine operations on plain dicts, over every storage."""

import asyncio
import copy
from datetime import timedelta
from typing import Any

import pytest

from deskstore.domain.errors import (
    ClaimLost,
    CompanyRequired,
    InvalidIdentifier,
    InvalidRecord,
    InvalidTransition,
)
from deskstore.domain.identifiers import Key, article_key, ticket_key
from deskstore.domain.ports import Storage
from deskstore.domain.processing import ALLOWED, ProcessingStatus
from deskstore.facade import RESERVED, DictStorage
from deskstore.services.articles import find_article
from deskstore.services.processing import claim_tickets
from deskstore.services.summaries import find_current_summary, summary_history
from deskstore.services.tickets import delete_ticket, find_ticket
from deskstore.testing.clock import MORNING, ManualClock
from tests.payloads import as_bytes, freshdesk

ACME, OTHER = "acme", "other"
FRESHDESK = "freshdesk"
ARTICLE = {"id": 42, "title": "로그인 방법", "description_text": "여기", "status": 2, "updated_at": "2026-01-02T03:04:05Z"}


async def ticket(desk: DictStorage, ticket_id: str = "42", company_id: str = ACME) -> dict[str, Any]:  # Any: a payload
    found = await desk.get_ticket(company_id, FRESHDESK, ticket_id)
    assert found is not None
    return found


async def beside(desk: DictStorage, ticket_id: str = "42") -> dict[str, Any]:  # Any: what stands beside a payload
    found: dict[str, Any] = (await ticket(desk, ticket_id))[RESERVED]
    return found


def ids(found: list[dict[str, Any]]) -> list[str]:  # Any: payloads
    return [one[RESERVED]["ticket_id"] for one in found]


# -- a ticket ------------------------------------------------------------------------------------------------------------------------------


async def test_a_ticket_comes_back_with_its_own_keys_and_one_more(desk: DictStorage) -> None:
    payload = freshdesk(company_id=99, platform="mine", summary="its own")

    saved = await desk.save_ticket(ACME, FRESHDESK, payload)

    found = await ticket(desk)
    assert saved == "42"
    assert found.pop(RESERVED) == {
        "company_id": ACME,
        "platform": FRESHDESK,
        "ticket_id": "42",
        "processing_status": "pending",
        "attempts": 0,
        "error": None,
        "status_updated_at": MORNING.isoformat(),
        "summary": None,
        "summary_is_stale": False,
        "version": int(MORNING.timestamp()) * 10**6,
        "created_at": "2026-01-02T03:04:05+00:00",
        "updated_at": "2026-01-02T03:04:05+00:00",
        "saved_at": MORNING.isoformat(),
    }
    assert found == payload
    assert list(found) == list(payload)


async def test_the_callers_dicts_are_never_changed(desk: DictStorage) -> None:
    payload, article, summary = freshdesk(tags=["a", {"b": 1}]), dict(ARTICLE), {"text": "짧게", "points": [1]}
    before = copy.deepcopy((payload, article, summary))

    await desk.save_ticket(ACME, FRESHDESK, payload)
    await desk.save_kb_article(ACME, FRESHDESK, article)
    await desk.save_summary(ACME, FRESHDESK, "42", summary)
    found = await ticket(desk)
    as_found = copy.deepcopy(found)
    await desk.save_ticket(ACME, FRESHDESK, found)

    assert (payload, article, summary) == before
    assert found == as_found


async def test_a_ticket_that_does_not_exist_is_none(desk: DictStorage) -> None:
    assert await desk.get_ticket(ACME, FRESHDESK, "42") is None


async def test_an_id_may_be_given_as_payloads_have_it(desk: DictStorage) -> None:
    await desk.save_ticket(ACME, FRESHDESK, freshdesk(42))

    assert await desk.get_ticket(ACME, FRESHDESK, 42) == await desk.get_ticket(ACME, FRESHDESK, "42") is not None
    assert await desk.update_processing_status(ACME, FRESHDESK, 42, "completed") is True
    assert await desk.save_summary(ACME, FRESHDESK, 42, {}) is True


async def test_a_ticket_may_say_its_id_as_the_first_document_did(desk: DictStorage) -> None:
    assert await desk.save_ticket(ACME, FRESHDESK, {"ticket_id": "T-1", "subject": "x"}) == "T-1"
    assert await desk.save_kb_article(ACME, FRESHDESK, {"article_id": "A-1", "title": "x"}) == "A-1"

    assert (await ticket(desk, "T-1"))["ticket_id"] == "T-1"


async def test_what_was_returned_is_saved_again_without_a_change(desk: DictStorage, storage: Storage, clock: ManualClock) -> None:
    await desk.save_ticket(ACME, FRESHDESK, freshdesk())
    await desk.update_processing_status(ACME, FRESHDESK, "42", "completed")
    await desk.save_summary(ACME, FRESHDESK, "42", {"text": "짧게"})
    first = await ticket(desk)
    stored = await find_ticket(storage, ACME, FRESHDESK, "42")
    clock.move(timedelta(hours=1))

    await desk.save_ticket(ACME, FRESHDESK, first)

    assert await ticket(desk) == first
    assert await find_ticket(storage, ACME, FRESHDESK, "42") == stored


async def test_the_same_value_in_another_order_of_keys_changes_nothing(desk: DictStorage, clock: ManualClock) -> None:
    await desk.save_ticket(ACME, FRESHDESK, freshdesk(custom={"a": 1, "b": 2}))
    first = await ticket(desk)
    clock.move(timedelta(hours=1))

    await desk.save_ticket(ACME, FRESHDESK, dict(reversed(freshdesk(custom={"b": 2, "a": 1}).items())))

    assert await ticket(desk) == first


async def test_unknown_fields_outlive_a_change_of_status(desk: DictStorage) -> None:
    payload = freshdesk(cf_unknown={"deep": [1, {"er": None}]}, odd=2**70)
    await desk.save_ticket(ACME, FRESHDESK, payload)

    await desk.update_processing_status(ACME, FRESHDESK, "42", "completed")

    found = await ticket(desk)
    assert found.pop(RESERVED)["processing_status"] == "completed"
    assert found == payload


async def test_a_changed_text_makes_a_ticket_pending_and_its_summary_stale(desk: DictStorage) -> None:
    await desk.save_ticket(ACME, FRESHDESK, freshdesk())
    await desk.update_processing_status(ACME, FRESHDESK, "42", "completed")
    await desk.save_summary(ACME, FRESHDESK, "42", {"text": "of the old text"})

    await desk.save_ticket(ACME, FRESHDESK, freshdesk(priority=4))
    other_field = await beside(desk)
    await desk.save_ticket(ACME, FRESHDESK, freshdesk(description_text="다른 내용"))

    other_text = await beside(desk)
    assert (other_field["processing_status"], other_field["summary_is_stale"]) == ("completed", False)
    assert (other_text["processing_status"], other_text["summary_is_stale"]) == ("pending", True)
    assert other_text["summary"] == {"text": "of the old text"}
    assert other_text["version"] > other_field["version"]


async def test_an_older_ticket_replaces_a_newer_one_only_by_force(desk: DictStorage) -> None:
    older, newer = freshdesk(subject="old"), freshdesk(subject="new", updated_at="2026-05-01T00:00:00Z")
    await desk.save_ticket(ACME, FRESHDESK, newer)

    assert await desk.save_ticket(ACME, FRESHDESK, older) == "42"
    without = (await ticket(desk))["subject"]
    assert await desk.save_ticket(ACME, FRESHDESK, older, force=True) == "42"

    assert (without, (await ticket(desk))["subject"]) == ("new", "old")


async def test_fifty_writers_of_one_ticket_all_get_their_turn(desk: DictStorage) -> None:
    writes = [desk.save_ticket(ACME, FRESHDESK, freshdesk(status=number)) for number in range(50)]
    steps = [desk.update_processing_status(ACME, FRESHDESK, "42", ("pending", "processing")[number % 2]) for number in range(50)]
    await desk.save_ticket(ACME, FRESHDESK, freshdesk())

    done = await asyncio.gather(*writes, *steps)

    assert done == ["42"] * 50 + [True] * 50
    assert (await ticket(desk))["status"] in range(50)


# -- lists ---------------------------------------------------------------------------------------------------------------------------------


async def test_a_list_has_the_tickets_created_last_first(desk: DictStorage) -> None:
    for number in range(1, 4):
        await desk.save_ticket(ACME, FRESHDESK, freshdesk(number, created_at=f"2026-01-0{number}T00:00:00Z"))
    await desk.save_ticket(ACME, "zendesk", {"id": 9, "subject": "x", "created_at": "2026-01-02T12:00:00Z"})
    await desk.save_summary(ACME, FRESHDESK, "2", {"text": "둘"})

    everything = await desk.list_tickets(ACME)

    assert ids(everything) == ["3", "9", "2", "1"]
    assert everything[2] == await ticket(desk, "2")
    assert ids(await desk.list_tickets(ACME, FRESHDESK)) == ["3", "2", "1"]
    assert ids(await desk.list_tickets(ACME, FRESHDESK, None, 2, 1)) == ["2", "1"]
    assert ids(await desk.list_tickets(ACME, offset=3, limit=9)) == ["1"]
    assert await desk.list_tickets(ACME, offset=10**30) == []
    assert await desk.list_tickets(ACME, limit=0) == []
    assert len(await desk.list_tickets(ACME, limit=10**30)) == 4


async def test_a_status_is_the_helpdesks_text_or_the_name_people_know_it_by(desk: DictStorage) -> None:
    await desk.save_ticket(ACME, FRESHDESK, freshdesk(1, status=4))
    await desk.save_ticket(ACME, FRESHDESK, freshdesk(2, status=3))
    await desk.save_ticket(ACME, "zendesk", {"id": 3, "subject": "x", "status": "pending"})
    await desk.save_ticket(ACME, "mine", {"id": 4, "status": "resolved"})
    await desk.save_ticket(ACME, "mine", {"id": 5, "status": "4"})

    assert ids(await desk.list_tickets(ACME, FRESHDESK, status="resolved")) == ["1"]
    assert ids(await desk.list_tickets(ACME, FRESHDESK, status="Resolved")) == ["1"]
    assert ids(await desk.list_tickets(ACME, FRESHDESK, status="4")) == ["1"]
    assert ids(await desk.list_tickets(ACME, FRESHDESK, status=4)) == ["1"]
    assert sorted(ids(await desk.list_tickets(ACME, status="resolved"))) == ["1", "4"]
    assert sorted(ids(await desk.list_tickets(ACME, status="pending"))) == ["2", "3"]
    assert sorted(ids(await desk.list_tickets(ACME, status=4))) == ["1", "5"]
    assert ids(await desk.list_tickets(ACME, "mine", status="4")) == ["5"]
    assert await desk.list_tickets(ACME, FRESHDESK, status="completed") == []


async def test_an_empty_filter_lets_everything_through_as_it_always_did(desk: DictStorage) -> None:
    await desk.save_ticket(ACME, FRESHDESK, freshdesk())

    assert ids(await desk.list_tickets(ACME, platform="", status="")) == ["42"]


@pytest.mark.parametrize("wrong", [{"limit": -1}, {"offset": -1}, {"limit": 0, "offset": -1}])
async def test_a_negative_limit_or_offset_is_refused(desk: DictStorage, wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidRecord, match="is -1: it counts"):
        await desk.list_tickets(ACME, **wrong)  # type: ignore[arg-type]  # a dict of several types of arguments


# -- processing ----------------------------------------------------------------------------------------------------------------------------


async def test_a_status_is_false_only_for_a_ticket_that_does_not_exist(desk: DictStorage) -> None:
    await desk.save_ticket(ACME, FRESHDESK, freshdesk())

    assert await desk.update_processing_status(ACME, FRESHDESK, "42", "completed") is True
    assert await desk.update_processing_status(ACME, FRESHDESK, "42", "completed") is True
    assert await desk.update_processing_status(ACME, FRESHDESK, "43", "completed") is False
    assert await desk.update_processing_status(OTHER, FRESHDESK, "42", "completed") is False
    with pytest.raises(InvalidRecord, match="'done' is not a processing status"):
        await desk.update_processing_status(ACME, FRESHDESK, "42", "done")


ILLEGAL = [(present, wanted) for present in ALLOWED for wanted in ProcessingStatus if wanted not in (present, *ALLOWED[present])]


@pytest.mark.parametrize(("present", "wanted"), ILLEGAL)
async def test_an_illegal_step_is_raised_and_changes_nothing(
    desk: DictStorage, present: ProcessingStatus, wanted: ProcessingStatus
) -> None:
    await desk.save_ticket(ACME, FRESHDESK, freshdesk())
    await desk.update_processing_status(ACME, FRESHDESK, "42", present)
    before = await ticket(desk)

    with pytest.raises(InvalidTransition):
        await desk.update_processing_status(ACME, FRESHDESK, "42", wanted)

    assert await ticket(desk) == before


async def test_while_a_worker_holds_a_ticket_its_status_cannot_be_set(desk: DictStorage, storage: Storage) -> None:
    await desk.save_ticket(ACME, FRESHDESK, freshdesk())
    await claim_tickets(storage, ACME, FRESHDESK, 1, worker="w1")

    with pytest.raises(ClaimLost):
        await desk.update_processing_status(ACME, FRESHDESK, "42", "completed")

    assert (await beside(desk))["processing_status"] == "processing"


async def test_progress_has_the_keys_it_always_had(desk: DictStorage, clock: ManualClock) -> None:
    nothing = await desk.get_processing_progress(ACME, FRESHDESK)
    for number, status in enumerate(["completed", "failed", "processing", "pending"]):
        await desk.save_ticket(ACME, FRESHDESK, freshdesk(number))
        await desk.update_processing_status(ACME, FRESHDESK, str(number), status)

    progress = await desk.get_processing_progress(ACME, FRESHDESK)

    assert nothing == {
        "total_tickets": 0,
        "processed_tickets": 0,
        "failed_tickets": 0,
        "progress_percentage": 0.0,
        "last_updated": None,
        "pending_tickets": 0,
        "processing_tickets": 0,
    }
    assert progress == {
        "total_tickets": 4,
        "processed_tickets": 1,
        "failed_tickets": 1,
        "progress_percentage": 25.0,
        "last_updated": clock().isoformat(),
        "pending_tickets": 1,
        "processing_tickets": 1,
    }


# -- summaries and articles ----------------------------------------------------------------------------------------------------------------


async def test_a_summary_goes_to_the_ticket_before_the_article_of_the_same_id(desk: DictStorage, storage: Storage) -> None:
    await desk.save_kb_article(ACME, FRESHDESK, ARTICLE)
    of_article = await desk.save_summary(ACME, FRESHDESK, "42", {"of": "article"})
    await desk.save_ticket(ACME, FRESHDESK, freshdesk(42))
    of_ticket = await desk.save_summary(ACME, FRESHDESK, "42", {"of": "ticket"})

    assert (of_article, of_ticket) == (True, True)
    assert await content(storage, article_key(FRESHDESK, "42")) == {"of": "article"}
    assert await content(storage, ticket_key(FRESHDESK, "42")) == {"of": "ticket"} == (await beside(desk))["summary"]


async def content(storage: Storage, key: Key) -> object:
    summary = await find_current_summary(storage, ACME, key)
    return summary and summary.data


async def test_an_article_of_several_locales_takes_no_summary_without_its_locale(desk: DictStorage, storage: Storage) -> None:
    await desk.save_kb_article(ACME, "docs", {"id": 1, "title": "열기", "locale": "ko"})
    alone = await desk.save_summary(ACME, "docs", "1", {"of": "ko"})
    await desk.save_kb_article(ACME, "docs", {"id": 1, "title": "Open", "locale": "en"})

    beside_another = await desk.save_summary(ACME, "docs", "1", {"of": "any"})

    korean = await find_article(storage, ACME, "docs", "1", "ko")
    english = await find_article(storage, ACME, "docs", "1", "en")
    assert (alone, beside_another) == (True, False)
    assert korean is not None
    assert english is not None
    assert (korean.data["title"], english.data["title"]) == ("열기", "Open")
    assert await content(storage, korean.key) == {"of": "ko"}
    assert await content(storage, english.key) is None


async def test_a_summary_of_nothing_is_false(desk: DictStorage) -> None:
    await desk.save_ticket(OTHER, FRESHDESK, freshdesk())

    assert await desk.save_summary(ACME, FRESHDESK, "42", {"text": "x"}) is False


async def test_earlier_summaries_stay_and_a_pinned_one_is_shown(desk: DictStorage, storage: Storage) -> None:
    await desk.save_ticket(ACME, FRESHDESK, freshdesk())
    await desk.save_summary(ACME, FRESHDESK, "42", {"n": 1})
    await desk.save_summary(ACME, FRESHDESK, "42", {"n": 2}, pinned=True)
    await desk.save_summary(ACME, FRESHDESK, "42", {"n": 3})

    history = await summary_history(storage, ACME, ticket_key(FRESHDESK, "42"))

    assert [summary.data for summary in history] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert (await beside(desk))["summary"] == {"n": 2}


async def test_nothing_is_read_out_of_a_summary_but_what_is_named_beside_it(desk: DictStorage, storage: Storage) -> None:
    await desk.save_ticket(ACME, FRESHDESK, freshdesk())
    said = {"model": "in the text", "tokens": "many"}

    await desk.save_summary(ACME, FRESHDESK, "42", said)
    await desk.save_summary(ACME, FRESHDESK, "42", said, model="m", prompt_id="p", parameters={"temperature": 0}, tokens=7, cost=0.5)

    first, second = await summary_history(storage, ACME, ticket_key(FRESHDESK, "42"))
    assert (first.data, first.model, first.tokens, first.parameters) == (said, None, None, b"{}")
    assert (second.data, second.model, second.prompt_id, second.tokens, second.cost) == (said, "m", "p", 7, 0.5)
    assert second.parameters == b'{"temperature":0}'


async def test_a_summary_of_a_ticket_that_goes_meanwhile_is_false(desk: DictStorage, storage: Storage) -> None:
    await desk.save_ticket(ACME, FRESHDESK, freshdesk())

    done = await asyncio.gather(
        delete_ticket(storage, ACME, FRESHDESK, "42"),
        *(desk.save_summary(ACME, FRESHDESK, "42", {"n": number}) for number in range(5)),
    )

    assert set(done[1:]) <= {True, False}
    assert await desk.save_summary(ACME, FRESHDESK, "42", {}) is False


async def test_saving_an_article_anew_changes_nothing(desk: DictStorage, storage: Storage, clock: ManualClock) -> None:
    saved = await desk.save_kb_article(ACME, FRESHDESK, ARTICLE)
    first = await find_article(storage, ACME, FRESHDESK, "42")
    clock.move(timedelta(hours=1))

    again = await desk.save_kb_article(ACME, FRESHDESK, ARTICLE)

    assert (saved, again) == ("42", "42")
    assert first is not None
    assert await find_article(storage, ACME, FRESHDESK, "42") == first


# -- companies -----------------------------------------------------------------------------------------------------------------------------


async def seed(desk: DictStorage, company_id: str) -> None:
    await desk.save_ticket(company_id, FRESHDESK, freshdesk(1, subject=company_id))
    await desk.save_ticket(company_id, FRESHDESK, freshdesk(2, subject=company_id))
    await desk.save_kb_article(company_id, FRESHDESK, {**ARTICLE, "id": 7, "title": company_id})
    await desk.save_summary(company_id, FRESHDESK, "1", {"of": company_id})
    await desk.save_summary(company_id, FRESHDESK, "7", {"of": company_id})


async def all_of(desk: DictStorage, storage: Storage, company_id: str) -> list[object]:
    return [
        await desk.get_ticket(company_id, FRESHDESK, "1"),
        await desk.list_tickets(company_id),
        await desk.get_processing_progress(company_id, FRESHDESK),
        await desk.get_platform_stats(company_id),
        await find_article(storage, company_id, FRESHDESK, "7"),
        await summary_history(storage, company_id, article_key(FRESHDESK, "7")),
    ]


async def test_each_of_the_nine_operations_touches_and_returns_one_companys_records_only(
    desk: DictStorage, storage: Storage, clock: ManualClock
) -> None:
    await seed(desk, ACME)
    await seed(desk, OTHER)
    theirs = await all_of(desk, storage, OTHER)
    clock.move(timedelta(hours=1))

    await desk.save_ticket(ACME, FRESHDESK, freshdesk(1, subject="acme changed"))
    await desk.save_ticket(ACME, FRESHDESK, freshdesk(3, subject="acme new"))
    await desk.update_processing_status(ACME, FRESHDESK, "1", "failed")
    await desk.save_summary(ACME, FRESHDESK, "2", {"of": "acme changed"})
    await desk.save_summary(ACME, FRESHDESK, "7", {"of": "acme changed"})
    await desk.save_kb_article(ACME, FRESHDESK, {**ARTICLE, "id": 7, "title": "acme changed"})
    ours = await all_of(desk, storage, ACME)

    assert await all_of(desk, storage, OTHER) == theirs
    assert OTHER not in repr(ours)
    assert ACME not in repr(theirs)
    assert (await desk.get_processing_progress(ACME, FRESHDESK))["failed_tickets"] == 1
    assert await desk.get_platform_stats(ACME) == {FRESHDESK: {"tickets": 3, "knowledge_base": 1, "total": 4}}
    assert await desk.list_companies() == [ACME, OTHER]


async def test_every_company_that_was_ever_given_something_is_listed(desk: DictStorage) -> None:
    await desk.save_ticket("z", FRESHDESK, freshdesk())
    await desk.save_kb_article("Only articles", FRESHDESK, ARTICLE)
    await desk.save_ticket("가", FRESHDESK, freshdesk())
    await desk.get_ticket("never written", FRESHDESK, "42")

    assert await desk.list_companies() == ["Only articles", "z", "가"]


async def test_stats_count_articles_in_each_of_their_locales(desk: DictStorage) -> None:
    for locale in ("ko", "en"):
        await desk.save_kb_article(ACME, "docs", {"id": 1, "title": "x", "locale": locale})
    await desk.save_ticket(ACME, FRESHDESK, freshdesk())

    assert await desk.get_platform_stats(ACME) == {
        "docs": {"tickets": 0, "knowledge_base": 2, "total": 2},
        FRESHDESK: {"tickets": 1, "knowledge_base": 0, "total": 1},
    }
    assert await desk.get_platform_stats("nobody") == {}


async def test_without_a_company_nothing_happens(desk: DictStorage) -> None:
    for nobody in ("", None):
        company: Any = nobody  # Any: what a program may hand over by mistake
        for call in (
            desk.save_ticket(company, FRESHDESK, freshdesk()),
            desk.get_ticket(company, FRESHDESK, "42"),
            desk.list_tickets(company),
            desk.list_tickets(company, limit=0),
            desk.update_processing_status(company, FRESHDESK, "42", "completed"),
            desk.save_summary(company, FRESHDESK, "42", {}),
            desk.get_processing_progress(company, FRESHDESK),
            desk.save_kb_article(company, FRESHDESK, ARTICLE),
            desk.get_platform_stats(company),
        ):
            with pytest.raises(CompanyRequired):
                await call

    assert await desk.list_companies() == []


@pytest.mark.parametrize("name", [" a", "a\n", "a\x00b", "\ud800", "x" * 256])
async def test_names_that_no_storage_keeps_are_refused_by_every_operation(desk: DictStorage, name: str) -> None:
    for call in (
        desk.save_ticket(name, FRESHDESK, freshdesk()),
        desk.save_ticket(ACME, name, freshdesk()),
        desk.save_ticket(ACME, FRESHDESK, {"id": name}),
        desk.get_ticket(ACME, FRESHDESK, name),
        desk.list_tickets(ACME, name),
        desk.update_processing_status(ACME, FRESHDESK, name, "completed"),
        desk.save_summary(ACME, FRESHDESK, name, {}),
        desk.get_processing_progress(ACME, name),
        desk.save_kb_article(ACME, FRESHDESK, {"id": name}),
        desk.get_platform_stats(name),
    ):
        with pytest.raises(InvalidIdentifier):
            await call

    assert await desk.list_companies() == []


async def test_a_payload_kept_as_bytes_is_shown_and_saved_as_its_value(desk: DictStorage, storage: Storage) -> None:
    from deskstore.services.tickets import save_ticket

    await save_ticket(storage, ACME, FRESHDESK, as_bytes(freshdesk()))
    stored = await find_ticket(storage, ACME, FRESHDESK, "42")

    await desk.save_ticket(ACME, FRESHDESK, await ticket(desk))

    assert await find_ticket(storage, ACME, FRESHDESK, "42") == stored
