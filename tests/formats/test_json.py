"""The one rule for JSON: what is kept is kept exactly, what is refused says what and where."""

from __future__ import annotations

import json
import sys
import threading
from collections import OrderedDict
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from uuid import UUID

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deskstore.domain.errors import InvalidRecord
from deskstore.domain.payloads import parse
from deskstore.formats.json import MAX_BYTES, MAX_DEPTH, dump, load, same_value


def nested(depth: int) -> bytes:
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


def nested_dict(depth: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


TEXTS = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    ["", "\x00", "\ud800", "\udfff\ud83d", "한국어 🎫", "</script>", "\u2028"]
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.integers(2**53 - 2, 2**65) | st.integers(-(2**65), -(2**62))
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=20)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=6)


@given(OBJECTS)
@example({"zero": -0.0, "big": 1e16, "small": 5e-324, "odd": 2**53 + 1})
@example({"signed": 2**63, "unsigned": 2**64, "negative": -(2**63) - 1, "long": 10**40})
@example({"nul\x00key": "\x00", "lone": "\ud800", "other\udfff": ["\udc00x"]})
@example({"pair": "\ud83d\ude00"})
@example({"digits": 10**5000, "minus": -(10**4999)})
def test_what_is_dumped_loads_as_the_same_value(value: dict[str, object]) -> None:
    payload = dump(value)

    assert same_value(load(payload), value)


