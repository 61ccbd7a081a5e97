"""Times as deskstore keeps them: aware, UTC, whole microseconds, cut off and never rounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NO_TIME_US: Final = -(2**63)  #: sorts behind every real time; for records without a usable one
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


def aware_utc(value: datetime) -> datetime:
    """The same moment in UTC; raises ValueError for a time without a zone."""
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no time zone: deskstore keeps aware times only")
    return value.astimezone(UTC)


def now() -> datetime:
    """The present moment; storages use it as their clock unless they are given another."""
    return datetime.now(UTC)
