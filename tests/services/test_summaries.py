"""Summaries through their use cases."""

import pytest

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import InvalidRecord, TicketNotFound
from deskstore.domain.identifiers import Key, ticket_key
from deskstore.services.articles import get_article, save_article
from deskstore.services.companies import erase_company, get_platform_stats, list_companies
from deskstore.services.summaries import BATCH, SummaryDraft, find_current_summary, save_summary, stale_summaries, summary_history
from deskstore.services.tickets import delete_ticket, get_ticket, save_ticket, save_tickets
from tests.payloads import freshdesk

ACME = "acme"


async def test_summaries_are_numbered_and_the_last_is_current(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())
    ticket = await get_ticket(storage, ACME, "freshdesk", "42")

    first = await save_summary(storage, ACME, ticket, SummaryDraft(content=b'{"text": "one"}', prompt_id="p1"))
    second = await save_summary(storage, ACME, ticket, SummaryDraft(content={"text": "two"}, parameters={"temperature": 0}, cost=0.5))

    assert (first.number, first.content, second.number, second.parameters) == (1, b'{"text": "one"}', 2, b'{"temperature":0}')
    assert await find_current_summary(storage, ACME, ticket.key) == second
    assert await summary_history(storage, ACME, ticket.key) == [first, second]


async def test_what_a_person_wrote_stays_current(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())
    ticket = await get_ticket(storage, ACME, "freshdesk", "42")

    pinned = await save_summary(storage, ACME, ticket, SummaryDraft(content={"text": "by hand"}, pinned=True))
    await save_summary(storage, ACME, ticket, SummaryDraft(content={"text": "by a model"}))

    assert await find_current_summary(storage, ACME, ticket.key) == pinned


async def test_a_summary_of_the_text_before_is_stale_from_the_start(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())
    as_read = await get_ticket(storage, ACME, "freshdesk", "42")
    await save_ticket(storage, ACME, "freshdesk", freshdesk(subject="Another", updated_at="2026-03-01T00:00:00Z"))

    await save_summary(storage, ACME, as_read, SummaryDraft(content={"text": "of the old text"}))

    assert [stale.key async for stale in stale_summaries(storage, ACME, "freshdesk")] == [as_read.key]
    assert [stale.key async for stale in stale_summaries(storage, ACME, "zendesk")] == []


async def test_a_ticket_and_an_article_of_one_id_keep_separate_summaries(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "generic", {"id": 1})
    await save_article(storage, ACME, "generic", {"id": 1, "title": "How"}, locale="ko")
    article = await get_article(storage, ACME, "generic", "1", "ko")

    await save_summary(storage, ACME, article, SummaryDraft(content={"text": "how"}))

    ticket = await get_ticket(storage, ACME, "generic", "1")
    assert await find_current_summary(storage, ACME, ticket.key) is None


async def test_a_deleted_ticket_takes_no_summary(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())
    ticket = await get_ticket(storage, ACME, "freshdesk", "42")
    await delete_ticket(storage, ACME, "freshdesk", "42")

    with pytest.raises(TicketNotFound):
        await save_summary(storage, ACME, ticket, SummaryDraft(content={"text": "late"}))


@pytest.mark.parametrize("content", [b"[1]", b"{", {"text": float("nan")}])
def test_a_summary_is_a_json_object(content: bytes | dict[str, object]) -> None:
    with pytest.raises(InvalidRecord):
        SummaryDraft(content=content)


async def test_companies_are_listed_counted_and_erased(storage: MemoryStorage) -> None:
    await save_ticket(storage, "b", "freshdesk", freshdesk())
    await save_article(storage, "a", "zendesk", {"id": 7, "locale": "ko"})

    assert await list_companies(storage) == ["a", "b"]
    assert [(stats.platform, stats.tickets, stats.articles) for stats in await get_platform_stats(storage, "a")] == [("zendesk", 0, 1)]

    await erase_company(storage, "b")

    assert await list_companies(storage) == ["a"]
    assert await get_platform_stats(storage, "b") == []


async def test_summaries_of_another_model_or_prompt_are_found_too(storage: MemoryStorage) -> None:
    await save_article(storage, ACME, "generic", {"id": 1, "title": "How"}, locale="ko")
    await save_article(storage, ACME, "generic", {"id": 1, "title": "How"}, locale="en")
    await save_ticket(storage, ACME, "generic", {"id": 1})
    await save_ticket(storage, ACME, "generic", {"id": 2})
    korean, english = [await get_article(storage, ACME, "generic", "1", locale) for locale in ("ko", "en")]
    ticket = await get_ticket(storage, ACME, "generic", "1")
    await save_summary(storage, ACME, korean, SummaryDraft(content={"text": "a"}, model="new", prompt_id="p1"))
    await save_summary(storage, ACME, english, SummaryDraft(content={"text": "a"}, model="old", prompt_id="p1"))
    await save_summary(storage, ACME, ticket, SummaryDraft(content={"text": "a"}, model="old", prompt_id="p2"))

    async def found(model: str | None = None, prompt_id: str | None = None) -> list[Key]:
        return [stale.key async for stale in stale_summaries(storage, ACME, "generic", model=model, prompt_id=prompt_id)]

    assert await found() == []
    assert await found(model="new") == [english.key, ticket.key]
    assert await found(prompt_id="p1") == [ticket.key]
    assert await found(model="old", prompt_id="p1") == [korean.key, ticket.key]
    assert [stale.key async for stale in stale_summaries(storage, ACME, "zendesk", model="new")] == []


async def test_what_a_person_wrote_is_of_every_model_and_stale_all_the_same(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())
    ticket = await get_ticket(storage, ACME, "freshdesk", "42")
    await save_summary(storage, ACME, ticket, SummaryDraft(content={"text": "by hand"}, pinned=True))
    before = [stale async for stale in stale_summaries(storage, ACME, model="new")]

    await save_ticket(storage, ACME, "freshdesk", freshdesk(subject="Another", updated_at="2026-03-01T00:00:00Z"))

    assert before == []
    assert [stale.key async for stale in stale_summaries(storage, ACME, model="new")] == [ticket.key]


async def test_more_records_are_looked_through_than_one_trip_reads(storage: MemoryStorage) -> None:
    await save_tickets(storage, ACME, "freshdesk", [freshdesk(number) for number in range(BATCH + 1)])
    keys = [ticket_key("freshdesk", str(number)) for number in (0, BATCH)]
    for key in keys:
        ticket = await get_ticket(storage, ACME, "freshdesk", key.id)
        await save_summary(storage, ACME, ticket, SummaryDraft(content={"text": "a"}, model="old"))

    assert [stale.key async for stale in stale_summaries(storage, ACME, model="new")] == sorted(keys)
