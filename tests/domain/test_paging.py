"""Cursors are opaque texts that stand for one place; whatever else comes in is refused."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deskstore.domain import paging, times
from deskstore.domain.errors import InvalidIdentifier, InvalidRecord
from deskstore.domain.identifiers import ARTICLE, TICKET, Key
from deskstore.domain.paging import Filter, Position
from deskstore.testing import strategies


def forged(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


@given(strategies.article_keys(), st.none() | strategies.moments())
def test_a_cursor_stands_for_its_place(key: Key, created_at: datetime | None) -> None:
    place = Position.of(created_at, key)

    assert paging.position(ARTICLE, paging.cursor(ARTICLE, place)) == place


def test_a_cursor_of_tickets_is_none_of_articles() -> None:
    cursor = paging.cursor(TICKET, Position.of(None, Key(TICKET, "zendesk", "1")))

    with pytest.raises(InvalidRecord, match="is not a cursor"):
        paging.position(ARTICLE, cursor)


@given(st.text(max_size=40))
@example("[" * 200_000)
@example(base64.urlsafe_b64encode(b"[" * 100_000).decode())
@example("\ud800")
@example("한국어")
@example("====")
@example(forged("t", 2**63, "zendesk", "1", ""))
@example(forged("t", -(2**63) - 1, "zendesk", "1", ""))
@example(forged("t", 0, "zendesk\x00", "1", ""))
@example(forged("t", 0, "zendesk", "\ud800", ""))
@example(forged("t", 0, "", "1", ""))
@example(forged("t", 0.5, "zendesk", "1", ""))
@example(forged("t", 0, "zendesk", "1"))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidRecord):
        paging.position(TICKET, text)


def test_a_page_names_the_next_only_when_there_is_more() -> None:
    found = [(Position((place, "zendesk", "1", "")), place) for place in (3, 2, 1)]

    assert paging.page_of(TICKET, found, 3).next is None
    assert paging.page_of(TICKET, found, 2).items == (3, 2)
    assert paging.page_of(TICKET, found, 2).next == paging.cursor(TICKET, Position((2, "zendesk", "1", "")))


@pytest.mark.parametrize("limit", [0, -1, 1_001])
def test_a_page_holds_one_to_a_thousand_records(limit: int) -> None:
    assert paging.checked_limit(1_000) == 1_000
    with pytest.raises(InvalidRecord):
        paging.checked_limit(limit)


def test_an_offset_is_not_negative() -> None:
    assert paging.checked_offset(0) == 0
    with pytest.raises(InvalidRecord):
        paging.checked_offset(-1)


def test_a_filter_compares_cleaned_text_with_cleaned_text() -> None:
    assert Filter(status="x\x00" + "y" * 200).status == "x\ufffd" + "y" * 98


@pytest.mark.parametrize("platform", ["", "\x00", "\ud800", " zendesk"])
def test_a_filter_names_a_platform_that_could_exist(platform: str) -> None:
    with pytest.raises(InvalidIdentifier):
        Filter(platform=platform)


def test_a_filter_takes_times_of_any_zone_as_utc() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        Filter(created_from=datetime(2026, 1, 1))  # noqa: DTZ001 - the fault under test
    assert Filter(created_to=times.EPOCH.astimezone(UTC)).created_to == times.EPOCH
