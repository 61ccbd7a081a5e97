"""Times of all platforms become one instant each, and what is unusable becomes none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskstore.formats.platforms.moments import moment

NOON = datetime(2024, 5, 18, 12, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given_as", "microsecond"),
    [
        ("2024-05-18T12:30:15Z", 0),
        ("2024-05-18T12:30:15.250Z", 250_000),
        ("2024-05-18T12:30:15.250001Z", 250_001),
        ("2024-05-18T12:30:15.250001999Z", 250_001),
        ("2024-05-18T21:30:15+09:00", 0),
        ("2024-05-18T21:30:15.250001+09:00", 250_001),
        ("2024-05-18T04:30:15.085-0800", 85_000),
        ("2024-05-18T19:30:15+0700", 0),
        ("2024-05-18 12:30:15", 0),
        ("2024-05-18 12:30:15.123", 123_000),
        ("2024-05-18 21:30:15 +0900", 0),
        ("2024-05-18 12:30:15 UTC", 0),
        ("20240518T12:30:15Z", 0),
        (" 2024-05-18T12:30:15Z ", 0),
        (1716035415, 0),
        (1716035415.0, 0),
        (1716035415.25, 250_000),
        (1716035415.250001, 250_001),
        (1716035415250, 250_000),
        (1716035415250001, 250_001),
        ("1716035415", 0),
        ("1716035415250", 250_000),
    ],
)
def test_every_observed_form_of_a_time_is_read(given_as: object, microsecond: int) -> None:
    assert moment(given_as) == NOON + timedelta(microseconds=microsecond)


def test_a_date_of_the_united_states_has_the_month_first() -> None:
    assert moment("12/18/2020") == datetime(2020, 12, 18, tzinfo=UTC)
    assert moment("2020-12-18") == datetime(2020, 12, 18, tzinfo=UTC)


def test_times_beyond_2038_and_before_1970_are_times() -> None:
    assert moment(2738966400) == datetime(2056, 10, 17, tzinfo=UTC)
    assert moment(-1) == datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert moment("9999-12-31T23:59:59.999999Z") == datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "unusable",
    [
        *(None, True, False, "", " ", "redacted", "yesterday", [], {}, "2024", "7", 10**17, 10**400, -(10**20), float(10**17)),
        *("0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "0001-01-01T00:00:00+09:00", "9999-12-31T23:59:59-09:00"),
        *("2016-12-31T23:59:60Z", "2024-02-30T00:00:00Z", "13/18/2020", "2024-05-18T24:00:00Z", "2024-05-18T12:30:15+25:00"),
        "2024-05-18T12:30:15Z" * 1_000,
    ],
)
def test_what_is_no_time_that_can_be_kept_is_none(unusable: object) -> None:
    assert moment(unusable) is None


@given(
    st.one_of(st.text(), st.integers(), st.floats(), st.datetimes().map(str), st.dates().map(str), st.from_regex(r"\d{4}-\d\d-\d\d.{0,20}"))
)
def test_no_value_is_ever_an_error(value: object) -> None:
    found = moment(value)

    assert found is None or found.tzinfo is UTC
