"""Hypothesis strategies for what a storage is given, hostile by default: whatever the rules allow is made, the ugly first."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from deskstore.domain import times
from deskstore.domain.identifiers import (
    ARTICLE,
    COMPANY_ID_LENGTH,
    LOCALE_LENGTH,
    PLATFORM_LENGTH,
    RECORD_ID_LENGTH,
    TICKET,
    Key,
)
from deskstore.domain.processing import Checkpoint, ProcessingStatus
from deskstore.domain.records import Article, Fields, Incoming, SourceVersion, Ticket, new_article, new_ticket
from deskstore.domain.summaries import Summary
from deskstore.testing.clock import MORNING

#: names that a file system, a database, a shell or a template would rather not meet; all of them are allowed and distinct
HOSTILE_NAMES: Final = (
    "a",
    "A",
    "..",
    ".",
    "../../etc/passwd",
    "/",
    "a/b",
    "a\\b",
    "C:\\x",
    "~",
    "~root",
    ".deskstore",
    ".git",
    "CON",
    "nul.txt",
    "com1",
    "aux.",
    "a.json",
    "a~1",
    "'; drop table ticket; --",
    '"quoted"',
    "it's",
    "%",
    "%00",
    "%2e%2e",
    "%s%d%n",
    "$1",
    "${HOME}",
    "{company}",
    "$(id)",
    "`id`",
    ":",
    "a:b",
    "{a}:b",
    "*",
    "?",
    "[a-z]",
    "a b",
    "a\u00a0b",
    "-rf",
    "--help",
    "0",
    "00",
    "7",
    "7.0",
    "null",
    "None",
    "true",
    "é",
    "e\u0301",
    "ﬁ",
    "fi",
    "İ",
    "ı",
    "ß",
    "SS",
    "한국어",
    "\u1112\u1161\u11ab국어",
    "日本語",
    "עברית\u200f",
    "🙂",
    "👩‍👩‍👧",
    "\u200b",
    "\ufeff",
    "\ufffd",
    "\U0010ffff",
    "\ue000",
)

#: names that no storage may take
BAD_NAMES: Final = ("", " ", " a", "a ", "a\n", "\ta", "a\x00b", "\x00", "a\nb", "\x1b[31m", "\x7f", "\x85", "\ud800", "a\udfff", "\u3000a")

#: documents that a careless storage changes; all of them are valid and must come back byte for byte
HOSTILE_PAYLOADS: Final = tuple(
    text.encode()
    for text in (
        "{}",
        ' {\r\n\t"a" : 1 , "b":[ ]  } \n',
        '{"b":1,"a":2,"b":3}',
        '{"a":-0.0,"b":1e16,"c":5e-324,"d":1E+2,"e":1.10,"f":0e0,"g":-0}',
        '{"a":9007199254740993,"b":9223372036854775808,"c":18446744073709551616,"d":' + "1" + "0" * 40 + "}",
        '{"a":' + "9" * 5_000 + "}",
        '{"\\u0000":"\\u0000","a\\u0000b":"x\\u0000y"}',
        '{"a":"\\ud800","b":"\\udfff\\ud800","\\udead":1,"c":"\\ud83d\\ude42"}',
        '{"a":"\\u00e9","b":"é","c":"e\u0301","d":"\\/","e":"/"}',
        '{"한국어":"안녕하세요 🙂","日本":"\u2028\u2029\ufeff\uffff"}',
        '{"":"","a":{"":{"":null}}}',
        '{"company_id":7,"version":"x","payload":{},"_deskstore":1,"__proto__":{},"$ref":"#"}',
        '{"a":' + "[" * 199 + "]" * 199 + "}",
        '{"a":' * 200 + "1" + "}" * 200,
        '{"updated_at":"2016-12-31T23:59:60Z","created_at":"0000-00-00T00:00:00.123456789+14:00"}',
        '{"html":"</script><!--","sql":"\'; drop table ticket; --","nl":"\\r\\n"}',
    )
)

#: what is no document: every way in must refuse it
BAD_PAYLOADS: Final = (
    b"",
    b" ",
    b"null",
    b"[]",
    b'"text"',
    b"7",
    b"{",
    b"{]",
    b'{"a":1}}',
    b'{"a":1} {"b":2}',
    b'{"a":1,}',
    b"{'a':1}",
    b"{a:1}",
    b'{"a":01}',
    b'{"a":+1}',
    b'{"a":.5}',
    b'{"a":NaN}',
    b'{"a":[Infinity]}',
    b'{"a":{"b":-Infinity}}',
    b'{"a":1e400}',
    b'{"a":-1e400}',
    b'{"a":"\x00"}',
    b'{"a":"\n"}',
    b'{"a":"\\x"}',
    b'{"a":"\\u12"}',
    b'{"a":"\xff"}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\xc0\x80"}',
    b'{"a":1}\x00',
    b'{"a":' + b"[" * 200 + b"]" * 200 + b"}",
    b'{"a":' * 1_025 + b"1" + b"}" * 1_025,
    b"[" * 100_000,
)

_ALLOWED: Final = st.characters(exclude_categories=("Cs", "Cc"))
_DAYS: Final = (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC))
_US: Final = st.integers(times.microseconds(_DAYS[0]), times.microseconds(_DAYS[1]))


def _names(longest: int) -> SearchStrategy[str]:
    hostile = [name for name in HOSTILE_NAMES if len(name) <= longest]
    long = [character * longest for character in ("x", "한", "🙂", "%")]
    drawn = st.text(_ALLOWED, min_size=1, max_size=longest).filter(lambda name: name == name.strip())
    return st.sampled_from(hostile + long) | drawn


def company_ids() -> SearchStrategy[str]:
    """Company ids that are allowed."""
    return _names(COMPANY_ID_LENGTH)


def platforms() -> SearchStrategy[str]:
    """Platforms that are allowed."""
    return _names(PLATFORM_LENGTH)


def record_ids() -> SearchStrategy[str]:
    """Ids of tickets and articles that are allowed."""
    return _names(RECORD_ID_LENGTH)


def locales() -> SearchStrategy[str]:
    """Locales that are allowed, the empty one among them."""
    return st.just("") | st.sampled_from(["en", "en-US", "EN-us", "pt_BR", "ko", "~"]) | _names(LOCALE_LENGTH)


def bad_identifiers(longest: int = COMPANY_ID_LENGTH) -> SearchStrategy[str]:
    """Names that every storage must refuse, where so many characters are allowed."""
    too_long = st.sampled_from("x한🙂").map(lambda character: character * (longest + 1))
    spoiled = st.tuples(_names(longest - 1), st.sampled_from("\x00\n\x7f\x9f\ud83d")).map("".join)
    return st.sampled_from(BAD_NAMES) | too_long | spoiled


def ticket_keys() -> SearchStrategy[Key]:
    """Keys of tickets."""
    return st.builds(Key, st.just(TICKET), platforms(), record_ids(), st.just(""))


def article_keys() -> SearchStrategy[Key]:
    """Keys of articles."""
    return st.builds(Key, st.just(ARTICLE), platforms(), record_ids(), locales())


def payloads() -> SearchStrategy[bytes]:
    """JSON objects as bytes: odd spacing, duplicate keys, integers of any size, escapes of every kind, nesting to the limit."""
    return st.sampled_from(HOSTILE_PAYLOADS) | _objects(_values()).map(str.encode)


def bad_payloads() -> SearchStrategy[bytes]:
    """Bytes that are no document; every way in must refuse them."""
    cut = payloads().map(lambda payload: payload.rstrip()[:-1])
    followed = payloads().map(lambda payload: payload + b"x")
    return st.sampled_from(BAD_PAYLOADS) | cut | followed


def _spaces() -> SearchStrategy[str]:
    return st.sampled_from(["", "", "", " ", "\n", "\t ", "\r\n"])


def _strings() -> SearchStrategy[str]:
    plain = st.text(st.characters(codec="utf-8"), max_size=8)
    written = plain.map(lambda text: json.dumps(text, ensure_ascii=False)) | plain.map(json.dumps)
    escapes = st.sampled_from([r"\u0000", r"\ud800", r"\udfff", r"\ud83d\ude42", r"\/", r"\b\f\n\r\t", r"\"", r"\\", r"\u00E9"])
    return written | st.lists(escapes, max_size=4).map(lambda parts: f'"{"".join(parts)}"')


def _numbers() -> SearchStrategy[str]:
    odd = st.sampled_from(["-0", "-0.0", "1e16", "5e-324", "1.7976931348623157e308", "1E5", "0.10", "1e-400", str(2**53 + 1), str(10**40)])
    whole = st.integers(-(2**70), 2**70).map(str)
    return odd | whole | st.floats(allow_nan=False, allow_infinity=False).map(repr)


def _values() -> SearchStrategy[str]:
    leaves = st.sampled_from(["null", "true", "false"]) | _numbers() | _strings()
    deep = st.integers(1, 199).map(lambda depth: "[" * depth + "]" * depth)
    shallow = st.recursive(leaves, lambda inner: _arrays(inner) | _objects(inner), max_leaves=8)
    return shallow | deep


def _arrays(inner: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.tuples(_spaces(), st.lists(inner, max_size=3)).map(lambda drawn: f"[{drawn[0]}{f'{drawn[0]},'.join(drawn[1])}]")


def _objects(inner: SearchStrategy[str]) -> SearchStrategy[str]:
    members = st.tuples(_strings() | st.just('"a"'), _spaces(), inner, _spaces()).map(
        lambda one: f"{one[0]}{one[1]}:{one[1]}{one[2]}{one[3]}"
    )
    return st.tuples(_spaces(), st.lists(members, max_size=4)).map(lambda drawn: f"{{{drawn[0]}{','.join(drawn[1])}}}")


def moments() -> SearchStrategy[datetime]:
    """Moments in UTC from the year 1 to the year 9999, whole microseconds."""
    return st.sampled_from([*_DAYS, times.EPOCH, MORNING]) | _US.map(times.moment)


def texts() -> SearchStrategy[str]:
    """Text as payloads hold it, with NUL, lone surrogates and length to cut."""
    return st.text(st.characters(), max_size=20) | st.sampled_from(["\x00", "\ud800", "x" * 600, "한" * 101, "🙂" * 501])


def source_versions() -> SearchStrategy[SourceVersion]:
    """Places in a platform's own order."""
    return st.builds(SourceVersion, st.sampled_from(["updated_at", "version"]), st.integers(-(2**64), 2**64))


