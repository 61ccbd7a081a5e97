"""What a model, or a person, wrote of a ticket or an article."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from deskstore.domain.identifiers import ARTICLE, TICKET, Key
from deskstore.domain.paging import Filter
from deskstore.domain.processing import Claim
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import StaleSummary, Summary
from deskstore.formats import json

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage

BATCH: Final = 200  #: records whose summaries are read in one trip


def _object(value: bytes | Mapping[str, object]) -> bytes:
    """The bytes of a JSON object: those given, once checked, or those that hold the value given."""
    if isinstance(value, bytes):
        json.load(value)
        return value
    return json.dump(value)


@frozen(kw_only=True)
class SummaryDraft:
    """A summary on its way in; its number, time and source are added when it is kept."""

    content: bytes = field(converter=_object)  #: a JSON object; a mapping is turned into one
    model: str | None = None
    prompt_id: str | None = None
    parameters: bytes = field(default=b"{}", converter=_object)  #: what the model was called with, likewise
    tokens: int | None = None
    cost: float | None = None  #: in the currency the caller counts in
    pinned: bool = False  #: written by a person: stays current whatever comes after it


async def save_summary(storage: Storage, company_id: str, of: Ticket | Article, draft: SummaryDraft) -> Summary:
    """
    Keep one more summary of a record, and give it back with its number.

    Args:
        of: The record as it was when it was read for the summary: a summary of another text than the stored one is stale from the start.

    Raises:
        TicketNotFound, ArticleNotFound: The record is gone.
    """
    summary = _summary(of.key, draft, source_digest=of.fields.text_digest, now=storage.clock())
    async with storage.unit_of_work(company_id) as uow:
        uow.summaries.add(summary)
        committed = await uow.commit()
    return committed.summaries[0]


async def find_current_summary(storage: Storage, company_id: str, key: Key) -> Summary | None:
    """The summary to show of a record: the highest pinned one, else the highest, or None."""
    async with storage.unit_of_work(company_id) as uow:
        return (await uow.summaries.current_many([key])).get(key)  # one row, which a cache may hold; current() reads the history


async def summary_history(storage: Storage, company_id: str, key: Key) -> Sequence[Summary]:
    """All summaries of a record, ascending by number."""
    async with storage.unit_of_work(company_id) as uow:
        return await uow.summaries.history(key)


async def stale_summaries(
    storage: Storage, company_id: str, platform: str | None = None, *, model: str | None = None, prompt_id: str | None = None
) -> AsyncIterator[StaleSummary]:
    """
    Records whose current summary was written of another text than they have now, ascending by key.

    Args:
        model: Also those whose current summary another model wrote, unless a person did.
        prompt_id: Also those that were written with another prompt, likewise.
    """
    if model is None and prompt_id is None:
        async with storage.unit_of_work(company_id) as uow:
            async for stale in uow.summaries.stale(platform):
                yield stale
        return
    from deskstore.services.sound import sound_records  # who saves a summary reads no others

    for kind in (ARTICLE, TICKET):  # in the order of keys
        records = sound_records(storage, company_id, kind, Filter(platform=platform), damaged=[])
        async for stale in _written_otherwise(storage, company_id, records, model, prompt_id):
            yield stale


async def _written_otherwise(
    storage: Storage, company_id: str, records: AsyncIterator[Ticket | Article], model: str | None, prompt_id: str | None
) -> AsyncIterator[StaleSummary]:
    """Records whose current summary is stale, or of another model or prompt; a damaged record, which the doctor names, is passed over."""
    async for digests in _digests(records):
        async with storage.unit_of_work(company_id) as uow:
            current = await uow.summaries.current_many([*digests])
        for key, text_digest in digests.items():
            summary = current.get(key)
            if summary is not None and (summary.is_stale(text_digest) or not summary.is_by(model, prompt_id)):
                yield StaleSummary(key=key, summary=summary, text_digest=text_digest)


async def _digests(records: AsyncIterator[Ticket | Article]) -> AsyncIterator[dict[Key, bytes]]:
    """What the texts of records are known by, some records at a time."""
    some: dict[Key, bytes] = {}
    async for record in records:
        some[record.key] = record.fields.text_digest
        if len(some) == BATCH:
            yield some
            some = {}
    yield some


def summary_of_claim(key: Key, claim: Claim, draft: SummaryDraft, *, now: datetime) -> Summary:
    """The summary a worker wrote of the text its claim was for."""
    return _summary(key, draft, source_digest=claim.text_digest, now=now)


def _summary(key: Key, draft: SummaryDraft, *, source_digest: bytes, now: datetime) -> Summary:
    return Summary(
        key=key,
        content=draft.content,
        model=draft.model,
        prompt_id=draft.prompt_id,
        parameters=draft.parameters,
        tokens=draft.tokens,
        cost=draft.cost,
        source_digest=source_digest,
        pinned=draft.pinned,
        created_at=now,
    )
