"""One company in a storage, with the steps that tests take there: each is one unit of work."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Self, TypeVar, cast

from attrs import evolve, frozen

from deskstore.domain.changes import Committed
from deskstore.domain.identifiers import TICKET, Key
from deskstore.domain.ports import Replica, Storage, UnitOfWork
from deskstore.domain.processing import Checkpoint, PlatformStats, Processing, Progress
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import StaleSummary, Summary
from deskstore.domain.suppressions import Suppression
from deskstore.domain.things import Thing
from deskstore.testing.makers import PLATFORM, a_checkpoint, a_summary, a_suppression, a_ticket, an_article, incoming

R = TypeVar("R", bound=Ticket | Article)
LEASE: Final = timedelta(seconds=60)
_GONE: Final = a_suppression()


@frozen(kw_only=True)
class Everything:
    """All that can be read of a company, for comparing before with after."""

    tickets: Sequence[Ticket]
    articles: Sequence[Article]
    processing: Sequence[Processing]
    summaries: Sequence[Summary]
    checkpoint: Checkpoint | None
    suppression: Suppression | None
    progress: Sequence[Progress]
    stats: Sequence[PlatformStats]

    @property
    def records(self) -> Sequence[Ticket | Article]:
        """Tickets and articles."""
        return [*self.tickets, *self.articles]


@frozen
class Desk:
    """One company in a storage."""

    storage: Storage
    company_id: str

    def unit(self) -> UnitOfWork:
        """A unit of work of this company."""
        return self.storage.unit_of_work(self.company_id)

    def replica(self) -> Replica:
        """This company as raw copies."""
        return self.storage.replica(self.company_id)

    async def keep(self, *records: Ticket | Article) -> Committed:
        """Save these records in one unit."""
        async with self.unit() as uow:
            for record in records:
                _save(uow, record)
            return await uow.commit()

    async def kept(self, record: R) -> R:
        """Save a record, and give it back as it can be read then."""
        await self.keep(record)
        found = await self.find(record.key)
        assert isinstance(found, type(record)), f"{record.key} was saved and is {found}"
        return found

    async def received(self, record: R, text: str, *, note: str = "", payload: bytes | None = None) -> R:
        """Save a read record with another text, and give it back as it can be read then."""
        came = incoming(record.key, text, note=note, payload=payload)
        changed = record.receive(came, now=self.storage.clock())
        return await self.kept(cast(R, changed))

    async def find(self, key: Key) -> Ticket | Article | None:
        """The record, or None."""
        async with self.unit() as uow:
            if key.kind == TICKET:
                return await uow.tickets.find(key.platform, key.id)
            return await uow.articles.find(key.platform, key.id, key.locale)

    async def copied(self, key: Key) -> Ticket | Article | None:
        """The record as this store holds it, also of a company that lives in another one; None where it holds none."""
        (copy,) = await self.replica().read([Thing(key.kind, *key)])
        return copy.value if isinstance(copy.value, Ticket | Article) else None

    async def delete(self, record: Ticket | Article) -> None:
        """Remove a record that was read."""
        async with self.unit() as uow:
            if isinstance(record, Article):
                uow.articles.delete(record.key, version=record.version)
            else:
                uow.tickets.delete(record.key, version=record.version)
            await uow.commit()

    async def processing(self, key: Key) -> Processing:
        """The processing of a ticket that exists."""
        async with self.unit() as uow:
            found = await uow.progress.find(key.platform, key.id)
        assert found is not None, f"{key} has no processing"
        return found

    async def settle(self, processing: Processing, token: str | None = None) -> Processing:
        """Save how far a ticket has come, and give it back as it can be read then."""
        async with self.unit() as uow:
            uow.progress.save(processing, token=token)
            await uow.commit()
        return await self.processing(processing.key)

    async def claim(
        self, n: int = 1, *, worker: str = "worker 1", lease: timedelta = LEASE, platform: str = PLATFORM
    ) -> Sequence[Processing]:
        """Take up to n tickets."""
        return await self.storage.claim(self.company_id, platform, n, worker=worker, lease=lease)

    async def claimed(self, *, worker: str = "worker 1") -> tuple[Processing, str]:
        """Take the next ticket, of which there must be one, with its token."""
        (taken,) = await self.claim(worker=worker)
        return taken, token_of(taken)

    async def summarise(self, *summaries: Summary) -> Sequence[Summary]:
        """Add these summaries in one unit, and say how they were kept."""
        async with self.unit() as uow:
            for summary in summaries:
                uow.summaries.add(summary)
            return (await uow.commit()).summaries

    async def history(self, key: Key) -> Sequence[Summary]:
        """All summaries of a record."""
        async with self.unit() as uow:
            return await uow.summaries.history(key)

    async def current(self, key: Key) -> Summary | None:
        """The current summary of a record."""
        async with self.unit() as uow:
            return await uow.summaries.current(key)

    async def stale(self, platform: str | None = None) -> Sequence[StaleSummary]:
        """All records whose current summary is of another text."""
        async with self.unit() as uow:
            return [one async for one in uow.summaries.stale(platform)]

    async def progress(self, platform: str = PLATFORM) -> Progress:
        """How far a platform's tickets have come."""
        async with self.unit() as uow:
            return await uow.progress.progress(platform)

    async def keep_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Save how far a stream has been read."""
        async with self.unit() as uow:
            uow.progress.save_checkpoint(checkpoint)
            await uow.commit()

    async def checkpoint(self, platform: str = PLATFORM, stream: str = "tickets") -> Checkpoint | None:
        """How far a stream has been read."""
        async with self.unit() as uow:
            return await uow.progress.checkpoint(platform, stream)

    async def suppress(self, suppression: Suppression) -> None:
        """Keep a requester's tickets out."""
        async with self.unit() as uow:
            uow.suppressions.save(suppression)
            await uow.commit()

    async def lift(self, suppression: Suppression) -> None:
        """Let a requester's tickets in again."""
        async with self.unit() as uow:
            uow.suppressions.lift(suppression.name)
            await uow.commit()

    async def everything(self) -> Everything:
        """All that can be read of this company."""
        async with self.unit() as uow:
            tickets = [ticket async for ticket in uow.tickets.stream()]
            articles = [article async for article in uow.articles.stream()]
            keys = [ticket.key for ticket in tickets] + [article.key for article in articles]
            stats = await uow.progress.stats()
            return Everything(
                tickets=tickets,
                articles=articles,
                processing=list((await uow.progress.find_many([ticket.key for ticket in tickets])).values()),
                summaries=[summary for key in keys for summary in await uow.summaries.history(key)],
                checkpoint=await uow.progress.checkpoint(PLATFORM, "tickets"),
                suppression=(await uow.suppressions.find_many([_GONE.name])).get(_GONE.name),
                progress=[await uow.progress.progress(one.platform) for one in stats],
                stats=list(stats),
            )

    async def fill(self, text: str) -> Self:
        """Keep tickets and articles 1, 2 and 3, summaries and a checkpoint, whose every content is this text, and a requester out."""
        ids = ("1", "2", "3")
        await self.keep(*(a_ticket(one, text=text) for one in ids), *(an_article(one, text=text) for one in ids))
        await self.summarise(*(a_summary(a_ticket(one).key, text) for one in ids), a_summary(an_article("1").key, text))
        await self.keep_checkpoint(a_checkpoint(text))
        await self.suppress(_GONE)
        return self

    async def attach_mirror(self) -> None:
        """Say that another store follows this one, so that every commit is owed to it."""
        state = await self.replica().state()
        assert state is not None, "only a company that has been saved to can have a mirror"
        assert await self.replica().compare_and_set_state(state, evolve(state, mirror="another store"))


def token_of(processing: Processing) -> str:
    """The token of a claimed ticket."""
    assert processing.claim is not None, f"{processing.key} is not claimed"
    return processing.claim.token


def _save(uow: UnitOfWork, record: Ticket | Article) -> None:
    if isinstance(record, Ticket):
        uow.tickets.save(record)
    else:
        uow.articles.save(record)
