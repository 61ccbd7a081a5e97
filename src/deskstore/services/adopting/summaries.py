"""Summaries of the tree, each kept with the ticket that has its id, else with the article."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from attrs import Factory, define, frozen

from deskstore.domain.identifiers import ARTICLE, TICKET, Key, article_key, ticket_key
from deskstore.domain.ports import Storage, UnitOfWork
from deskstore.domain.receiving import CREATED, UNCHANGED, Head, Outcome
from deskstore.domain.summaries import Summary
from deskstore.formats.naive import FoundSummary
from deskstore.services.adopting.records import FoundRecord, has_summary

FROM_SUMMARY: Final = "adopted:summary"


@define
class Known:
    """The records of the tree that were placed: those that a dry run only foresees are not in the store."""

    digests: dict[Key, bytes] = Factory(dict[Key, bytes])  #: of their texts, as the tree has them
    locales: dict[tuple[str, str], set[str]] = Factory(dict[tuple[str, str], set[str]])

    def add(self, found: FoundRecord) -> None:
        """Remember one."""
        key = found.incoming.key
        self.digests[key] = found.incoming.fields.text_digest
        if key.kind == ARTICLE:
            self.locales.setdefault((key.platform, key.id), set()).add(key.locale)


async def keep_summaries(
    storage: Storage, company_id: str, batch: Sequence[FoundSummary], known: Known, *, dry_run: bool
) -> list[Outcome | str]:
    """
    Keep a batch of summaries in one unit of work; what became of each, or why it was not placed.

    Raises:
        CorruptRecord: A stored record cannot be trusted; nothing of the batch was kept.
    """
    async with storage.unit_of_work(company_id) as uow:
        heads = await uow.tickets.heads([ticket_key(found.platform, found.record_id) for found in batch])
        matcher = _Matcher(uow=uow, known=known, tickets=heads, now=storage.clock())
        drafts = [await matcher.draft(found) for found in batch]
        results = await matcher.judged(drafts)
        if not dry_run:
            for draft, result in zip(drafts, results, strict=True):
                if isinstance(draft, Summary) and result is CREATED:
                    uow.summaries.add(draft)
            await uow.commit()
        return results


@frozen(kw_only=True)
class _Matcher:
    """What is known of the records that the summaries of a batch may belong to."""

    uow: UnitOfWork
    known: Known
    tickets: Mapping[Key, Head]
    now: datetime

    async def draft(self, found: FoundSummary) -> Summary | str:
        """A summary of the record it belongs to, or why there is none."""
        key = ticket_key(found.platform, found.record_id)
        if key in self.known.digests or key in self.tickets:
            return self._summary(key, found, self.tickets)
        locales = {*await self.uow.articles.locales(found.platform, found.record_id)}
        locales |= self.known.locales.get((found.platform, found.record_id), set())
        if len(locales) != 1:
            return _homeless(found, len(locales))
        key = article_key(found.platform, found.record_id, locales.pop())
        return self._summary(key, found, await self.uow.articles.heads([key]))

    def _summary(self, key: Key, found: FoundSummary, heads: Mapping[Key, Head]) -> Summary:
        return Summary(
            key=key,
            content=found.content,
            prompt_id=FROM_SUMMARY,
            source_digest=self.known.digests[key] if key in self.known.digests else heads[key].text_digest,
            created_at=min(found.created_at or self.now, self.now),
        )

    async def judged(self, drafts: Sequence[Summary | str]) -> list[Outcome | str]:
        """What is to become of each: those that came from the tree before are unchanged."""
        current = await self.uow.summaries.current_many({draft.key for draft in drafts if isinstance(draft, Summary)})
        return [await self._judged(draft, current) for draft in drafts]

    async def _judged(self, draft: Summary | str, current: Mapping[Key, Summary]) -> Outcome | str:
        if isinstance(draft, str):
            return draft
        return UNCHANGED if await has_summary(self.uow, draft, current) else CREATED


def _homeless(found: FoundSummary, locales: int) -> str:
    if not locales:
        return f"there is no {TICKET} and no {ARTICLE} {found.record_id!a} that it could be a summary of"
    return f"{ARTICLE} {found.record_id!a} is kept in {locales} languages, and it does not say which of them it is a summary of"