def read_fields() -> SearchStrategy[Fields]:
    """What a mapping may have read from a payload."""
    text = st.none() | texts()
    moment = st.none() | moments()
    return st.builds(
        Fields,
        subject=text,
        status=st.none() | st.sampled_from(["open", "closed"]) | texts(),
        priority=text,
        requester=text,
        created_at=moment,
        updated_at=moment,
        source_version=st.none() | source_versions(),
        text_digest=st.binary(min_size=32, max_size=32),
    )


def incoming(keys: SearchStrategy[Key] | None = None) -> SearchStrategy[Incoming]:
    """Payloads on their way in."""
    return st.builds(Incoming, key=ticket_keys() | article_keys() if keys is None else keys, payload=payloads(), fields=read_fields())


def tickets(keys: SearchStrategy[Key] | None = None) -> SearchStrategy[Ticket]:
    """Tickets that were never saved."""
    return st.builds(new_ticket, incoming(ticket_keys() if keys is None else keys), now=moments())


def articles(keys: SearchStrategy[Key] | None = None) -> SearchStrategy[Article]:
    """Articles that were never saved."""
    return st.builds(new_article, incoming(article_keys() if keys is None else keys), now=moments())


def summaries(keys: SearchStrategy[Key] | None = None) -> SearchStrategy[Summary]:
    """Summaries that were never saved."""
    return st.builds(
        Summary,
        key=ticket_keys() | article_keys() if keys is None else keys,
        content=payloads(),
        model=st.none() | texts(),
        prompt_id=st.none() | texts(),
        parameters=payloads(),
        tokens=st.none() | st.integers(0, 2**63 - 1),
        cost=st.none() | st.floats(0, 1e6),
        source_digest=st.binary(min_size=32, max_size=32),
        pinned=st.booleans(),
        created_at=moments(),
    )


def statuses() -> SearchStrategy[ProcessingStatus]:
    """Processing statuses."""
    return st.sampled_from(ProcessingStatus)


def checkpoints() -> SearchStrategy[Checkpoint]:
    """How far a stream may have been read."""
    cursors = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
    return st.builds(Checkpoint, platform=platforms(), stream=record_ids(), cursor=cursors)
