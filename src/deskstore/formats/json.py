"""
The one rule for JSON, for bytes that are imported and for dicts that are saved.

RFC 8259 in UTF-8 without a byte order mark, an object on top, at most 200 deep and 16 MiB long. Integers of any size and escaped lone
surrogates are kept. Refused: NaN and Infinity, floats too large for 64 bits, keys that are not text.

orjson does nearly all the work. Alone it would turn integers beyond 64 bits into floats, NaN into null, and refuse lone surrogates:
where a payload could hold such things, the exact slow path decides, and it words every refusal.

An integer of more than 10,000 digits is given as a Decimal, whose digits are all kept and read in linear time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Final, NoReturn, cast

import orjson

from deskstore.domain import payloads
from deskstore.domain.errors import InvalidRecord
from deskstore.domain.payloads import INT_DIGITS, Parsed, exact_int

MAX_DEPTH: Final = payloads.MAX_DEPTH  #: objects and arrays inside one another, the payload itself included
MAX_BYTES: Final = payloads.MAX_BYTES

# Every digit becomes "0", every opening bracket "[": one pass finds runs of digits and how many brackets there are.
_OUTLINE: Final = bytes(48 if 48 <= byte <= 57 else 91 if byte in b"[{" else 32 for byte in range(256))
_BEYOND_64_BITS: Final = b"0" * 19  #: so many digits may be more than orjson keeps as an integer
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|NaN|-?Infinity|-?\d[\d.eE+-]*', re.DOTALL)
_HUGE: Final = 10**300  #: an integer that Python writes without asking for its limit on digits

Path = tuple[str | int, ...]


# -- from bytes --------------------------------------------------------------------------------------------------------------------------


def load(payload: bytes | bytearray | memoryview) -> Parsed:
    """
    The exact value of a payload that keeps the rule; duplicate keys keep the last.

    Raises:
        InvalidRecord: It breaks the rule; the message names what and where.
    """
    data = payload if isinstance(payload, bytes) else bytes(payload)
    if len(data) > MAX_BYTES:
        raise InvalidRecord(f"the payload is {len(data):,} bytes long: at most {MAX_BYTES:,} are allowed")
    outline = data.translate(_OUTLINE)
    value = _exactly(data) if _BEYOND_64_BITS in outline else _fast(data)
    if not isinstance(value, dict):
        raise InvalidRecord(f"the payload is {_kind(value)}: a payload is one JSON object")
    if outline.count(b"[") > MAX_DEPTH and payloads.is_too_deep(data):
        raise _too_deep()
    return cast(Parsed, value)


def _fast(data: bytes) -> object:
    try:
        return cast(object, orjson.loads(data))
    except orjson.JSONDecodeError:
        return _exactly(data)


def _exactly(data: bytes) -> object:
    text = _decoded(data)
    try:
        return cast(object, json.loads(text, parse_int=exact_int, parse_float=_finite, parse_constant=_no_constant))
    except json.JSONDecodeError as error:
        raise InvalidRecord(f"the payload is not valid JSON: {error.msg} at {_place(text, error.pos)}") from error
    except _NotFinite as error:
        raise InvalidRecord(f"the payload holds {_first_not_finite(text)}: JSON has finite numbers only") from error
    except RecursionError as error:
        raise _too_deep() from error


def _decoded(data: bytes) -> str:
    if not data.strip(b" \t\r\n"):
        raise InvalidRecord("the payload is empty: a payload is one JSON object")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRecord(f"the payload is not UTF-8: {error.reason} at byte {error.start}") from error
    if text.startswith("\ufeff"):
        raise InvalidRecord("the payload begins with a byte order mark: remove its three bytes")
    return text


class _NotFinite(Exception):
    """A number that is no finite 64-bit float."""


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise _NotFinite
    return value


def _no_constant(_: str) -> NoReturn:
    raise _NotFinite


def _first_not_finite(text: str) -> str:
    for token in _TOKEN.finditer(text):
        found = token.group()
        if found[0] != '"' and _is_not_finite(found):
            return f"{found if len(found) <= 40 else found[:37] + '...'} at {_place(text, token.start())}"
    return "a number that is not finite"


def _is_not_finite(found: str) -> bool:
    try:
        return found in ("NaN", "Infinity", "-Infinity") or abs(float(found)) == float("inf")
    except ValueError:
        return False


def _place(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"line {line}, column {column}"


def _kind(value: object) -> str:
    names: dict[type, str] = {list: "an array", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _too_deep() -> InvalidRecord:
    return InvalidRecord(f"the payload is more than {MAX_DEPTH} objects and arrays deep: flatten it")


def _deeper_than(limit: int, value: object) -> bool:
    level = [value]
    for _ in range(limit):
        level = [child for box in level for child in _children(box) if isinstance(child, (dict, list))]
        if not level:
            return False
    return True


def _children(box: object) -> Iterable[object]:
    return cast("dict[str, object]", box).values() if isinstance(box, dict) else cast("list[object]", box)


# -- to bytes ----------------------------------------------------------------------------------------------------------------------------


def dump(value: Mapping[str, object]) -> bytes:
    """
    A payload that holds exactly this value; the value itself is not changed.

    Objects are dicts, arrays are lists or tuples. Subclasses of dict, list, tuple, str, int and float (enums of text and of integers
    among them) are written as what they extend. A lone surrogate comes out escaped.

    Raises:
        InvalidRecord: The value breaks the rule; the message names the path to what does.
    """
    plain = value if isinstance(value, dict) else dict(value)
    payload = _dumped_fast(plain) or _dumped_exactly(plain)
    if len(payload) > MAX_BYTES:
        raise InvalidRecord(f"the payload would be {len(payload):,} bytes long: at most {MAX_BYTES:,} are allowed")
    return payload


def _dumped_fast(value: dict[str, object]) -> bytes | None:
    """The payload, if reading it back gives the very same value: orjson writes NaN as null and dates as text."""
    try:
        payload = orjson.dumps(value)
        back = orjson.loads(payload)
        if back == value and not (payload.count(b"[") + payload.count(b"{") > MAX_DEPTH and _deeper_than(MAX_DEPTH, back)):
            return payload
    except (orjson.JSONEncodeError, orjson.JSONDecodeError, RecursionError):
        return None  # the exact path says what is wrong, or writes what orjson cannot
    return None


def _dumped_exactly(value: object) -> bytes:
    try:
        # what UTF-8 cannot hold is a lone surrogate, and its Python escape is its JSON escape
        return _written(value, ()).encode("utf-8", errors="backslashreplace")
    except RecursionError as error:
        raise _too_deep() from error


def _written(value: object, path: Path) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, int):
        return _digits(value)
    if isinstance(value, float):
        return _float(value, path)
    if len(path) >= MAX_DEPTH and isinstance(value, (dict, list, tuple)):
        raise _too_deep()
    if isinstance(value, dict):
        return _object(cast("dict[object, object]", value), path)
    if isinstance(value, (list, tuple)):
        items = cast("Sequence[object]", value)
        return "[" + ",".join(_written(item, (*path, index)) for index, item in enumerate(items)) + "]"
    return _long_digits(value, path)


def _object(value: dict[object, object], path: Path) -> str:
    members: list[str] = []
    for key, member in value.items():
        if not isinstance(key, str):
            raise InvalidRecord(f"{_shown(path)} has a key of type {type(key).__name__}: keys are text")
        members.append(f"{encode_basestring(key)}:{_written(member, (*path, str(key)))}")
    return "{" + ",".join(members) + "}"


def _float(value: float, path: Path) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        raise InvalidRecord(f"{_shown(path)} is {value!r}: JSON has finite numbers only")
    return float.__repr__(value)


def _digits(value: int) -> str:
    if -_HUGE < value < _HUGE:
        return int.__repr__(value)
    if value.bit_length() > MAX_BYTES * 4:  # log2(10) < 4: it cannot fit, so do not spend the time
        raise InvalidRecord(f"an integer of {value.bit_length():,} bits would not fit into {MAX_BYTES:,} bytes")
    return ("-" if value < 0 else "") + _in_decimal(abs(value))


def _in_decimal(value: int) -> str:
    """The digits of a large integer: by decimal arithmetic, because int to text takes quadratic time and has a limit."""
    import decimal

    def convert(part: int, bits: int) -> decimal.Decimal:
        if bits <= 2048:
            return decimal.Decimal(part)
        half = bits // 2
        high = part >> half
        return convert(high, bits - half) * decimal.Decimal(2) ** half + convert(part - (high << half), half)

    with decimal.localcontext() as context:
        context.prec, context.Emax, context.Emin = decimal.MAX_PREC, decimal.MAX_EMAX, decimal.MIN_EMIN
        context.traps[decimal.Inexact] = True
        return str(convert(value, value.bit_length()))


def _long_digits(value: object, path: Path) -> str:
    """The digits of an integer that load() gave as a Decimal; refuses all that is no JSON."""
    from decimal import Decimal

    if isinstance(value, Decimal) and value.as_tuple().exponent == 0 and len(value.as_tuple().digits) > INT_DIGITS:
        return str(value)
    kind = type(value).__name__
    raise InvalidRecord(f"{_shown(path)} is of type {kind}: JSON has text, numbers, true, false, null, lists and dicts with text keys")


def _shown(path: Path) -> str:
    return "the payload" + "".join(f"[{ascii(step)[:80]}]" for step in path)


# -- comparing ---------------------------------------------------------------------------------------------------------------------------


def same_value(one: object, other: object) -> bool:
    """
    Whether two JSON values are equal, their types included: true is not 1, 1 is not 1.0, 0.0 is not -0.0.

    The order of keys does not matter. Both are values that load() gave or dump() takes.
    """
    pending = [(one, other)]
    while pending:
        left, right = pending.pop()
        kind = type(left)
        if kind is not type(right) or kind not in _ALIKE:
            kind = _json_type(left)
            if kind is not _json_type(right):
                return False
        if not _ALIKE[kind](left, right, pending):
            return False
    return True


_Pending = list[tuple[object, object]]


def _json_type(value: object) -> type:
    if isinstance(value, bool):
        return bool
    for kind in (str, int, float, dict, list):
        if isinstance(value, kind):
            return kind
    if isinstance(value, tuple):
        return list
    return type(None) if value is None else int  # a Decimal is an integer too long for int


def _same_text(left: object, right: object, _: _Pending) -> bool:
    # a pair of surrogates is the character it encodes: JSON cannot tell them apart
    return left == right or _utf16(cast(str, left)) == _utf16(cast(str, right))


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le", errors="surrogatepass")


def _same_float(left: object, right: object, _: _Pending) -> bool:
    return cast(float, left).hex() == cast(float, right).hex()


def _same_object(left: object, right: object, pending: _Pending) -> bool:
    ours, theirs = cast("dict[str, object]", left), cast("dict[str, object]", right)
    if ours.keys() != theirs.keys():
        return False
    pending.extend((member, theirs[key]) for key, member in ours.items())
    return True


def _same_array(left: object, right: object, pending: _Pending) -> bool:
    ours, theirs = cast("Sequence[object]", left), cast("Sequence[object]", right)
    if len(ours) != len(theirs):
        return False
    pending.extend(zip(ours, theirs, strict=True))
    return True


def _equal(left: object, right: object, _: _Pending) -> bool:
    return left == right


_ALIKE: Final[dict[type, Callable[[object, object, _Pending], bool]]] = {
    str: _same_text,
    int: _equal,
    bool: _equal,
    type(None): _equal,
    float: _same_float,
    dict: _same_object,
    list: _same_array,
}
