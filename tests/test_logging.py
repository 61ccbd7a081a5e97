"""What is logged, and what errors say, is about one company, and never quotes what its records hold."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from deskstore.adapters.file import FileStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import StorageError
from deskstore.domain.ports import Storage
from deskstore.facade import DictStorage
from deskstore.services.articles import delete_article, get_article, list_articles, save_article
from deskstore.services.companies import erase_company, get_platform_stats, list_companies
from deskstore.services.exporting import export_records
from deskstore.services.importing import import_records
from deskstore.services.processing import claim_tickets, complete, fail, get_processing_progress, release, renew, update_processing_status
from deskstore.services.summaries import SummaryDraft, save_summary, stale_summaries, summary_history
from deskstore.services.tickets import delete_ticket, get_ticket, list_tickets, save_ticket, save_tickets
from tests.payloads import as_bytes, freshdesk

COMPANIES: Final = ("acme", "globex")
DESK: Final = "freshdesk"
ORDINARY: Final = frozenset(vars(logging.makeLogRecord({})))


@pytest.fixture(params=["memory", "file"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    opened = MemoryStorage() if request.param == "memory" else FileStorage(tmp_path / "data")
    yield opened
    await opened.aclose()


def secret(company_id: str) -> str:
    """A word that stands in every text of a company's records."""
    return f"{company_id}-confidential"


def named(company_id: str, number: int) -> str:
    """An id of a company's record."""
    return f"{company_id}-{number}"


def a_ticket(company_id: str, number: int, **changes: Any) -> dict[str, Any]:  # Any: fields hold what a test likes
    word = secret(company_id)
    return freshdesk(number) | {"id": named(company_id, number), "subject": word, "description_text": word, "requester_id": word} | changes


async def everything(storage: Storage, company_id: str, folder: Path) -> None:
    """Each use case once, for one company."""
    await everything_on_tickets(storage, company_id, folder)
    await everything_on_claims(storage, company_id)
    await everything_on_articles(storage, company_id)
    await everything_on_dicts(DictStorage(storage), company_id)
    await export_records(storage, company_id, folder / f"{company_id}.ndjson")
    await list_companies(storage)
    await get_platform_stats(storage, company_id)


async def everything_on_tickets(storage: Storage, company_id: str, folder: Path) -> None:
    export = folder / f"{company_id}.json"
    export.write_bytes(as_bytes([a_ticket(company_id, number) for number in range(4)] + [{"subject": secret(company_id)}]))
    await import_records(storage, company_id, DESK, [export], rejects=folder / f"{company_id}.rejects")
    await save_tickets(storage, company_id, DESK, [a_ticket(company_id, number) for number in range(4, 8)])
    await save_ticket(storage, company_id, DESK, a_ticket(company_id, 1, subject=f"{secret(company_id)} again"))
    await list_tickets(storage, company_id, DESK, status="2")
    await delete_ticket(storage, company_id, DESK, named(company_id, 7))


async def everything_on_claims(storage: Storage, company_id: str) -> None:
    first, second, third = await claim_tickets(storage, company_id, DESK, 3, worker=f"{company_id}-worker")
    await renew(storage, company_id, first)
    await complete(storage, company_id, first, summary=SummaryDraft(content={"text": secret(company_id)}, model=secret(company_id)))
    await fail(storage, company_id, second, secret(company_id))
    await release(storage, company_id, third)
    await update_processing_status(storage, company_id, DESK, named(company_id, 6), "completed")
    ticket = await get_ticket(storage, company_id, DESK, first.key.id)
    await save_summary(storage, company_id, ticket, SummaryDraft(content={"text": secret(company_id)}, pinned=True))
    await summary_history(storage, company_id, first.key)
    assert [one async for one in stale_summaries(storage, company_id)] == []
    await get_processing_progress(storage, company_id, DESK)


async def everything_on_articles(storage: Storage, company_id: str) -> None:
    article = {"id": named(company_id, 1), "title": secret(company_id), "body": secret(company_id)}
    await save_article(storage, company_id, "docs", article)
    await get_article(storage, company_id, "docs", named(company_id, 1))
    await list_articles(storage, company_id)
    await delete_article(storage, company_id, "docs", named(company_id, 1))


async def everything_on_dicts(desk: DictStorage, company_id: str) -> None:
    identifier = await desk.save_ticket(company_id, DESK, a_ticket(company_id, 8))
    await desk.get_ticket(company_id, DESK, identifier)
    await desk.list_tickets(company_id, status="open")
    await desk.update_processing_status(company_id, DESK, identifier, "failed")
    await desk.save_summary(company_id, DESK, identifier, {"text": secret(company_id)})
    await desk.get_processing_progress(company_id, DESK)
    await desk.save_kb_article(company_id, DESK, {"id": named(company_id, 9), "title": secret(company_id), "section_id": 1})
    await desk.list_companies()
    await desk.get_platform_stats(company_id)


