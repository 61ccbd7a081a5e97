"""A storage in which somebody else saves a ticket just before each of our commits."""

from collections.abc import Collection, Mapping

from attrs import evolve

from deskstore.adapters.memory import MemoryBackend, MemoryStorage, MemoryTickets
from deskstore.domain.changes import Changes, Committed, SaveRecord
from deskstore.domain.identifiers import TICKET, Key
from deskstore.domain.ports import BeforeCommit
from deskstore.domain.receiving import Head
from deskstore.domain.records import Ticket, new_ticket
from deskstore.formats import platforms


class RacingStorage(MemoryStorage):
    """
    Loses so many races for ticket 0 on freshdesk, and notes how many heads each attempt read.

    A rival changes the ticket while a commit that holds it is on its way.
    """

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds
        self.asked_for: list[int] = []

    def backend(self, company_id: str) -> MemoryBackend:
        return _RacingBackend(self, company_id)


class _RacingBackend(MemoryBackend):
    def __init__(self, storage: RacingStorage, company_id: str) -> None:
        super().__init__(storage, company_id)
        self.racing = storage
        self.tickets = _CountingTickets(self, storage)  # type: ignore[misc]  # a test may look on

    async def apply(self, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        if self.racing.rounds and any(change.key.id == "0" for change in changes.records):
            self.racing.rounds -= 1
            await super().apply(Changes(records=(SaveRecord(self.rival()),)))
        return await super().apply(changes, before_commit)

    def rival(self) -> Ticket:
        known = self.company.record(Key(TICKET, "freshdesk", "0"))
        payload = b'{"id":0,"round":%d}' % self.racing.rounds
        made = new_ticket(platforms.ticket("freshdesk", payload), now=self.racing.clock())
        return evolve(made, version=known.version if known else 0)


class _CountingTickets(MemoryTickets):
    def __init__(self, backend: MemoryBackend, racing: RacingStorage) -> None:
        super().__init__(backend, TICKET, Ticket)
        self._racing = racing

    async def heads(self, keys: Collection[Key]) -> Mapping[Key, Head]:
        self._racing.asked_for.append(len(keys))
        return await super().heads(keys)
