"""
Tickets and articles of the tree, kept with their processing and the summaries that stood inside them.

The tree's word counts where it is the later one. A payload that deskstore received after the file was saved stays; so does a processing
that changed after the file's, unless nobody has touched it since its ticket came with the same text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from attrs import evolve, frozen

from deskstore.domain.errors import ClaimLost, RequesterSuppressed, VersionConflict
from deskstore.domain.identifiers import ARTICLE, TICKET, Key
from deskstore.domain.ports import Storage, UnitOfWork
from deskstore.domain.processing import PENDING, Processing
from deskstore.domain.receiving import CREATED, STALE, SUPPRESSED, UNCHANGED, UPDATED, Head, Outcome, judge
from deskstore.domain.records import Article, Ticket, new_article, new_ticket
from deskstore.domain.summaries import Summary
from deskstore.formats import json
from deskstore.formats.naive import FoundArticle, FoundTicket, ProcessedData
from deskstore.services.attempts import until_saved
from deskstore.services.receiving import Requesters, kept_out_among, requester_of

FROM_PROCESSED_DATA: Final = "adopted:processed_data"

FoundRecord = FoundTicket | FoundArticle


@frozen(kw_only=True)
class Kept:
    """What became of a record, and of the summary that stood inside it."""

    outcome: Outcome
    summary: Outcome | None = None


async def keep_records(storage: Storage, company_id: str, batch: Sequence[FoundRecord], *, dry_run: bool) -> list[Kept]:
    """
    Keep a batch, no record twice in it, in one unit of work.

    Raises:
        CorruptRecord: A stored record cannot be trusted; nothing of the batch was kept.
        VersionConflict: Other writers won every race.
    """

    async def attempt() -> list[Kept]:
        async with storage.unit_of_work(company_id) as uow:
            present = await _look_up(uow, batch, storage.clock())
            kept = [present.judged(found) for found in batch]
            if not dry_run:
                for found, one in zip(batch, kept, strict=True):
                    present.buffer(uow, found, one)
                await _commit(uow)
            return kept

    return await until_saved(attempt)


async def _commit(uow: UnitOfWork) -> None:
    try:
        await uow.commit()
    except (ClaimLost, RequesterSuppressed) as lost:  # a worker took a ticket, or somebody was erased, since the batch was looked up
        raise VersionConflict(lost.keys) from lost


async def has_summary(uow: UnitOfWork, summary: Summary, current: Mapping[Key, Summary]) -> bool:
    """Whether the record has a summary of the same content already that came from the same place; current: of records that have any."""
    shown = current.get(summary.key)
    if shown is None or _is_same(shown, summary):
        return shown is not None
    return any(_is_same(one, summary) for one in await uow.summaries.history(summary.key))


def _is_same(one: Summary, other: Summary) -> bool:
    return one.prompt_id == other.prompt_id and one.content == other.content


@frozen(kw_only=True)
class _Stored:
    """What stands in the store under the keys of a batch."""

    heads: Mapping[Key, Head]
    stored: Mapping[Key, Ticket | Article]  #: those that hold other bytes than the tree
    summarised: Collection[Key]  #: tickets that have their processed data as a summary
    kept_out: Requesters  #: whose tickets are not let in
    now: datetime

    def judged(self, found: FoundRecord) -> Kept:
        """What is to become of a record."""
        key, outcome = found.incoming.key, self._outcome(found)
        if outcome in (CREATED, UPDATED) and isinstance(found, FoundTicket) and requester_of(found.incoming) in self.kept_out:
            return Kept(outcome=SUPPRESSED)
        summary = None
        if isinstance(found, FoundTicket) and found.processed_data is not None:
            summary = UNCHANGED if key in self.summarised else CREATED
        return Kept(outcome=outcome, summary=summary)

    def _outcome(self, found: FoundRecord) -> Outcome:
        outcome = judge(found.incoming, self.heads.get(found.incoming.key))
        if outcome is not UPDATED:
            return outcome
        is_later = found.saved_at is not None and self.stored[found.incoming.key].saved_at < found.saved_at
        return UPDATED if is_later else STALE

    def buffer(self, uow: UnitOfWork, found: FoundRecord, kept: Kept) -> None:
        """Put into the unit what a record changes."""
        if kept.outcome is SUPPRESSED:
            return
        if kept.outcome in (CREATED, UPDATED):
            self._save(uow, found)
        if isinstance(found, FoundTicket):
            processing = self._processing(found)
            if processing is not None:
                uow.progress.save(processing)
            if kept.summary is CREATED and found.processed_data is not None:
                uow.summaries.add(_summary(found, found.processed_data, self.now))

    def _save(self, uow: UnitOfWork, found: FoundRecord) -> None:
        key = found.incoming.key
        saved_at = min(found.saved_at or self.now, self.now)
        version = self.heads[key].version if key in self.heads else 0
        if isinstance(found, FoundTicket):
            uow.tickets.save(evolve(new_ticket(found.incoming, now=saved_at), version=version))
        else:
            uow.articles.save(evolve(new_article(found.incoming, now=saved_at), version=version))

    def _processing(self, found: FoundTicket) -> Processing | None:
        """How far the ticket had come, where the tree knows it better."""
        head = self.heads.get(found.incoming.key)
        stood = head.processing if head else None
        if found.status is None or (head is not None and not self._knows_better(found, head)):
            return None
        saved_at = min(found.saved_at or self.now, self.now)
        return Processing(
            key=found.incoming.key,
            status=found.status,
            attempts=stood.attempts if stood else 0,
            claimable_at=saved_at if found.status is PENDING else None,
            changed_at=min(found.status_updated_at or saved_at, self.now),
            version=stood.version if stood else 0,
        )

    def _knows_better(self, found: FoundTicket, head: Head) -> bool:
        stood = head.processing
        if stood is None or stood.is_claimed(self.now) or stood.status == found.status:
            return False
        changed_at = found.status_updated_at or found.saved_at
        is_later = changed_at is not None and stood.changed_at < changed_at
        return is_later or self._is_untouched(stood, found, head)

    def _is_untouched(self, stood: Processing, found: FoundTicket, head: Head) -> bool:
        stored = self.stored.get(head.key)
        is_fresh = stored is not None and stood.status == PENDING and not stood.attempts and stood.changed_at <= stored.saved_at
        return is_fresh and head.text_digest == found.incoming.fields.text_digest


async def _look_up(uow: UnitOfWork, batch: Sequence[FoundRecord], now: datetime) -> _Stored:
    incoming = {found.incoming.key: found.incoming for found in batch}
    heads = dict(await uow.tickets.heads(_of(TICKET, incoming))) | dict(await uow.articles.heads(_of(ARTICLE, incoming)))
    differ = [key for key, head in heads.items() if head.sha256 != incoming[key].sha256]
    stored: dict[Key, Ticket | Article] = dict(await uow.tickets.find_many(_of(TICKET, differ)))
    stored |= await uow.articles.find_many(_of(ARTICLE, differ))
    tickets = [one for one in batch if isinstance(one, FoundTicket) and one.incoming.key in heads]
    drafts = [_summary(one, one.processed_data, now) for one in tickets if one.processed_data is not None]
    current = await uow.summaries.current_many([draft.key for draft in drafts])
    summarised = {draft.key for draft in drafts if await has_summary(uow, draft, current)}
    kept_out = await kept_out_among(uow, incoming.values())
    return _Stored(heads=heads, stored=stored, summarised=summarised, kept_out=kept_out, now=now)


def _of(kind: str, keys: Iterable[Key]) -> list[Key]:
    return [key for key in keys if key.kind == kind]


def _summary(found: FoundTicket, processed: ProcessedData, now: datetime) -> Summary:
    return Summary(
        key=found.incoming.key,
        content=processed.content,
        prompt_id=FROM_PROCESSED_DATA,
        parameters=json.dump({"place": processed.place}),  # with which the file can be made again
        source_digest=found.incoming.fields.text_digest,
        created_at=min(found.saved_at or now, now),
    )
