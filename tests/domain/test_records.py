"""What is read from a payload is cleaned; the payload itself never changes."""

from datetime import datetime

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from deskstore.domain import payloads
from deskstore.domain.errors import InvalidRecord
from deskstore.domain.records import Article, Fields, Incoming, SourceVersion, Ticket, clean
from deskstore.domain.summaries import Summary, current
from deskstore.formats import json
from deskstore.testing import strategies
from deskstore.testing.clock import MORNING
from deskstore.testing.makers import a_summary, a_ticket, digest, fields, incoming


@given(strategies.texts())
def test_cleaned_text_can_be_kept_by_every_storage(text: str) -> None:
    read = Fields(subject=text, status=text, priority=text, requester=text, text_digest=digest(text))

    assert read.subject is not None
    assert read.status is not None
    for kept, longest in ((read.subject, 500), (read.status, 100)):
        assert "\x00" not in kept.encode().decode()
        assert len(kept) == min(len(text), longest)


def test_cleaning_replaces_what_cannot_be_kept_and_nothing_else() -> None:
    assert clean("a\x00b\ud800c\n한🙂") == "a\ufffdb\ufffdc\n한🙂"
    assert clean(None) is None


def test_the_names_in_a_summary_are_cleaned_and_cut() -> None:
    summary = Summary(key=a_ticket().key, content=b"{}", model="m\x00", prompt_id="p" * 300, source_digest=digest(""), created_at=MORNING)

    assert (summary.model, summary.prompt_id) == ("m\ufffd", "p" * 255)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_a_source_version_beyond_64_bits_orders_nothing(value: int) -> None:
    assert fields(source_version=SourceVersion("version", value)).source_version is None


def test_source_versions_compare_only_within_one_field() -> None:
    assert SourceVersion("updated_at", 1).is_older_than(SourceVersion("updated_at", 2))
    assert not SourceVersion("updated_at", 2).is_older_than(SourceVersion("updated_at", 2))
    assert not SourceVersion("version", 1).is_older_than(SourceVersion("updated_at", 2))


@given(strategies.tickets(), strategies.incoming(), strategies.moments())
def test_a_record_that_receives_a_payload_is_replaced_and_not_merged(ticket: Ticket, came: Incoming, now: datetime) -> None:
    received = ticket.receive(came, now=now)

    assert (received.payload, received.fields, received.saved_at) == (came.payload, came.fields, now)
    assert received.sha256 == payloads.digest(came.payload)
    assert (received.key, received.version) == (ticket.key, ticket.version)


@given(st.one_of(strategies.tickets(), strategies.articles()), st.integers(0, 2**63 - 1))
def test_a_record_at_another_version_is_the_same_in_all_else(record: Ticket | Article, version: int) -> None:
    numbered = record.at_version(version)

    assert numbered == evolve(record, version=version)
    assert (numbered.key, numbered.checked) == (record.key, record.checked)


def test_data_is_parsed_anew_so_that_nobody_changes_the_record() -> None:
    ticket = a_ticket(payload=b'{"a": [1]}')

    ticket.data["a"].append(2)

    assert ticket.data == {"a": [1]}


@pytest.mark.parametrize("digits", ["9" * 5_000, "-" + "1" * 4_300, "1" + "0" * 4_299])
def test_integers_of_any_length_keep_every_digit(digits: str) -> None:
    value = abs(payloads.parse(b'{"n": ' + digits.encode() + b"}")["n"])

    length = len(digits.lstrip("-"))
    assert value % 10**9 == int(digits[-9:])
    assert value // 10 ** (length - 9) == int(digits.lstrip("-")[:9])


def test_the_digest_of_an_incoming_payload_is_of_its_bytes() -> None:
    assert incoming(a_ticket().key, payload=b"{ }").sha256 != incoming(a_ticket().key, payload=b"{}").sha256


@given(strategies.payloads())
def test_every_payload_the_strategies_make_passes_the_rule_for_json(payload: bytes) -> None:
    assert json.load(payload) == payloads.parse(payload)


@given(strategies.bad_payloads())
def test_every_bad_payload_the_strategies_make_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidRecord):
        json.load(payload)


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_the_current_summary_is_the_highest_pinned_one_else_the_highest(pinned: list[bool]) -> None:
    made = [evolve(a_summary(a_ticket().key, pinned=is_pinned), number=number) for number, is_pinned in enumerate(pinned, 1)]

    expected = max((number for number, is_pinned in enumerate(pinned, 1) if is_pinned), default=len(pinned))

    shown = current(made)
    assert shown is not None
    assert shown.number == expected


def test_without_summaries_none_is_current() -> None:
    assert current([]) is None
