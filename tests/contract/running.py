"""Running the kit's promises without pytest, so that all of them can be run against many storages."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Coroutine, Iterator, Mapping
from itertools import product
from typing import Any

import pytest
from attrs import frozen

from deskstore.domain.ports import Storage
from deskstore.testing import contract
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk

Arguments = Mapping[str, Any]  # Any: whatever a parameter may be
Function = Callable[..., Any]  # Any: promises are called by the names of their fixtures
OpenStorage = Callable[[ManualClock], Storage]


@frozen
class Promise:
    """One test function of the kit, with the arguments of each of its cases; of a property, its pinned examples."""

    name: str
    function: Callable[..., Coroutine[object, object, None]]
    cases: tuple[Arguments, ...]

    async def breach(self, open_storage: OpenStorage) -> BaseException | None:
        """
        The first failure of any case, each against a storage of its own, or None when the promise is kept.

        TypeError, AttributeError and NameError come out: they are mistakes in the saboteur itself.
        """
        for case in self.cases:
            try:
                await asyncio.wait_for(self.function(**_fixtures(self.function, open_storage), **case), 60)
            except (TypeError, AttributeError, NameError):
                raise
            except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - a broken storage may raise anything
                return error
        return None


async def breach_of(promise: Promise, open_storage: OpenStorage) -> BaseException | None:
    """How a storage breaks a promise, if it does; every one that was opened is closed."""
    opened = list[Storage]()

    def noted(clock: ManualClock) -> Storage:
        opened.append(open_storage(clock))
        return opened[-1]

    try:
        return await promise.breach(noted)
    finally:
        for storage in opened:
            await storage.aclose()


def promises() -> list[Promise]:
    """Every promise of the kit, those of replicas among them."""
    modules = [importlib.import_module(f"{contract.__name__}.{found.name}") for found in pkgutil.iter_modules(contract.__path__)]
    return [_promise(function) for module in modules for function in _tests_of(module)]


def _tests_of(module: object) -> Iterator[Function]:
    for name, function in vars(module).items():
        if name.startswith("test_") and function.__module__ == vars(module)["__name__"]:
            yield function


def _promise(function: Function) -> Promise:
    hypothesis = getattr(function, "hypothesis", None)
    if hypothesis is None:
        return Promise(function.__name__, function, tuple(_cases(function)))
    pinned = getattr(function, "hypothesis_explicit_examples", ())
    cases = tuple(_named(hypothesis.inner_test, example) for example in pinned)
    assert cases, f"{function.__name__} has no pinned example"
    return Promise(function.__name__, hypothesis.inner_test, cases)


def _named(function: Function, example: Any) -> Arguments:  # Any: Hypothesis keeps the class of pinned examples to itself
    names = [name for name in inspect.signature(function).parameters if name not in _FIXTURES]
    return {**dict(zip(names[-len(example.args) :] if example.args else [], example.args, strict=True)), **example.kwargs}


def _cases(function: Function) -> Iterator[Arguments]:
    marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
    for chosen in product(*([_arguments(mark.args[0], values) for values in mark.args[1]] for mark in marks)):
        yield {name: value for arguments in chosen for name, value in arguments.items()}


def _arguments(names: str | tuple[str, ...], values: Any) -> Arguments:  # Any: one value or a tuple of them
    return {names: values} if isinstance(names, str) else dict(zip(names, values, strict=True))


_FIXTURES = ("clock", "company_id", "desk", "new_desk", "other_desk", "own_storage", "storage")


def _fixtures(function: Function, open_storage: OpenStorage) -> Arguments:
    clock = ManualClock()
    storage = open_storage(clock)
    desk = Desk(storage, a_new_company())
    made = {
        "clock": clock,
        "company_id": desk.company_id,
        "desk": desk,
        "new_desk": lambda: Desk(storage, a_new_company()),
        "other_desk": Desk(storage, a_new_company()),
        "own_storage": storage,
        "storage": storage,
    }
    return {name: made[name] for name in inspect.signature(function).parameters if name in made}
