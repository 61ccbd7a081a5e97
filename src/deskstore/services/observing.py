"""Use cases of many units of work, told as one operation where the storage is observed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from attrs import fields, has

from deskstore.domain import identifiers
from deskstore.domain.errors import InvalidIdentifier
from deskstore.domain.observing import UNDER_WAY, Fact, Observed, Operation, Sight, Sort

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage

P = ParamSpec("P")
T = TypeVar("T")

Work = Coroutine[Any, Any, T]  # Any: what asyncio sends into a coroutine, and what that yields, is between the two
UseCase = Callable[P, Work[T]]
Telling = Callable[[Observed, str, Mapping[str, object], Work[T]], Work[T]]


def use_case(function: UseCase[P, T]) -> UseCase[P, T]:
    """
    The same function, which tells the observer of the storage that it is called with, if there is one.

    For those that take many units: they pay for one more call in a run. A use case of one unit is told by that unit itself.
    """
    return _wrapped(function, _told)


def endless_use_case(function: UseCase[P, T]) -> UseCase[P, T]:
    """
    The same for a use case that may go on for as long as its process: what it calls is no part of it, and is told as if it stood alone.

    A trace of all that a worker did in a week would be of no use, and its span is told at the end.
    """
    return _wrapped(function, _told_apart)


def claim_in_hand(storage: Storage, company_id: str) -> AbstractContextManager[Sight] | None:
    """What watches a ticket for as long as a worker has it in its hands; None where nobody watches."""
    if not isinstance(storage, Observed):
        return None
    operation = Operation(sort=Sort.CLAIM, name="claim", adapter=storage.adapter, is_side=storage.is_side, company_id=company_id)
    return storage.observer.operation(operation)


def _wrapped(function: UseCase[P, T], tell: Telling[T]) -> UseCase[P, T]:
    @wraps(function)
    async def told(*args: P.args, **named: P.kwargs) -> T:
        storage = args[0] if args else next(iter(named.values()), None)
        if not isinstance(storage, Observed):
            return await function(*args, **named)
        given = dict(zip(function.__code__.co_varnames, args, strict=False)) | named
        return await tell(storage, function.__name__, given, function(*args, **named))

    return told


async def _told(storage: Observed, name: str, given: Mapping[str, object], work: Work[T]) -> T:
    token = UNDER_WAY.set(name)
    try:
        return await _reported(storage, name, given, work, is_current=True)
    finally:
        UNDER_WAY.reset(token)


async def _told_apart(storage: Observed, name: str, given: Mapping[str, object], work: Work[T]) -> T:
    return await _reported(storage, name, given, work, is_current=False)


async def _reported(storage: Observed, name: str, given: Mapping[str, object], work: Work[T], *, is_current: bool) -> T:
    operation = Operation(sort=Sort.USE_CASE, name=name, adapter=storage.adapter, company_id=_company(given))
    with storage.observer.operation(operation, is_current=is_current) as sight:
        sight.tell({}, platform=_platform(given))
        result = await work
        sight.tell(numbers(result))
        return result


def numbers(result: object) -> dict[str, Fact]:
    """The numbers of a report, those of its parts among them; no text, no list, no name of anything."""
    kind = type(result)
    if not has(kind):
        return {}
    found: dict[str, Fact] = {}
    for one in fields(kind):
        value: object = getattr(result, one.name)
        found |= {one.name: value} if isinstance(value, int | float) else numbers(value)
    return found


def _company(given: Mapping[str, object]) -> str | None:
    """The company that was named; what breaks the rules for names may hold anything, and is not told."""
    with suppress(InvalidIdentifier):
        return identifiers.company_id(given.get("company_id"))
    return None


def _platform(given: Mapping[str, object]) -> str | None:
    with suppress(InvalidIdentifier):
        return identifiers.platform(given.get("platform"))
    return None
