"""Times as deskstore keeps them: aware, UTC, whole microseconds, cut off and never rounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NO_TIME_US: Final = -(2**63)  #: sorts behind every real time; for records without a usable one
LAST_US: Final = 2**63 - 1  #: the largest number that every storage can keep
LAST_MOMENT_US: Final = 253_402_300_799_999_999  #: the end of the year 9999
_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(moment: datetime | None) -> int:
    """Microseconds since 1970 in UTC, exactly; the smallest 64-bit integer for no time."""
    return NO_TIME_US if moment is None else (moment - EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime | None:
    """The moment so many microseconds after 1970, in UTC; None for the smallest 64-bit integer."""
    return None if value == NO_TIME_US else EPOCH + timedelta(microseconds=value)


def moment(value: int) -> datetime:
    """The moment so many microseconds after 1970, in UTC, where there always is one."""
    return EPOCH + timedelta(microseconds=value)


def fits(value: int) -> bool:
    """Whether a number has 64 bits at most, and so a place in every storage."""
    return NO_TIME_US <= value <= LAST_US


def aware_utc(value: datetime) -> datetime:
    """The same moment in UTC; raises ValueError for a time without a zone, or beyond the years 1 to 9999 in UTC."""
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no time zone: deskstore keeps aware times only")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{value.isoformat()} lies beyond the years 1 to 9999 in UTC: deskstore has no time for it") from error


def optional_utc(value: datetime | None) -> datetime | None:
    """The same as aware_utc, or no time for no time."""
    return None if value is None else aware_utc(value)


def now() -> datetime:
    """The present moment; storages use it as their clock unless they are given another."""
    return datetime.now(UTC)
