"""Payloads as values: exact bytes in, exact Python values out."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, Final, cast

Parsed = dict[str, Any]  # Any: a payload holds whatever the platform sent
_SAFE_DIGITS: Final = 4_000  #: below the limit CPython sets for turning text into an int


def digest(payload: bytes) -> bytes:
    """The sha256 of a payload's bytes, 32 bytes."""
    return sha256(payload).digest()


def parse(payload: bytes) -> Parsed:
    """The value of a payload that was checked when it was received; integers keep every digit, duplicate keys keep the last."""
    return cast(Parsed, json.loads(payload, parse_int=exact_int))


def exact_int(digits: str) -> int:
    """An integer from its decimal text, however long."""
    if len(digits) <= _SAFE_DIGITS:
        return int(digits)
    if digits.startswith("-"):
        return -exact_int(digits[1:])
    low = len(digits) // 2
    return int(exact_int(digits[:-low]) * 10**low + exact_int(digits[-low:]))
