"""
What may be told of the work that is done: to one observer, in names, numbers and closed lists of words, and never in a record's own text.

A storage that is observed says so by its class; nothing else knows whether anybody watches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from enum import StrEnum
from typing import Final, Protocol

from attrs import frozen

Fact = int | float | StrEnum
"""What can be told beside names: no free text is among it, so that none gets out."""

Figures = Mapping[str, float]
"""Numbers of this process by their names, as they stand."""


class Sort(StrEnum):
    """What an operation is to whoever watches."""

    USE_CASE = "use_case"  #: what an application asked for
    BATCH = "batch"  #: one unit of work of a use case that takes many
    CLAIM = "claim"  #: a ticket in the hands of a worker
    STORAGE = "storage"  #: what a storage was asked for on the way


@frozen(kw_only=True)
class Operation:
    """Something that is carried out."""

    sort: Sort
    name: str  #: "import_records", "commit"
    adapter: str  #: of the storage: "file", "hybrid", "postgresql"
    is_side: bool = False  #: whether that storage is one of two in another one, which tells the same
    company_id: str | None = None  #: one that keeps the rules for names, or None


class Sight(Protocol):
    """One operation as its observer sees it."""

    def tell(self, facts: Mapping[str, Fact], *, platform: str | None = None) -> None:
        """Note what is known of it by now."""
        ...


class Observer(Protocol):
    """Who is told; whatever becomes of that, it raises nothing and keeps nobody waiting."""

    def operation(self, operation: Operation, *, within: Sight | None = None, is_current: bool = True) -> AbstractContextManager[Sight]:
        """
        Watch an operation for as long as the block lasts; an error that leaves the block is told by its class alone.

        Args:
            within: The operation that it is a part of; without it, the one that is current.
            is_current: Whether what the block calls is a part of it by itself; not for blocks that other code runs in the middle of.
        """
        ...

    def watch(self, figures: Callable[[], Figures]) -> Callable[[], None]:
        """Look at these figures from time to time, from any thread, until what is given back is called."""
        ...


class Observed:
    """A storage that tells an observer what it does."""

    def __init__(self, observer: Observer, adapter: str, *, is_side: bool) -> None:
        self.observer: Final = observer
        self.adapter: Final = adapter
        self.is_side: Final = is_side


UNDER_WAY: Final = ContextVar[str | None]("deskstore use case", default=None)
"""The use case of many units that is being carried out: these are its batches."""
