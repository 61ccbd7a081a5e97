"""What a platform sent is given back byte for byte, and what was read from it as it was read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import cache

import pytest
from attrs import evolve
from hypothesis import example, given

from deskstore.domain.errors import InvalidRecord
from deskstore.domain.paging import EVERYTHING
from deskstore.domain.payloads import digest as sha256_of
from deskstore.domain.records import Article, Fields, Ticket
from deskstore.domain.summaries import Summary
from deskstore.testing import strategies
from deskstore.testing.contract.fixtures import PROPERTY
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_summary, a_ticket, an_article, digest, fields
from deskstore.testing.strategies import BAD_PAYLOADS, HOSTILE_PAYLOADS

_LARGEST = 16 * 2**20
_TOO_LONG = b'{"a":"' + b"x" * (_LARGEST - 7) + b'"}'
_HIDDEN = b'{"a":' + b"[" * 300 + b"]" * 300 + b',"a":1}'  # as deep as no value of it is, since the key comes again


@pytest.mark.parametrize("payload", HOSTILE_PAYLOADS, ids=range(len(HOSTILE_PAYLOADS)))
async def test_a_hostile_payload_comes_back_byte_for_byte(desk: Desk, payload: bytes) -> None:
    await desk.keep(a_ticket(payload=payload), an_article(payload=payload))

    async with desk.unit() as uow:
        found = [
            *(await uow.tickets.find_many([a_ticket().key])).values(),
            *(await uow.articles.find_many([an_article().key])).values(),
            *(await uow.tickets.page(EVERYTHING)).items,
            *(await uow.articles.page_at(EVERYTHING, offset=0)).items,
            *[ticket async for ticket in uow.tickets.stream()],
            *[article async for article in uow.articles.stream()],
        ]
    assert [one.payload for one in found] == [payload] * 6
    assert {one.sha256 for one in found} == {sha256_of(payload)}


async def test_a_payload_of_the_largest_size_comes_back_byte_for_byte(desk: Desk) -> None:
    stored = await desk.kept(_the_largest())

    assert len(stored.payload) == _LARGEST
    assert stored.payload == _the_largest().payload


@cache
def _the_largest() -> Ticket:
    return a_ticket(payload=b'{"a": "' + b"x" * (_LARGEST - 9) + b'"}')


@pytest.mark.parametrize("payload", [*BAD_PAYLOADS, _HIDDEN, _TOO_LONG], ids=range(len(BAD_PAYLOADS) + 2))
async def test_what_is_no_document_is_refused_as_a_payload(desk: Desk, payload: bytes) -> None:
    async with desk.unit() as uow:
        with pytest.raises(InvalidRecord, match="the payload of ticket '42'"):
            uow.tickets.save(a_ticket(payload=payload))
        with pytest.raises(InvalidRecord, match="the payload of article '42'"):
            uow.articles.save(an_article(payload=payload))


@pytest.mark.parametrize("payload", [*BAD_PAYLOADS, _HIDDEN, _TOO_LONG], ids=range(len(BAD_PAYLOADS) + 2))
async def test_what_is_no_document_is_refused_as_a_summary(desk: Desk, payload: bytes) -> None:
    summary = a_summary(a_ticket().key)

    async with desk.unit() as uow:
        with pytest.raises(InvalidRecord, match="the content of a summary"):
            uow.summaries.add(evolve(summary, content=payload))
        with pytest.raises(InvalidRecord, match="the parameters of a summary"):
            uow.summaries.add(evolve(summary, parameters=payload))


async def test_a_payload_beside_the_digest_of_another_is_refused(desk: Desk) -> None:
    async with desk.unit() as uow:
        with pytest.raises(InvalidRecord, match="sha256"):
            uow.tickets.save(evolve(a_ticket(), payload=b"{}"))


async def test_a_hostile_summary_comes_back_byte_for_byte(desk: Desk) -> None:
    await desk.keep(a_ticket())

    kept = await desk.summarise(*(evolve(a_summary(a_ticket().key), content=one, parameters=one) for one in HOSTILE_PAYLOADS))

    found = await desk.history(a_ticket().key)
    assert [(one.content, one.parameters) for one in found] == [(one, one) for one in HOSTILE_PAYLOADS]
    assert found == list(kept)


@pytest.mark.parametrize(
    "text", ["", " ", "a\x00b", "\ud800", "안녕 🙂", "\ufeff\u2028", "x" * 600, "'; drop table ticket; --", "\x1b[31m\r\n"]
)
async def test_text_that_was_read_comes_back_as_it_was_cleaned(desk: Desk, text: str) -> None:
    read = Fields(subject=text, status=text, priority=text, requester=text, text_digest=digest(text))

    stored = await desk.kept(a_ticket(read=read))

    assert stored.fields == read


async def test_what_was_not_read_stays_missing(desk: Desk) -> None:
    read = Fields(text_digest=digest(""))

    stored = await desk.kept(an_article(read=read))

    assert stored.fields == read


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 3, 2, 9, 0, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    ],
)
async def test_times_come_back_to_the_microsecond(desk: Desk, moment: datetime) -> None:
    stored = await desk.kept(a_ticket(read=fields(created_at=moment), now=moment))

    assert (stored.fields.created_at, stored.fields.updated_at, stored.saved_at) == (moment, moment, moment)
    assert stored.fields.created_at is not None
    assert stored.fields.created_at.utcoffset() == stored.saved_at.utcoffset() == timedelta(0)


@PROPERTY
@given(ticket=strategies.tickets(), article=strategies.articles())
@example(ticket=a_ticket(payload=HOSTILE_PAYLOADS[1]), article=an_article(locale="ko", payload=HOSTILE_PAYLOADS[3]))
async def test_any_record_comes_back_as_it_was_saved(new_desk: Callable[[], Desk], ticket: Ticket, article: Article) -> None:
    desk = new_desk()

    stored, other = await desk.kept(ticket), await desk.kept(article)

    assert stored == evolve(ticket, version=stored.version)
    assert other == evolve(article, version=other.version)


@PROPERTY
@given(summary=strategies.summaries())
@example(summary=a_summary(an_article(locale="ko").key, content=HOSTILE_PAYLOADS[1], pinned=True))
async def test_any_summary_comes_back_as_it_was_given(new_desk: Callable[[], Desk], summary: Summary) -> None:
    desk = new_desk()
    key = summary.key
    await desk.keep(a_ticket(key.id, platform=key.platform), an_article(key.id, key.locale, platform=key.platform))

    (kept,) = await desk.summarise(summary)

    assert kept == evolve(summary, number=1, version=kept.version)
    assert await desk.history(key) == [kept]
