"""
A company as it should be, made of plain dictionaries, and whether a storage agrees with it.

It is written from the rules alone and shares no decision with any storage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from attrs import Factory, define, evolve

from deskstore.domain.identifiers import ARTICLE, TICKET, Key
from deskstore.domain.paging import EVERYTHING
from deskstore.domain.processing import COMPLETED, FAILED, PENDING, PROCESSING
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.services.requeuing import list_claims
from deskstore.testing.desk import LEASE, Desk
from deskstore.testing.makers import PLATFORM, digest

KEYS: Final = (
    *(Key(TICKET, PLATFORM, ticket_id) for ticket_id in ("1", "B", "e\u0301")),
    Key(TICKET, "jira", "1"),
    *(Key(ARTICLE, PLATFORM, "1", locale) for locale in ("", "ko")),
)
SKEW: Final = timedelta(seconds=5)
BY_HAND: Final = timedelta(minutes=15) + SKEW  #: how long a ticket is left alone that somebody works on without a claim
NEXT: Final = {
    "pending": {"processing", "completed", "failed"},
    "processing": {"completed", "failed", "pending"},
    "failed": {"pending", "processing"},
    "completed": {"pending"},
}


@define(kw_only=True)
class Work:
    """How far a ticket has come, in the model."""

    status: str = "pending"
    attempts: int = 0
    token: str | None = None
    claimed_text: str = ""
    again_at: datetime | None

    def is_claimed(self, now: datetime) -> bool:
        """Whether a claim lives."""
        return self.token is not None and self.again_at is not None and now < self.again_at


@define(kw_only=True)
class Kept:
    """A record in the model."""

    text: str
    payload: bytes
    created_at: datetime
    version: int
    work: Work | None
    summaries: list[Summary] = Factory(list[Summary])

    def settle(self, work: Work, how: str, now: datetime) -> None:
        """Do what a worker did with the ticket; text that changed meanwhile makes it pending again."""
        if how == "renew":
            work.again_at = now + LEASE + SKEW
            return
        if how != "release" and self.text != work.claimed_text:
            self.work = Work(again_at=now, claimed_text=work.claimed_text)
            return
        work.token = None
        work.status = {"complete": "completed", "fail": "failed", "retry": "failed", "release": "pending"}[how]
        work.again_at = {"complete": None, "fail": None, "retry": now + LEASE, "release": now}[how]

    def summarise(self, summary: Summary) -> None:
        """Add a summary, under the number that it must get."""
        self.summaries.append(evolve(summary, number=len(self.summaries) + 1))


@define
class Model:
    """A company as it should be."""

    desk: Desk
    kept: dict[Key, Kept] = Factory(dict[Key, Kept])
    newest: dict[Key, int] = Factory(dict[Key, int])  #: the highest version ever seen of each record
    cursor: str | None = None

    def tickets(self, platform: str) -> list[tuple[Key, Work]]:
        """The tickets of a platform that should be there, with their work."""
        return [(key, one.work) for key, one in sorted(self.kept.items(), key=_first) if one.work is not None and key.platform == platform]

    def save(self, record: Ticket | Article, version: int, text: str, now: datetime) -> None:
        """Keep a record that a storage gave this version; changed text makes a ticket pending again that nobody holds."""
        key, kept = record.key, self.kept.get(record.key)
        assert version > self.newest.get(key, 0), "a version was given again"
        self.newest[key] = version
        work = kept.work if kept else None
        if key.kind == TICKET and (work is None or (kept is not None and text != kept.text and not work.is_claimed(now))):
            work = Work(again_at=now)
        self.kept[key] = Kept(
            text=text,
            payload=record.payload,
            created_at=created_at_of(key),
            version=version,
            work=work,
            summaries=kept.summaries if kept else [],
        )


def _first(item: tuple[Key, object]) -> Key:
    return item[0]


def created_at_of(key: Key) -> datetime:
    """Two records each of one moment, so that their names must break the tie."""
    return datetime.fromisoformat(f"2026-01-01T00:00:0{KEYS.index(key) // 2}+00:00")


async def agree(model: Model) -> None:
    """Compare all that can be read of a company with what should be there."""
    found = await model.desk.everything()
    assert {one.key: (one.payload, one.version) for one in found.records} == {
        key: (one.payload, one.version) for key, one in model.kept.items()
    }
    assert [one.key for one in found.records] == sorted(one for one in model.kept if one.kind == TICKET) + sorted(
        one for one in model.kept if one.kind == ARTICLE
    )
    stands = {
        one.key: (one.status.value, one.attempts, one.claim.token if one.claim else None, one.claimable_at) for one in found.processing
    }
    works = {key: one.work for key, one in model.kept.items() if one.work is not None}
    assert stands == {key: (one.status, one.attempts, one.token, one.again_at) for key, one in works.items()}
    assert (found.checkpoint.cursor if found.checkpoint else None) == model.cursor
    _same_summaries(found.summaries, model)
    await _same_stale(model)
    await _same_counts(model)
    await _same_pages(model)


def _same_summaries(found: Iterable[Summary], model: Model) -> None:
    kept = [(one.key, one.number, one.content, one.source_digest, one.pinned) for one in found]
    expected = [
        one for _, record in sorted(model.kept.items(), key=lambda item: (item[0].kind == ARTICLE, item[0])) for one in record.summaries
    ]
    assert kept == [(one.key, one.number, one.content, one.source_digest, one.pinned) for one in expected]


async def same_claims(model: Model) -> None:
    """Compare the tickets in the hands of workers with those that should be."""
    found = [one.key async for one in list_claims(model.desk.storage, model.desk.company_id)]
    assert found == sorted(key for key, one in model.kept.items() if one.work is not None and one.work.status == "processing")


async def _same_stale(model: Model) -> None:
    """Of each record with a summary the last pinned one counts, else the last."""
    shown = {key: max(one.summaries, key=lambda one: (one.pinned, one.number)) for key, one in model.kept.items() if one.summaries}
    expected = sorted(key for key, summary in shown.items() if summary.source_digest != digest(model.kept[key].text))
    assert [one.key for one in await model.desk.stale()] == expected


async def _same_counts(model: Model) -> None:
    for platform in (PLATFORM, "jira"):
        counts = Counter(work.status for _, work in model.tickets(platform))
        progress = await model.desk.progress(platform)
        told = {PENDING: progress.pending, PROCESSING: progress.processing, COMPLETED: progress.completed, FAILED: progress.failed}
        assert {status.value: count for status, count in told.items() if count} == dict(counts)


async def _same_pages(model: Model) -> None:
    expected = sorted((key for key in model.kept if key.kind == TICKET), key=lambda key: (model.kept[key].created_at, key), reverse=True)
    after, found = None, list[Key]()
    async with model.desk.unit() as uow:
        while True:
            page = await uow.tickets.page(EVERYTHING, after=after, limit=2)
            found += [ticket.key for ticket in page.items]
            after = page.next
            if after is None:
                break
    assert found == expected
