"""Times are aware, in UTC, and cut off at whole microseconds."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given

from deskstore.domain import times
from deskstore.domain.processing import fresh
from deskstore.testing import strategies
from deskstore.testing.makers import a_summary, a_ticket


@given(strategies.moments())
def test_microseconds_and_back_is_the_same_moment(moment: datetime) -> None:
    assert times.from_microseconds(times.microseconds(moment)) == moment
    assert times.moment(times.microseconds(moment)) == moment


def test_no_time_sorts_behind_every_time() -> None:
    assert times.microseconds(None) < times.microseconds(datetime.min.replace(tzinfo=UTC))
    assert times.from_microseconds(times.NO_TIME_US) is None


def test_a_time_with_an_offset_is_the_same_instant_in_utc() -> None:
    seoul = datetime(2026, 3, 2, 9, 0, tzinfo=timezone(timedelta(hours=9)))

    assert times.aware_utc(seoul) == datetime(2026, 3, 2, tzinfo=UTC)
    assert times.aware_utc(seoul).tzinfo is UTC


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        times.aware_utc(datetime(2026, 3, 2))  # noqa: DTZ001 - the fault under test


@pytest.mark.parametrize(("year", "hours"), [(1, 14), (9999, -14)])
def test_a_time_that_utc_cannot_express_is_refused_with_one_kind_of_error(year: int, hours: int) -> None:
    edge = datetime(year, 1 if year == 1 else 12, 1 if year == 1 else 31, 12, tzinfo=timezone(timedelta(hours=hours)))

    with pytest.raises(ValueError, match="beyond the years 1 to 9999"):
        times.aware_utc(edge)


@pytest.mark.parametrize(("value", "fits"), [(2**63 - 1, True), (2**63, False), (-(2**63), True), (-(2**63) - 1, False)])
def test_numbers_fit_into_64_bits(value: int, fits: bool) -> None:
    assert times.fits(value) is fits


def test_every_time_of_a_record_is_kept_in_utc() -> None:
    seoul = datetime(2026, 3, 2, 18, 0, tzinfo=timezone(timedelta(hours=9)))

    ticket, summary = a_ticket(now=seoul), a_summary(a_ticket().key, now=seoul)
    processing = fresh(ticket.key, now=seoul)

    for moment in (ticket.saved_at, summary.created_at, processing.changed_at, processing.claimable_at):
        assert moment is not None
        assert (moment, moment.utcoffset()) == (seoul, timedelta(0))
