"""One rule decides what becomes of a payload."""

import pytest

from deskstore.domain.receiving import CREATED, STALE, UNCHANGED, UPDATED, Head, Outcome, judge
from deskstore.domain.records import Incoming, SourceVersion, Ticket
from deskstore.testing.makers import a_ticket, fields, incoming

KEY = a_ticket().key


def stored_at(version: SourceVersion | None) -> Ticket:
    return a_ticket(payload=b'{"a": 1}', read=fields(source_version=version))


def coming_at(version: SourceVersion | None) -> Incoming:
    return incoming(KEY, payload=b'{"a": 2}', read=fields(source_version=version))


def test_a_payload_of_an_unknown_record_creates_it() -> None:
    assert judge(incoming(KEY), None) == CREATED


def test_equal_bytes_are_unchanged_even_when_they_are_forced() -> None:
    assert judge(incoming(KEY, payload=b"{}"), a_ticket(payload=b"{}")) == UNCHANGED
    assert judge(incoming(KEY, payload=b"{}"), a_ticket(payload=b"{}"), force=True) == UNCHANGED


@pytest.mark.parametrize(
    ("stored", "came", "outcome"),
    [
        (SourceVersion("v", 2), SourceVersion("v", 1), STALE),
        (SourceVersion("v", 2), SourceVersion("v", 2), UPDATED),
        (SourceVersion("v", 2), SourceVersion("v", 3), UPDATED),
        (SourceVersion("v", 2), SourceVersion("w", 1), UPDATED),
        (SourceVersion("v", 2), None, UPDATED),
        (None, SourceVersion("v", 1), UPDATED),
    ],
)
def test_only_an_older_source_version_of_the_same_field_is_stale(
    stored: SourceVersion | None, came: SourceVersion | None, outcome: Outcome
) -> None:
    assert judge(coming_at(came), stored_at(stored)) == outcome
    assert judge(coming_at(came), stored_at(stored), force=True) == UPDATED


def test_a_head_is_judged_as_its_record_is() -> None:
    record = stored_at(SourceVersion("v", 2))
    head = Head(
        key=KEY,
        sha256=record.sha256,
        text_digest=record.fields.text_digest,
        source_version=record.fields.source_version,
        version=7,
        processing=None,
    )

    for came in (coming_at(SourceVersion("v", 1)), coming_at(SourceVersion("v", 3)), incoming(KEY, payload=record.payload)):
        assert judge(came, head) == judge(came, record)
