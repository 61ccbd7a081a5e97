"""Payloads as values: exact bytes in, exact Python values out."""

from __future__ import annotations

import json
from hashlib import sha256
from itertools import accumulate, count
from operator import sub
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from deskstore.domain.errors import InvalidRecord

if TYPE_CHECKING:
    from decimal import Decimal

Parsed = dict[str, Any]  # Any: a payload holds whatever the platform sent
MAX_DEPTH: Final = 200  #: objects and arrays inside one another, the payload itself included
MAX_BYTES: Final = 16 * 2**20
INT_DIGITS: Final = 10_000  #: an integer with more is given as a Decimal: turning 16 MiB of digits into an int would take hours
_SAFE_DIGITS: Final = 4_000  #: below the limit CPython sets for turning text into an int
_NO_BRACKETS: Final = bytes({*range(256)} - {*b'[]{}"'})
_STEPS: Final = bytes(2 if byte in b"[{" else 0 for byte in range(256))  #: one down, or one up, and one more


def digest(payload: bytes) -> bytes:
    """The sha256 of a payload's bytes, 32 bytes."""
    return sha256(payload).digest()


def parse(payload: bytes) -> Parsed:
    """The value of a payload that was checked when it was received; integers keep every digit, duplicate keys keep the last."""
    return cast(Parsed, json.loads(payload, parse_int=exact_int))


def check(text: object, what: str) -> None:
    """
    See that bytes keep the one rule for JSON, whoever made them; formats.json says at once, and more exactly, what is wrong with a payload.

    Raises:
        InvalidRecord: They are no JSON object in UTF-8, too long or too deep, or hold a number that is not finite.
    """
    if not isinstance(text, bytes):
        raise InvalidRecord(f"{what} is of type {type(text).__name__}: give bytes")
    if len(text) > MAX_BYTES:
        raise InvalidRecord(f"{what} is {len(text):,} bytes long: at most {MAX_BYTES:,} are allowed")
    if is_too_deep(text):
        raise InvalidRecord(f"{what} is more than {MAX_DEPTH} objects and arrays deep: flatten it")
    try:
        value = json.loads(text.decode(), parse_int=exact_int, parse_float=_finite, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidRecord(f"{what} is not JSON in UTF-8 without a byte order mark, or holds a number that is not finite") from error
    if not isinstance(value, dict):
        raise InvalidRecord(f"{what} is not a JSON object")


def is_too_deep(text: bytes) -> bool:
    """Whether brackets of a JSON text stand deeper in one another than is allowed, also where a key that comes again hides them."""
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    plain = text.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in text else text
    # each second part between quotes is the inside of a text
    brackets = b"".join(plain.translate(None, _NO_BRACKETS).split(b'"')[::2])
    depths = map(sub, accumulate(brackets.translate(_STEPS)), count(1))
    return max(depths, default=0) > MAX_DEPTH


def _finite(digits: str) -> float:
    value = float(digits)
    return value if value not in (float("inf"), float("-inf")) else _refuse(digits)


def _refuse(_: str) -> NoReturn:
    raise ValueError("it is not finite")


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