def told(record: logging.LogRecord) -> str:
    """All that a handler could write of a record."""
    added: Mapping[str, object] = {name: value for name, value in vars(record).items() if name not in ORDINARY}
    return f"{record.getMessage()} {added} {record.exc_text} {record.exc_info}"


def others(company_id: str) -> str:
    (other,) = {*COMPANIES} - {company_id}
    return other


async def test_what_one_company_does_logs_nothing_of_another_and_no_text(
    storage: Storage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")

    await asyncio.gather(*(everything(storage, company_id, tmp_path) for company_id in COMPANIES))
    await erase_company(storage, COMPANIES[1])
    await storage.aclose()

    ours = [record for record in caplog.records if record.name.startswith("deskstore")]
    assert {getattr(record, "company_id", None) for record in ours} == {*COMPANIES}
    assert {getattr(record, "operation", None) for record in ours} >= {"commit", "ticket.find_many", "article.page"}
    for record in caplog.records:
        assert "confidential" not in told(record)
        company_id = getattr(record, "company_id", None)
        assert company_id is None or others(company_id) not in told(record)


Wrong = Callable[[Storage, str, Path], Awaitable[object]]


async def claims_again(storage: Storage, company_id: str, _: Path) -> None:
    """A worker whose claim another one settled."""
    (claimed,) = await claim_tickets(storage, company_id, DESK, 1, worker="w")
    await complete(storage, company_id, claimed)
    await complete(storage, company_id, claimed)


async def writes_by_hand(storage: Storage, company_id: str, _: Path) -> None:
    """A status that nobody may set while a worker holds the ticket."""
    (claimed,) = await claim_tickets(storage, company_id, DESK, 1, worker="w")
    await update_processing_status(storage, company_id, DESK, claimed.key.id, "failed")


async def saves_what_is_old(storage: Storage, company_id: str, _: Path) -> None:
    """A ticket that somebody saved since it was read."""
    ticket = await get_ticket(storage, company_id, DESK, named(company_id, 1))
    await save_ticket(storage, company_id, DESK, a_ticket(company_id, 1, status=5))
    async with storage.unit_of_work(company_id) as uow:
        uow.tickets.save(ticket)
        await uow.commit()


async def imports_no_export(storage: Storage, company_id: str, folder: Path) -> None:
    path = folder / "table.csv"
    path.write_text(f"id,subject\n1,{secret(company_id)}\n")
    await import_records(storage, company_id, DESK, [path])


async def meets_damage(storage: Storage, company_id: str, folder: Path) -> None:
    """A record whose file was cut in two; in memory there is none, and the ticket is missing instead."""
    await storage.aclose()
    for path in (folder / "data" / company_id).rglob("*.json"):
        path.write_bytes(path.read_bytes()[:-40])
    opened = MemoryStorage() if isinstance(storage, MemoryStorage) else FileStorage(folder / "data")
    try:
        await get_ticket(opened, company_id, DESK, named(company_id, 1))
    finally:
        await opened.aclose()


WRONG: Final[Sequence[Wrong]] = [
    claims_again,
    writes_by_hand,
    saves_what_is_old,
    imports_no_export,
    lambda storage, ours, _: save_ticket(storage, ours, DESK, {"subject": secret(ours)}),
    lambda storage, ours, _: save_ticket(storage, ours, DESK, b'{"subject": "' + secret(ours).encode()),
    lambda storage, ours, _: save_ticket(storage, ours, DESK, a_ticket(ours, 1, id={"word": secret(ours)})),
    lambda storage, ours, _: get_ticket(storage, ours, DESK, "missing"),
    lambda storage, ours, _: DictStorage(storage).save_ticket(ours, DESK, a_ticket(ours, 1, extra={secret(ours)})),
    lambda storage, ours, _: update_processing_status(storage, ours, DESK, named(ours, 1), "done"),
    meets_damage,
]


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
async def test_what_goes_wrong_in_one_company_tells_nothing_of_another_and_quotes_no_text(
    storage: Storage, tmp_path: Path, caplog: pytest.LogCaptureFixture, wrong: Wrong
) -> None:
    caplog.set_level("DEBUG")
    ours, theirs = COMPANIES
    for company_id in COMPANIES:
        await save_tickets(storage, company_id, DESK, [a_ticket(company_id, number) for number in range(4)])
    caplog.clear()

    with pytest.raises(StorageError) as raised:
        await wrong(storage, ours, tmp_path)

    said = [str(raised.value), repr(raised.value), *(told(record) for record in caplog.records)]
    for text in said:
        assert "confidential" not in text
        assert theirs not in text
