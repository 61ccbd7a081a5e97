"""What a saboteur is made of: a memory storage in which one thing goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, TypeVar

from attrs import evolve

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.changes import Changes, Committed, SaveProcessing, SaveRecord
from deskstore.domain.identifiers import Key
from deskstore.domain.mirror import Thing, Value
from deskstore.domain.ports import Backend, BeforeCommit, UnitOfWork
from deskstore.domain.processing import Processing
from deskstore.domain.records import Article, Ticket
from deskstore.domain.unit import BufferedUnit
from deskstore.domain.wrapping import WrappedStorage

Promise = Callable[..., object]
R = TypeVar("R", Ticket, Article)


class Saboteur(WrappedStorage):
    """A memory storage that breaks what `breaks` names, and nothing else."""

    breaks: ClassVar[tuple[Promise, ...]]

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(MemoryStorage(clock))

    @property
    def memory(self) -> MemoryStorage:
        """The storage beneath, as what it is."""
        assert isinstance(self.beneath, MemoryStorage)
        return self.beneath

    def values(self, company_id: str) -> dict[Thing, Value]:
        """All that is kept of a company, open to tampering."""
        found = self.memory.known(company_id)
        return found.values if found else {}

    def known(self) -> list[str]:
        """The companies that are known."""
        return list(vars(self.memory)["_companies"])

    def processing_of(self, company_id: str, key: Key) -> Processing | None:
        """The processing of a ticket as it stands."""
        value = self.values(company_id).get(Thing("processing", *key))
        return value if isinstance(value, Processing) else None

    def record_of(self, company_id: str, key: Key) -> Ticket | Article | None:
        """A record as it stands."""
        value = self.values(company_id).get(Thing(key.kind, *key))
        return value if isinstance(value, Ticket | Article) else None


class SabotagedChanges(Saboteur):
    """Changes are tampered with before they are applied, or the storage is afterwards."""

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        before = dict(self.values(backend.company_id))
        committed = await super().apply(backend, self.tampered(backend.company_id, changes), before_commit)
        return self.after(backend.company_id, changes, committed, before)

    def tampered(self, company_id: str, changes: Changes) -> Changes:
        """The changes that are applied instead."""
        return changes

    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        """What is told of the commit; the storage may be tampered with."""
        return committed


class SabotagedUnits(Saboteur):
    """Units of work are of another class."""

    Unit: ClassVar[type[BufferedUnit]] = BufferedUnit

    def unit_of_work(self, company_id: str) -> UnitOfWork:
        return self.Unit(self.backend(company_id))


class SabotagedParts(Saboteur):
    """Repositories of a unit of work are of other classes."""

    parts: ClassVar[Mapping[str, type[Any]]]  # Any: repositories of four kinds

    def unit_of_work(self, company_id: str) -> UnitOfWork:
        backend = self.backend(company_id)
        parts = {name: property(partial(_made, part, getattr(backend, name))) for name, part in self.parts.items()}
        made: type[BufferedUnit] = type("Unit", (BufferedUnit,), parts)
        return made(backend)


def _made(part: Callable[[BufferedUnit, object], object], reads: object, unit: BufferedUnit) -> object:
    return part(unit, reads)


def with_records(changes: Changes, change: Callable[[Ticket | Article], Ticket | Article]) -> Changes:
    """The changes with other records."""
    return evolve(changes, records=tuple(SaveRecord(change(one.record)) for one in changes.records))


def with_processing(changes: Changes, change: Callable[[SaveProcessing], SaveProcessing]) -> Changes:
    """The changes with other processing."""
    return evolve(changes, processing=tuple(change(one) for one in changes.processing))
