"""
Reading the times of all platforms: whatever is unusable is no time, never an error.

Understood are ISO 8601 in all its forms (with Z, with an offset with or without colon and with a space before it, with any fraction of a
second, with a space for the T, without a zone, which means UTC), dates such as 12/18/2020 (month first), and counts since 1970: seconds
below 10**11, milliseconds below 10**14, microseconds below 10**17, as integers, floats or digits. Fractions are cut off at microseconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from deskstore.domain.times import EPOCH

_USUAL_LENGTH: Final = len("2026-11-22T12:00:00Z")  #: as most platforms write a time
_LONGEST: Final = 40  #: characters of a time; anything longer is something else
_US_DATE: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_DIGITS: Final = re.compile(r"\d{10}(?:\d{3}){0,2}")
_SPACE_BEFORE_ZONE: Final = re.compile(r"\s+(?=[+-]\d\d:?\d\d$)|\s*(?:UTC|GMT)$")
_HOUR_24: Final = re.compile(r"[T ]24")  #: newer versions of Python read it as midnight, older ones do not: nobody writes it
_UNITS: Final = ((10**11, 10**6), (10**14, 10**3), (10**17, 1))  #: below which a count is in so many microseconds


def moment(value: object) -> datetime | None:
    """The moment a payload's value stands for, in UTC; None when it stands for none that can be kept."""
    try:
        if isinstance(value, str):
            return _written(value.strip())
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return _counted(value)
    except (ValueError, OverflowError):
        return None  # the year 0, a leap second, the 31st of February, a zone that leads out of the calendar
    return None


def _written(text: str) -> datetime | None:
    if len(text) == _USUAL_LENGTH and text[10] == "T" and text[-1] == "Z" and text[11:13] != "24":
        return datetime.fromisoformat(text)
    if len(text) > _LONGEST or _HOUR_24.search(text):
        return None
    if _DIGITS.fullmatch(text):
        return _counted(int(text))
    us_date = _US_DATE.fullmatch(text)
    if us_date:
        month, day, year = map(int, us_date.groups())
        return datetime(year, month, day, tzinfo=UTC)
    read = datetime.fromisoformat(_SPACE_BEFORE_ZONE.sub("", text) if " " in text[10:] else text)
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)


def _counted(count: float) -> datetime | None:
    for below, factor in _UNITS:
        if abs(count) < below:
            # an integer stays exact; a float has no more than microseconds at this size, so the nearest one is meant
            return EPOCH + timedelta(microseconds=count * factor if isinstance(count, int) else round(count * factor))
    return None
