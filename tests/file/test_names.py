import random
import unicodedata
from collections.abc import Iterator
from hashlib import blake2b
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deskstore.adapters.file.names import decode, decode_locale, encode, encode_locale, is_name

NASTY = [
    *("a1", "A1", "a.", "a..", "a~b", "~", "~~", "a b", "a/b", "a\\b", "a%2Fb", "a%2fb", "%", "%61", "x.json", "x.json.json"),
    *(".", "..", "...", ".hidden", "../../etc/passwd", "/etc/passwd", "a/../b", ".deskstore", ".git", ".tmp",
      "~a", "-rf", "--", "_", "lost+found"),
    *("con", "CON", "Con", "nul", "NUL.", "nul.txt", "aux.tar.gz", "prn", "com1", "com0", "COM9.x",
      "lpt0", "com¹", "COM².log", "lpt³", "conin$", "CONOUT$"),
    *("console", "com", "com10", "ｃｏｎ", "ｎｕｌ.x", "con .x", "con" + " " * 100 + "x", "com⒈", "⒈con", "⒈", "½", "ﷺ", "①", "℀"),
    *("é", "e\u0301", "É", "E\u0301", "ﬁ", "fi", "ß", "ss", "SS", "ẞ",
      "İ", "i\u0307", "ı", "I", "i", "Å", "\u212b", "A\u030a", "K", "\u212a", "k"),
    *("한글", unicodedata.normalize("NFD", "한글"), "각", "ᄀ\u1161\u11a8", "가\u11a8", "티켓-42",
      "हिन्दी", "ไทยำ", "عربى", "\u0301", "a\u0301\u0323", "a\u0323\u0301"),
    *("😀", "👩\u200d👩\u200d👧", "\u202eabc", "\u200b", "\ufeff", "\u00ad", "“quoted”",
      '"', "'", "a:b", "a*b", "a?b", "a<b", "a>b", "a|b", "a;b", "$HOME", "`id`"),
    *("～", "．．", "／", "＼", "․․", "\u2024", "﹒", "a\u037eb", "\u037a", "ſ", "s", "ς", "σ", "Σ", "Ω", "\u2126"),
    *("a" * 120, "a" * 121, "a" * 255, "A" * 255, "한" * 255, "각" * 255, "😀" * 255, "/" * 255,
      "." * 255, "a" * 254 + "b", "a" * 254 + "c", "%" * 255),
    "encoded~" + "0" * 32,
]  # fmt: skip
Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
FORMS: list[Form] = ["NFC", "NFD", "NFKC", "NFKD"]


def _is_accepted(text: str) -> bool:
    """Whether the domain takes a text as an identifier."""
    return 0 < len(text) <= 255 and text == text.strip() and not any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)


ACCEPTED = [text for text in NASTY if _is_accepted(text)]
IDENTIFIERS = st.one_of(
    st.sampled_from(ACCEPTED),
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=255),
    st.text("aA1.~%/\\ -_:*?\"<>|'eE\u0301é한😀", min_size=1, max_size=40),
    st.lists(st.sampled_from(["con", "NUL", "com¹", ".", "..", "/", "~", " ", "a", "A", "한"]), min_size=1, max_size=8).map("".join),
).filter(_is_accepted)


def _hostile_texts(source: random.Random) -> Iterator[str]:
    """Hostile identifiers without end: pieces of nasty ones, of paths and of any script."""
    pieces = [*NASTY, *("/", "..", "../", ".", " ", "~", "\\", "%2e%2e%2f", "C:", "json", ".json", ".deskstore/state.sqlite3")]
    while True:
        parts = [source.choice(pieces) for _ in range(source.randint(1, 3))]
        parts += [
            chr(source.choice([source.randrange(0x20, 0x3000), source.randrange(0xAC00, 0xD7A4), source.randrange(0x10000, 0x20000)]))
        ]
        source.shuffle(parts)
        text = "".join(parts)[:255]
        if _is_accepted(text):
            yield source.choice([text, text.upper(), text.lower(), unicodedata.normalize("NFD", text)[:255].strip() or text])


def _is_safe(name: str) -> bool:
    """Whether every file system takes the name of a file, as it is, and stays in its directory."""
    return (
        0 < len(name.encode()) <= 255
        and not name.startswith(".")
        and not name.endswith((".", " "))
        and not any(character in '/\\:*?"<>|' or unicodedata.category(character).startswith("C") for character in name)
        and not _is_device(name)
    )


def _is_device(name: str) -> bool:
    stem = unicodedata.normalize("NFKC", name).casefold().split(".")[0].rstrip()
    numbered = {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}
    return stem in {"con", "prn", "aux", "nul", "conin$", "conout$"} | numbered


def _folded(name: str, form: Form) -> str:
    """The name as a file system sees it that neither tells case nor Unicode forms apart."""
    return unicodedata.normalize(form, unicodedata.normalize(form, name).casefold())


@given(st.lists(IDENTIFIERS, max_size=20))
@example(ACCEPTED)
def test_two_identifiers_never_share_a_name_however_the_file_system_folds_it(identifiers: list[str]) -> None:
    names = [encode(identifier) for identifier in set(identifiers)]

    folded = [{_folded(name, form) for name in names} for form in FORMS]

    assert [len(each) for each in folded] == [len(set(identifiers))] * len(FORMS)


