"""
The kit catches every breach of a promise, and nothing else: each saboteur breaks what it names, and only that is found.

A saboteur is run against every promise it names, and against a sample of the others, another one with each seed; with
`--hypothesis-profile=full` against all of them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import settings

from deskstore.adapters.memory import MemoryStorage
from deskstore.testing import contract
from deskstore.testing.contract import replica
from tests.contract import saboteurs
from tests.contract.running import Promise, promises
from tests.contract.saboteurs.base import Saboteur

PROMISES = {promise.name: promise for promise in promises()}
SAMPLE = 8
COSTLY = {
    "test_a_document_may_be_as_deep_and_as_long_as_the_rule_allows_and_no_more",
    "test_a_payload_of_the_largest_size_comes_back_byte_for_byte",
    "test_a_stream_of_many_records_is_whole",
    "test_a_unit_of_ten_thousand_changes_is_kept_whole",
    "test_a_unit_refuses_more_than_ten_thousand_changes",
    "test_hostile_company_ids_are_distinct_companies",
    "test_hostile_names_are_distinct_platforms_ids_and_locales",
}


def _saboteurs() -> Iterator[type[Saboteur]]:
    for found in pkgutil.iter_modules(saboteurs.__path__):
        module = importlib.import_module(f"{saboteurs.__name__}.{found.name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Saboteur) and value.__module__ == module.__name__ and "breaks" in vars(value):
                yield value


SABOTEURS = list(_saboteurs())


def _named_by(saboteur: type[Saboteur]) -> set[str]:
    return {promise.__name__ for promise in saboteur.breaks}


def _tried_on(saboteur: type[Saboteur], random: Random) -> set[str]:
    if settings.get_current_profile_name() == "full":
        return set(PROMISES)
    return _named_by(saboteur) | set(random.sample(sorted(PROMISES.keys() - COSTLY), SAMPLE))


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=lambda saboteur: saboteur.__name__)
async def test_what_a_saboteur_breaks_is_found_and_nothing_else(saboteur: type[Saboteur], seed: int) -> None:
    tried = _tried_on(saboteur, Random(f"{seed} {saboteur.__name__}"))

    breaches = {name: await PROMISES[name].breach(saboteur) for name in sorted(tried)}

    assert {name for name, breach in breaches.items() if breach} == _named_by(saboteur), breaches


@pytest.mark.parametrize("promise", PROMISES.values(), ids=PROMISES)
async def test_a_storage_that_breaks_nothing_keeps_the_promise(promise: Promise) -> None:
    assert await promise.breach(MemoryStorage) is None


def test_every_promise_is_broken_by_some_saboteur() -> None:
    named = set[str]().union(*(_named_by(saboteur) for saboteur in SABOTEURS))

    assert named == PROMISES.keys()


def test_no_two_promises_have_one_name() -> None:
    names = Counter(promise.name for promise in promises())

    assert [name for name, count in names.items() if count > 1] == []


def test_the_kit_exports_every_promise_but_those_of_replicas() -> None:
    promised = {promise.name for promise in PROMISES.values() if promise.function.__module__ != replica.__name__}

    assert {name for name in contract.__all__ if name.startswith("test_")} == promised
