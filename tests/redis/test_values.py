"""Values as Redis keeps them: whole and for this very key, or none."""

from typing import Final

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from deskstore.adapters.redis.limits import MOST_BYTES
from deskstore.adapters.redis.names import Subject
from deskstore.adapters.redis.values import Seal, Value, packed, unpacked
from deskstore.domain.processing import Claim, fresh
from deskstore.domain.records import Article, SourceVersion, Ticket
from deskstore.domain.summaries import Summary
from deskstore.testing.clock import MORNING
from deskstore.testing.makers import a_summary, a_ticket, an_article, digest, fields

SEAL: Final = Seal(company_id="acme", generation=b"0f@1", epoch=3)
TICKET: Final = evolve(a_ticket(read=fields(source_version=SourceVersion("updated_at", 7))), version=5)
CLAIM: Final = Claim(worker="w", token="t" * 32, lease_until=MORNING, text_digest=digest("x"))
VALUES: Final[tuple[tuple[Subject, Value], ...]] = (
    ("ticket", TICKET),
    ("ticket", evolve(a_ticket(read=fields(status=None, created_at=None)), version=1)),
    ("article", evolve(an_article(locale="ko"), version=2)),
    ("summary", evolve(a_summary(TICKET.key, pinned=True), number=2, version=3)),
    ("summary", evolve(a_summary(TICKET.key), model=None, tokens=None, cost=None, number=1, version=3)),
    ("processing", fresh(TICKET.key, now=MORNING, version=4)),
    ("processing", fresh(TICKET.key, now=MORNING, version=4).claimed(CLAIM, now=MORNING)),
)


def kept(subject: Subject, value: Value) -> bytes:
    data = packed(subject, value.key, value, SEAL)
    assert data is not None
    return data


@pytest.mark.parametrize(("subject", "value"), VALUES)
def test_a_value_comes_back_as_it_was(subject: Subject, value: Value) -> None:
    found = unpacked(subject, value.key, kept(subject, value), SEAL)

    assert found == value
    assert not isinstance(value, Ticket | Article) or (isinstance(found, type(value)) and found.payload == value.payload)
    assert not isinstance(value, Summary) or (isinstance(found, Summary) and found.content == value.content)


@pytest.mark.parametrize("other", [evolve(SEAL, company_id="globex"), evolve(SEAL, generation=b"1f@1"), evolve(SEAL, epoch=4)])
def test_a_value_of_another_company_generation_or_epoch_is_none(other: Seal) -> None:
    assert unpacked("ticket", TICKET.key, kept("ticket", TICKET), other) is None


def test_a_value_of_another_key_or_subject_is_none() -> None:
    assert unpacked("ticket", a_ticket("43").key, kept("ticket", TICKET), SEAL) is None
    assert unpacked("processing", TICKET.key, kept("ticket", TICKET), SEAL) is None


@pytest.mark.parametrize(("subject", "value"), VALUES)
def test_a_value_that_was_cut_off_or_changed_anywhere_is_none(subject: Subject, value: Value) -> None:
    data = kept(subject, value)

    for place in range(len(data)):
        assert unpacked(subject, value.key, data[:place], SEAL) is None
        assert unpacked(subject, value.key, data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], SEAL) is None


@given(st.binary())
def test_whatever_else_stands_there_is_none(data: bytes) -> None:
    assert unpacked("ticket", TICKET.key, data, SEAL) is None
    assert unpacked("summary", TICKET.key, b"=1" + data, SEAL) is None


def test_what_is_larger_than_a_megabyte_is_not_kept() -> None:
    large = b'{"id": "42", "x": "' + b"x" * MOST_BYTES + b'"}'

    assert packed("ticket", TICKET.key, a_ticket(payload=large), SEAL) is None
