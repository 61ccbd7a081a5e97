"""The names of keys: no two things share one, all of a company share a slot, and none reaches into another's."""

import re
from collections.abc import Callable
from itertools import product
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis.crc import key_slot

from deskstore.adapters.redis import names
from deskstore.adapters.redis.names import Names, Subject
from deskstore.domain.identifiers import Key, article_key, ticket_key
from deskstore.testing import strategies

UGLY: Final = ("a", "a:b", "b:c", "{a}", "a}", "{", "*", "[a-z]*", "a?", "\\", "~", "%3A", "%", "a b", "가", "a:b}:ticket:c")


def every_name(encoded: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of tickets and articles of ugly companies, platforms and ids, as an encoding makes them."""
    monkeypatch.setattr(names, "encoded", encoded)
    records = [("ticket", ticket_key(platform, number)) for platform, number in product(UGLY, UGLY)]
    records += [("article", article_key(platform, number, locale)) for platform, number, locale in product(UGLY, UGLY, ("", "ko", "a:b"))]
    return [Names(company).value("ticket" if kind == "ticket" else "article", key) for company in UGLY for kind, key in records]


def faults_of(made: list[str]) -> list[str]:
    """What is wrong with names: twice the same, or a character that means something to Redis."""
    twice = [] if len(set(made)) == len(made) else ["two things share a name"]
    open_ended = [name for name in made if not re.fullmatch(r"ds:v1:\{[A-Za-z0-9._~%-]+\}(:[A-Za-z0-9._~%-]*)+", name)]
    return twice + open_ended[:1]


def test_ugly_names_are_kept_apart_and_mean_nothing_to_a_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults_of(every_name(names.encoded, monkeypatch)) == []


def test_names_that_are_not_encoded_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults_of(every_name(str, monkeypatch)) != []


def test_a_colon_leads_from_no_company_or_platform_into_another() -> None:
    one = Names("a:b").value("ticket", ticket_key("c", "1"))
    other = Names("a").value("ticket", ticket_key("b:c", "1"))

    assert (one, other) == ("ds:v1:{a%3Ab}:ticket:c:1", "ds:v1:{a}:ticket:b%3Ac:1")


@given(strategies.company_ids(), st.one_of(strategies.ticket_keys(), strategies.article_keys()))
@example("{}", Key("ticket", "{x}", "}"))
def test_all_keys_of_a_company_share_one_slot(company_id: str, key: Key) -> None:
    made = Names(company_id)
    subjects: list[Subject] = ["summary", "article" if key.kind == "article" else "ticket"]

    slots = {key_slot(name.encode()) for subject in subjects for name in (made.value(subject, key), made.lease(subject, key))}

    assert slots == {key_slot(name.encode()) for name in (made.counts, *made.generations())}