@given(OBJECTS, st.booleans(), st.sampled_from([None, 1]))
def test_what_the_standard_json_writes_within_the_rule_is_accepted(value: dict[str, object], ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    payload = text.encode("utf-8", errors="backslashreplace")

    assert same_value(load(payload), value)


@given(st.binary(max_size=40) | st.text('{}[]",:0123456789eE+-.\\u truefalsn\x00\ufeff', max_size=30).map(str.encode))
@example(b'{"a":1}\xff')
def test_any_other_bytes_are_a_value_of_the_standard_json_or_refused_by_name(payload: bytes) -> None:
    try:
        found = load(payload)
    except InvalidRecord as error:
        assert str(error).startswith("the payload ")  # noqa: PT017 - most examples are refused, some are not
    else:
        assert same_value(found, json.loads(payload.decode()))


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "empty"),
        (b" \r\n\t", "empty"),
        (b'{"a": NaN}', "NaN at line 1, column 7"),
        (b'{"a": "NaN",\n "b": [1, -Infinity]}', "-Infinity at line 2, column 11"),
        (b'{"a": Infinity, "a": 1}', "Infinity at line 1, column 7"),
        (b'{"a": 1e400}', "1e400 at line 1, column 7"),
        (b'{"a": -1.5e999999999999999999999}', "-1.5e999999999999999999999 at"),
        (b'{"a": 12345678901234567890, "b": 1e309}', "1e309 at line 1, column 34"),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8: invalid continuation byte at byte 7"),
        (b'{"a": "\xff"}', "not UTF-8: invalid start byte at byte 7"),
        (b'\xef\xbb\xbf{"a": 1}', "byte order mark"),
        (b'{"a": 1} x', "Extra data at line 1, column 10"),
        (b'{"a": 1}{"b": 2}', "Extra data"),
        (b'{"a": 1,}', "line 1, column"),
        (b'{"a": 01}', "line 1, column"),
        (b'{"a": +1}', "line 1, column"),
        (b"{'a': 1}", "line 1, column 2"),
        (b'{"a": "x\ny"}', "Invalid control character at"),
        (b'{"a": "\\x"}', "line 1, column"),
        (b'{"a"', "line 1, column 5"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b"[]", "an array"),
        (b'"text"', "text"),
        (b"null", "null"),
        (b"true", "true or false"),
        (b"12", "a number"),
        (b"123456789012345678901234567890", "a number"),
        (nested(MAX_DEPTH + 1), "more than 200"),
        (nested(1_025), "more than 200"),
        (nested(100_000), "more than 200"),
        (b"[" * 100_000, "more than 200"),
    ],
)
def test_a_payload_that_breaks_the_rule_is_refused_and_says_where(payload: bytes, said: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        load(payload)

    assert said in str(refused.value)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("brackets", [b"{}", b'"]]]]"', b'["}"]'])
def test_two_hundred_deep_is_kept_whatever_else_the_payload_holds(brackets: bytes) -> None:
    payload = b'{"x":[' + b",".join([brackets] * 300) + b'],"a":' + nested(MAX_DEPTH - 1) + b"}"

    value = load(payload)

    assert same_value(load(dump(value)), value)
    with pytest.raises(InvalidRecord, match="200"):
        load(payload.replace(b'"a":{}', b'"a":{"a":{}}'))


def test_depth_and_size_are_the_same_limits_for_bytes_and_for_dicts() -> None:
    at_the_limit = b'{"a":"' + b"x" * (MAX_BYTES - 8) + b'"}'

    assert dump(load(at_the_limit)) == at_the_limit
    assert dump(nested_dict(MAX_DEPTH)) == nested(MAX_DEPTH)
    with pytest.raises(InvalidRecord, match="16,777,217"):
        load(at_the_limit + b" ")
    with pytest.raises(InvalidRecord, match="16,777,217"):
        dump({"a": "x" * (MAX_BYTES - 7)})
    for depth in (MAX_DEPTH + 1, 254, 1_025, 5_000):
        with pytest.raises(InvalidRecord, match="more than 200"):
            dump(nested_dict(depth))


@pytest.mark.parametrize("depth", [200, 700, 985, 1_020, 50_000])
def test_depth_that_a_key_which_comes_again_hides_is_depth(depth: int) -> None:
    hidden = b'{"id":1,"a":' + b"[" * depth + b"]" * depth + b',"a":1}'

    with pytest.raises(InvalidRecord, match="200 objects and arrays deep"):
        load(hidden)


@pytest.mark.parametrize("text", [b"[" * 300, b"{[" * 300, b'\\"[' * 300, b"\\\\", b'\\\\\\"[[['])
def test_brackets_inside_texts_are_no_depth(text: bytes) -> None:
    payload = b'{"\\"[":"' + text + b'","list":[' + b"[]," * 300 + b"[]]}"

    assert load(payload) == json.loads(payload)


def test_a_dict_that_holds_itself_is_refused() -> None:
    value: dict[str, object] = {}
    value["self"] = [value]

    with pytest.raises(InvalidRecord, match="more than 200"):
        dump(value)


def test_recursion_near_the_end_of_the_stack_is_refused_not_raised() -> None:
    outcomes: list[object] = []

    def descend(left: int) -> None:
        if left:
            return descend(left - 1)
        for attempt in (lambda: load(nested(150)), lambda: dump(nested_dict(150) | {"big": 2**70})):
            try:
                outcomes.append(attempt())
            except InvalidRecord as error:
                outcomes.append(error)

    thread = threading.Thread(target=descend, args=(sys.getrecursionlimit() - 60,))
    thread.start()
    thread.join()

    assert isinstance(outcomes[0], dict)
    assert isinstance(outcomes[1], InvalidRecord)


@pytest.mark.parametrize("digits", [19, 20, 4_301, 5_000, 10_000, 10_001, 1_000_000])
@pytest.mark.parametrize("sign", ["", "-"])
def test_integers_of_any_size_keep_every_digit(digits: int, sign: str) -> None:
    text = sign + "12345678" * (digits // 8) + "9" * (digits % 8)
    payload = b'{"n":' + text.encode() + b"}"

    value = load(payload)

    assert dump(value) == payload
    assert same_value(parse(payload), value)
    assert isinstance(value["n"], int if digits <= 10_000 else Decimal)


def test_an_integer_of_sixteen_megabytes_is_kept_in_bounded_time() -> None:
    payload = b'{"n":' + b"7" * (MAX_BYTES - 6) + b"}"

    assert dump(load(payload)) == payload


def test_an_integer_of_the_caller_is_written_whole_and_an_absurd_one_refused() -> None:
    assert dump({"n": 10**100_000 + 7}) == b'{"n":1' + b"0" * 99_999 + b"7}"
    with pytest.raises(InvalidRecord, match="bits would not fit"):
        dump({"n": 1 << (MAX_BYTES * 4)})


@pytest.mark.parametrize("text", ["-0.0", "0.1", "1e16", "5e-324", "1e-400", "0.1234567890123456789012345", "1.7976931348623157e308"])
def test_floats_keep_their_value_on_either_path(text: str) -> None:
    value = load(f'{{"a": {text}, "b": 12345678901234567890123}}'.encode())

    assert same_value(value["a"], float(text))
    assert same_value(load(f'{{"a": {text}}}'.encode())["a"], float(text))
    assert value["b"] == 12345678901234567890123


def test_duplicate_keys_keep_the_last_on_either_path() -> None:
    assert load(b'{"a": 1, "b": 2, "a": 3}') == {"a": 3, "b": 2}
    assert load(b'{"a": 99999999999999999999, "b": 2, "a": 3}') == {"a": 3, "b": 2}


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_bytes_loads(kind: type[bytes | bytearray | memoryview]) -> None:
    assert load(kind(b'{"a": [1, 18446744073709551616, "\\ud800"]}')) == {"a": [1, 2**64, "\ud800"]}


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Word(StrEnum):
    OPEN = "open"


class Half(float):
    pass


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (float("nan"), "['a'][1]['b'] is nan"),
        (float("-inf"), "['a'][1]['b'] is -inf"),
        (datetime(2024, 1, 1, tzinfo=UTC), "['a'][1]['b'] is of type datetime"),
        (UUID(int=1), "['a'][1]['b'] is of type UUID"),
        (b"bytes", "['a'][1]['b'] is of type bytes"),
        ({1, 2}, "['a'][1]['b'] is of type set"),
        (Decimal("1.5"), "['a'][1]['b'] is of type Decimal"),
        (Decimal(7), "['a'][1]['b'] is of type Decimal"),
        (Decimal("nan"), "['a'][1]['b'] is of type Decimal"),
        (Colour.RED, "['a'][1]['b'] is of type Colour"),
        (MappingProxyType[str, object]({}), "['a'][1]['b'] is of type mappingproxy"),
        (object(), "['a'][1]['b'] is of type object"),
        ({7: "seven"}, "['a'][1]['b'] has a key of type int"),
        ({None: 1}, "['a'][1]['b'] has a key of type NoneType"),
    ],
)
def test_a_value_that_is_no_json_is_refused_with_the_path_to_it(value: object, path: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        dump({"a": [None, {"b": value}]})

    assert path in str(refused.value)


def test_what_extends_a_plain_type_is_written_as_that_type() -> None:
    value: dict[str, object] = {"a": OrderedDict(x=Level.HIGH), "b": Word.OPEN, "c": (1, (2,)), Word.OPEN: Half(0.5), "d": 2**70}

    payload = dump(value)

    assert payload == b'{"a":{"x":3},"b":"open","c":[1,[2]],"open":0.5,"d":1180591620717411303424}'
    assert dump({"a": Level.HIGH, "b": Word.OPEN, "c": (1,)}) == b'{"a":3,"b":"open","c":[1]}'
    assert dump(MappingProxyType({"a": 1})) == b'{"a":1}'
    assert same_value(load(payload), value)


@pytest.mark.parametrize("value", [{"a": [1, {"b": "\ud800"}]}, {"a": (1, [2**70])}, {"a": [None]}, {"a": [float("nan")]}])
def test_dump_leaves_its_argument_alone(value: dict[str, object]) -> None:
    before = deepcopy(value)

    with suppress(InvalidRecord):
        dump(value)

    assert repr(value) == repr(before)


def test_a_lone_surrogate_comes_out_escaped_and_all_other_text_as_it_is() -> None:
    assert dump({"한": "\ud800🎫"}) == '{"한":"\\ud800🎫"}'.encode()
    assert load(b'{"a":"\\uD83D\\uDE00\\ud800"}') == {"a": "😀\ud800"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (True, 1),
        (False, 0),
        (1, 1.0),
        (0.0, -0.0),
        ("1", 1),
        (None, False),
        ([], {}),
        ([1], [1, 1]),
        ({"a": 1}, {"a": 1, "b": None}),
        ({"a": 1}, {"b": 1}),
        ({"a": [1, {"b": True}]}, {"a": [1, {"b": 1}]}),
        (2**64, float(2**64)),
        ("é", "e\u0301"),
    ],
)
def test_values_of_another_type_or_content_are_not_the_same(one: object, other: object) -> None:
    assert not same_value(one, other)
    assert not same_value(other, one)
    assert same_value(one, deepcopy(one))


def test_order_of_keys_does_not_matter_order_of_items_does() -> None:
    assert same_value({"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1})
    assert not same_value({"b": [1, 2]}, {"b": [2, 1]})


@given(OBJECTS)
def test_the_fast_path_gives_what_the_exact_path_gives(value: dict[str, object]) -> None:
    text = json.dumps(value)

    fast, exact = load(text.encode()), load(f'{{"digits": 12345678901234567890, {text[1:]}'.replace(", }", "}").encode())
    exact.pop("digits", None)

    assert same_value(fast, exact) or "digits" in value


def test_orjson_still_behaves_as_the_slow_path_expects() -> None:
    assert orjson.loads(b"18446744073709551616") == float(2**64)
    assert orjson.dumps([float("nan")]) == b"[null]"
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(rb'"\ud800"')
