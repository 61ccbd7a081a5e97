"""The storage itself, and its units of work, which stand for the use cases that opened them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from inspect import ismethod
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from attrs import asdict

from deskstore.adapters.observing.asking import use_case
from deskstore.adapters.observing.company import ObservedCompany
from deskstore.adapters.observing.replica import ObservedReplica
from deskstore.adapters.observing.watch import Watch
from deskstore.domain import identifiers
from deskstore.domain.errors import UncommittedChanges
from deskstore.domain.observing import UNDER_WAY, Observed, Observer, Operation, Sort
from deskstore.domain.outcomes import UnitOutcome
from deskstore.domain.ports import Backend, Replica, ServingUnits, Storage
from deskstore.domain.receiving import Outcome
from deskstore.domain.unit import BufferedUnit
from deskstore.domain.wrapping import WrappedBackend, WrappedStorage

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deskstore.domain.erasures import Erasure
    from deskstore.domain.observing import Sight
    from deskstore.domain.processing import Processing


class ObservedStorage(WrappedStorage, Observed):
    """
    Another storage, and an observer who is told what it does.

    Args:
        adapter: What the observer knows it by.
        is_side: Whether it is one of two in another storage that is observed as well: what that one counts is not counted here again.
    """

    def __init__(self, beneath: Storage, observer: Observer, *, adapter: str, is_side: bool = False) -> None:
        WrappedStorage.__init__(self, beneath)
        Observed.__init__(self, observer, adapter, is_side=is_side)
        vars(self).update(offered_by(beneath))
        self._serves: bool | None = None
        self._stop_watching: Final = None if is_side else observer.watch(self.figures)

    def unit_of_work(self, company_id: str) -> BufferedUnit:
        """A unit of work of one company, told as the use case that opened it."""
        under_way = UNDER_WAY.get()
        sort, name = (Sort.BATCH, under_way) if under_way else (Sort.USE_CASE, use_case())
        beneath = self.beneath.backend(company_id)
        operation = Operation(sort=sort, name=name, adapter=self.adapter, is_side=self.is_side, company_id=beneath.company_id)
        watch = Watch(self, beneath.company_id)
        backend = self._backend(beneath, watch)
        unit = ObservedUnit(backend, self.observer.operation(operation, is_current=False), watch)
        if self._serves is None:
            self._serves = isinstance(beneath, ServingUnits)  # looked at once: it takes as long as a span
        if self._serves:
            backend.serve(unit)
        return unit

    def backend(self, company_id: str) -> Backend:
        """What the company's units of work stand on."""
        beneath = self.beneath.backend(company_id)
        return self._backend(beneath, Watch(self, beneath.company_id))

    def replica(self, company_id: str) -> Replica:
        """The company as raw copies."""
        return ObservedReplica(self.beneath.replica(company_id), self._watch(company_id))

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        """Take up to n tickets for a worker."""
        with self._asked(company_id, use_case()) as asked, Watch(self, company_id, within=asked).operation("claim") as sight:
            taken = await super().claim(company_id, platform, n, worker=worker, lease=lease)
            for one in (sight, asked):
                one.tell({"rows": len(taken), "taken": len(taken)}, platform=platform)
            return taken

    async def erase(self, company_id: str) -> Erasure | None:
        """Remove a company with all that is kept of it."""
        with self._asked(company_id, use_case()) as asked, Watch(self, company_id, within=asked).operation("erase"):
            erasure = await super().erase(company_id)
            if erasure is not None:
                asked.tell(asdict(erasure.removed))
            return erasure

    async def aclose(self) -> None:
        """Close the storage beneath; nobody looks at its figures any more."""
        if self._stop_watching is not None:
            self._stop_watching()
        await super().aclose()

    def _asked(self, company_id: str, name: str) -> AbstractContextManager[Sight]:
        """The use case that asks the storage itself, and opens no unit by which it could be told."""
        told = Operation(
            sort=Sort.USE_CASE, name=name, adapter=self.adapter, is_side=self.is_side, company_id=identifiers.company_id(company_id)
        )
        return self.observer.operation(told)

    def _watch(self, company_id: str) -> Watch:
        return Watch(self, identifiers.company_id(company_id))

    def _backend(self, beneath: Backend, watch: Watch) -> WrappedBackend:
        return WrappedBackend(ObservedCompany(self.beneath, watch), beneath)


def offered_by(storage: Storage) -> dict[str, object]:
    """What a storage offers beside Storage, by name: a look through it, the counts of a cache, a wait for a mirror."""
    beside = (name for name in dir(storage) if not name.startswith("_") and not hasattr(WrappedStorage, name))
    return {name: offer for name in beside if ismethod(offer := getattr(storage, name))}


class ObservedUnit(BufferedUnit):
    """A unit of work that is one operation from its first line to its last."""

    def __init__(self, backend: Backend, operation: AbstractContextManager[Sight], watch: Watch) -> None:
        super().__init__(backend)
        self._operation: Final = operation
        self._watch: Final = watch

    async def __aenter__(self) -> Self:
        self._watch.within = self._operation.__enter__()
        return await super().__aenter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /) -> None:
        left = error
        try:
            await super().__aexit__(kind, error, traceback)
        except UncommittedChanges as uncommitted:
            left = uncommitted
            raise
        finally:
            if self._watch.within is not None and self.outcome is UnitOutcome.COMMITTED and not self._watch.has_changed:
                self._watch.within.tell({"outcome": Outcome.UNCHANGED})
            self._operation.__exit__(type(left) if left else None, left, traceback)
