"""Payloads as values: exact bytes in, exact Python values out."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from decimal import Decimal

Parsed = dict[str, Any]  # Any: a payload holds whatever the platform sent
INT_DIGITS: Final = 10_000  #: an integer with more is given as a Decimal: turning 16 MiB of digits into an int would take hours
_SAFE_DIGITS: Final = 4_000  #: below the limit CPython sets for turning text into an int


def digest(payload: bytes) -> bytes:
    """The sha256 of a payload's bytes, 32 bytes."""
    return sha256(payload).digest()


def parse(payload: bytes) -> Parsed:
    """The value of a payload that was checked when it was received; integers keep every digit, duplicate keys keep the last."""
    return cast(Parsed, json.loads(payload, parse_int=exact_int))


def exact_int(digits: str) -> int | Decimal:
    """An integer from its decimal text, every digit kept; beyond 10,000 digits a Decimal, which is read in linear time."""
    if len(digits) <= _SAFE_DIGITS:
        return int(digits)
    if len(digits.lstrip("-")) <= INT_DIGITS:
        return _long_int(digits)
    from decimal import Decimal

    return Decimal(digits)


def _long_int(digits: str) -> int:
    if len(digits) <= _SAFE_DIGITS:
        return int(digits)
    if digits.startswith("-"):
        return -_long_int(digits[1:])
    low = len(digits) // 2
    return int(_long_int(digits[:-low]) * 10**low + _long_int(digits[-low:]))
