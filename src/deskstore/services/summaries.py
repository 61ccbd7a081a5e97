"""What a model, or a person, wrote of a ticket or an article."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import field, frozen

from deskstore.domain.identifiers import Key
from deskstore.domain.processing import Claim
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import StaleSummary, Summary
from deskstore.formats import json

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage


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
        return await uow.summaries.current(key)


async def summary_history(storage: Storage, company_id: str, key: Key) -> Sequence[Summary]:
    """All summaries of a record, ascending by number."""
    async with storage.unit_of_work(company_id) as uow:
        return await uow.summaries.history(key)


async def stale_summaries(storage: Storage, company_id: str, platform: str | None = None) -> AsyncIterator[StaleSummary]:
    """Records whose current summary was written of another text than they have now, ascending by key."""
    async with storage.unit_of_work(company_id) as uow:
        async for stale in uow.summaries.stale(platform):
            yield stale


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