@given(IDENTIFIERS, st.sampled_from(FORMS))
@example("A1", "NFC")
@example("\u212b", "NFC")
@example("ｎｕｌ", "NFKC")
def test_an_identifier_and_its_folded_twin_have_names_of_their_own(identifier: str, form: Form) -> None:
    twin = _folded(identifier, form)

    names = {_folded(encode(each), form) for each in {identifier, twin}}

    assert len(names) == len({identifier, twin})


@given(st.lists(IDENTIFIERS, max_size=20))
@example(ACCEPTED)
def test_every_name_is_one_that_every_file_system_takes(identifiers: list[str]) -> None:
    names = [encode(identifier) for identifier in identifiers]

    assert [name for name in names if not _is_safe(name + ".json") or not _is_safe(name)] == []


@given(st.lists(IDENTIFIERS, max_size=20))
@example(ACCEPTED)
def test_a_name_gives_its_identifier_back_or_says_that_it_cannot(identifiers: list[str]) -> None:
    decoded = {identifier: decode(encode(identifier)) for identifier in identifiers}

    assert {identifier for identifier, back in decoded.items() if back not in (identifier, None)} == set()
    assert all(is_name(encode(identifier)) for identifier in identifiers)


@given(IDENTIFIERS.filter(lambda identifier: unicodedata.ucd_3_2_0.is_normalized("NFC", identifier) and len(identifier.encode()) <= 53))
@example("../../etc/passwd")
@example("CON")
@example("티켓 42")
@example("%61")
def test_a_short_identifier_in_nfc_can_be_read_from_its_name(identifier: str) -> None:
    name = encode(identifier)

    assert decode(name) == identifier


@pytest.mark.parametrize("identifier", ["A" * 161, "한" * 54, "😀" * 255, "a" * 121 + "/" * 20, "e\u0301", "con" + " " * 252])
def test_a_name_that_lost_its_identifier_is_still_told_from_a_stranger(identifier: str) -> None:
    name = encode(identifier)

    assert decode(name) is None
    assert is_name(name)


@given(st.text(max_size=60) | IDENTIFIERS.map(lambda identifier: encode(identifier).swapcase()))
@example("A1")
@example("con")
@example("a.")
@example("~")
@example("")
@example("\udc80")
@example("\udc80~" + "0" * 32)
@example("a%2fb~" + "0" * 32)
@example("%FF~" + "0" * 32)
@example("\u0301~" + "0" * 32)
@example("lost+found")
@example("42 (copy)")
@example("#42#")
@example("1\n")
@example("A1~" + "0" * 32 + "\n")
def test_only_the_names_that_encode_makes_are_decoded(name: str) -> None:
    identifier = decode(name)

    assert identifier is None or encode(identifier) == name
    assert identifier is None or is_name(name)


@pytest.mark.parametrize(
    "name", ["", "A1", "con", "nul.x", "a.", ".a", "~", "a/b", "#42#", "42 copy", "lost+found", ".DS_Store", "%FF~" + "0" * 32, "\udc80"]
)
def test_a_stranger_is_no_name(name: str) -> None:
    answers = is_name(name), decode(name)

    assert answers == (False, None)


@pytest.mark.parametrize("identifier", ["42", "a", "acme", "ticket-42_b.c", "0" * 120, "-rf", "x.json", "console", "com10"])
def test_a_plain_identifier_is_its_own_name(identifier: str) -> None:
    name = encode(identifier)

    assert (name, decode(name)) == (identifier, identifier)


@pytest.mark.parametrize(
    ("identifier", "body"),
    [
        ("A1", "A1"),
        ("티켓-42", "티켓-42"),
        ("en-US", "en-US"),
        ("a/b", "a%2Fb"),
        ("..", "%2E."),
        ("NUL.", "%4EUL."),
        ("com¹.x", "%63om¹.x"),
        ("e\u0301", "é"),
        ("①⒈", "①%E2%92%88"),
    ],
)
def test_any_other_identifier_stays_readable_before_the_hash_of_its_exact_text(identifier: str, body: str) -> None:
    name = encode(identifier)

    assert name == f"{body}~{blake2b(identifier.encode(), digest_size=16).hexdigest()}"


@pytest.mark.parametrize("identifier", ["\uab70", "\u9fff", "\U0001df00", "\U000323af", "\U000105c0"])
def test_characters_younger_than_our_unicode_tables_are_escaped_so_that_every_python_makes_the_same_name(identifier: str) -> None:
    name = encode(identifier)

    assert name.isascii()
    assert decode(name) == identifier


@pytest.mark.parametrize(("locale", "name"), [("", "~"), ("ko", "ko"), ("pt-br", "pt-br"), ("en-US", encode("en-US"))])
def test_a_locale_has_a_name_even_when_it_is_empty(locale: str, name: str) -> None:
    encoded = encode_locale(locale)

    assert (encoded, decode_locale(encoded)) == (name, locale)


def test_ten_thousand_hostile_identifiers_have_ten_thousand_safe_names_of_their_own() -> None:
    seed = random.SystemRandom().randrange(2**32)
    identifiers = _distinct(_hostile_texts(random.Random(seed)), 10_000)

    names = [encode(identifier) for identifier in identifiers]

    assert [name for name in names if not _is_safe(name + ".json")] == [], f"seed {seed}"
    assert [len({_folded(name, form) for name in names}) for form in FORMS] == [10_000] * len(FORMS), f"seed {seed}"
    assert {decode(name) for name in names} <= {*identifiers, None}, f"seed {seed}"


def _distinct(texts: Iterator[str], count: int) -> set[str]:
    found: set[str] = set()
    while len(found) < count:
        found.add(next(texts))
    return found
