"""Use cases of many units of work, told as one operation where the storage is observed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from attrs import fields, has

from deskstore.domain import identifiers
from deskstore.domain.errors import InvalidIdentifier
from deskstore.domain.observing import UNDER_WAY, Fact, Observed, Operation, Sort

P = ParamSpec("P")
T = TypeVar("T")

UseCase = Callable[P, Coroutine[Any, Any, T]]  # Any: what asyncio sends into a coroutine, and what that yields, is between the two


def use_case(function: UseCase[P, T]) -> UseCase[P, T]:
    """
    The same function, which tells the observer of the storage that it is called with, if there is one.

    For those that take many units: they pay for one more call in a run. A use case of one unit is told by that unit itself.
    """

    @wraps(function)
    async def told(*args: P.args, **named: P.kwargs) -> T:
        storage = args[0] if args else next(iter(named.values()), None)
        if not isinstance(storage, Observed):
            return await function(*args, **named)
        given = dict(zip(function.__code__.co_varnames, args, strict=False)) | named
        return await _told(storage, function.__name__, given, function(*args, **named))

    return told


async def _told(storage: Observed, name: str, given: Mapping[str, object], work: Coroutine[Any, Any, T]) -> T:  # Any: as above
    operation = Operation(sort=Sort.USE_CASE, name=name, adapter=storage.adapter, company_id=_company(given))
    token = UNDER_WAY.set(name)
    try:
        with storage.observer.operation(operation) as sight:
            sight.tell({}, platform=_platform(given))
            result = await work
            sight.tell(numbers(result))
            return result
    finally:
        UNDER_WAY.reset(token)


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
