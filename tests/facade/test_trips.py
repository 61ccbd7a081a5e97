"""How often an operation goes to the storage."""

from collections.abc import Collection, Mapping
from typing import TypeVar

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.changes import Changes, Committed
from deskstore.domain.identifiers import Key
from deskstore.domain.paging import Filter, Page
from deskstore.domain.ports import Backend, BeforeCommit, ProgressReads, RecordReads, Storage, SummaryReads
from deskstore.domain.processing import Processing
from deskstore.domain.receiving import Head
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.wrapping import WrappedStorage
from deskstore.facade import DictStorage
from deskstore.services.tickets import save_tickets
from tests.payloads import freshdesk

ACME = "acme"
R = TypeVar("R", Ticket, Article)


class CountingStorage(WrappedStorage):
    """Notes each trip."""

    def __init__(self, beneath: Storage) -> None:
        super().__init__(beneath)
        self.trips: list[str] = []

    async def find_many(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, R]:
        self.trips.append("find")
        return await super().find_many(reads, keys)

    async def heads(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, Head]:
        self.trips.append("heads")
        return await super().heads(reads, keys)

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        self.trips.append("commit")
        return await super().apply(backend, changes, before_commit)

    async def page(self, reads: RecordReads[R], where: Filter, after: str | None, limit: int) -> Page[R]:
        self.trips.append(f"page of {limit}")
        return await super().page(reads, where, after, limit)

    async def page_at(self, reads: RecordReads[R], where: Filter, offset: int, limit: int) -> Page[R]:
        self.trips.append(f"page of {limit} at {offset}")
        return await super().page_at(reads, where, offset, limit)

    async def current_many(self, reads: SummaryReads, keys: Collection[Key]) -> Mapping[Key, Summary]:
        self.trips.append("summaries")
        return await super().current_many(reads, keys)

    async def processing(self, reads: ProgressReads, keys: Collection[Key]) -> Mapping[Key, Processing]:
        self.trips.append("processing")
        return await super().processing(reads, keys)


async def test_a_save_looks_once_and_a_second_time_only_where_other_bytes_are_stored(storage: Storage) -> None:
    counting = CountingStorage(storage)
    desk = DictStorage(counting)

    await desk.save_ticket(ACME, "freshdesk", freshdesk())
    await desk.save_ticket(ACME, "freshdesk", freshdesk())
    as_new_and_unchanged, counting.trips = counting.trips, []
    await desk.save_ticket(ACME, "freshdesk", freshdesk(priority=4))

    assert as_new_and_unchanged == ["heads", "commit", "heads"]
    assert counting.trips == ["heads", "find", "commit"]


async def test_a_page_is_three_trips(storage: Storage) -> None:
    counting = CountingStorage(storage)
    await save_tickets(storage, ACME, "freshdesk", [freshdesk(number) for number in range(40)])

    found = await DictStorage(counting).list_tickets(ACME, limit=30, offset=3)

    assert (len(found), counting.trips) == (30, ["page of 30 at 3", "processing", "summaries"])


async def test_a_list_longer_than_a_page_is_several_pages() -> None:
    storage = MemoryStorage()
    counting = CountingStorage(storage)
    await save_tickets(storage, ACME, "freshdesk", [freshdesk(number) for number in range(1_005)])

    found = await DictStorage(counting).list_tickets(ACME, limit=10_000, offset=1)

    assert len({one["id"] for one in found}) == len(found) == 1_004
    assert counting.trips == ["page of 1000 at 1", "processing", "summaries", "page of 1000", "processing", "summaries"]
    await storage.aclose()


async def test_an_empty_list_is_one_trip_and_a_ticket_three(storage: Storage) -> None:
    counting = CountingStorage(storage)
    desk = DictStorage(counting)
    await save_tickets(storage, ACME, "freshdesk", [freshdesk()])

    await desk.list_tickets(ACME, "zendesk")
    await desk.get_ticket(ACME, "freshdesk", "42")

    assert counting.trips == ["page of 100 at 0", "find", "processing", "summaries"]
