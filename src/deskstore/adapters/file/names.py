"""
Names of files and directories for identifiers of any kind.

An identifier of plain lower-case ASCII, as nearly all real ones are, is its own name. Every other one gets a readable body, then `~` and 32
hexadecimal digits of the BLAKE2b hash of the exact identifier. Plain names have no `~`, and nothing before the hash can change it, so two
identifiers never share a name, even where a file system folds case or normalises Unicode. Case, scripts, `..`, slashes and Windows devices
are harmless for the same reason: what is not a letter, a digit or one of `-_.` is written `%XX`.
"""

import re
from collections.abc import Iterator
from unicodedata import ucd_3_2_0 as unicode  # frozen: with the newest tables a newer Python would look for a record under another name
from urllib.parse import unquote_to_bytes

NO_LOCALE = "~"

_LONGEST_BODY_BYTES = 160  # with the hash and .json 198 of 255, which leaves room for a suffix when a file is set aside
_PLAIN = re.compile(r"(?!(?:con|prn|aux|nul|(?:com|lpt)[0-9])(?:\.|\Z))[a-z0-9_-][a-z0-9_.-]{0,119}(?<!\.)")  # and no device
_HASHED = r"(?s)(?P<body>.*)~[0-9a-f]{32}"  # this and the next are compiled when first met, which few programs do
_DEVICE = r"(?ia)con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9]"


def encode(identifier: str) -> str:
    """
    The name of an identifier: one path component, at most 193 bytes, the extension not included.

    Takes whatever the domain accepts as an identifier. Whether a name belongs to an identifier is `encode(identifier) == name`.
    """
    if _PLAIN.fullmatch(identifier):
        return identifier
    from hashlib import blake2b  # few identifiers need it

    digest = blake2b(identifier.encode(), digest_size=16).hexdigest()
    return f"{_body(identifier)}~{digest}"


def decode(name: str) -> str | None:
    """
    The identifier that has this name, or None when the name alone does not tell.

    None for a name that `is_name` accepts means that its identifier was too long for the name, or not in NFC: read it from the record and
    compare with `encode`. None for any other name means that it is not one of ours.
    """
    hashed = re.fullmatch(_HASHED, name)
    if not hashed:
        return name if _is_plain(name) else None
    identifier = _unescaped(hashed["body"])
    return identifier if identifier is not None and encode(identifier) == name else None


def is_name(name: str) -> bool:
    """Whether `encode` may have made this name, as far as the name alone can tell."""
    if _is_plain(name):  # which has no ~, and nearly every name is
        return True
    hashed = re.fullmatch(_HASHED, name)
    return hashed is not None and _is_body(hashed["body"])


def encode_locale(locale: str) -> str:
    """The name of a locale, which other than an identifier may be empty."""
    return encode(locale) if locale else NO_LOCALE


def decode_locale(name: str) -> str | None:
    """The locale that has this name, or None when the name alone does not tell: see `decode`."""
    return "" if name == NO_LOCALE else decode(name)


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None


def _body(identifier: str) -> str:
    """As much of an identifier as fits, in characters that every file system takes."""
    text = unicode.normalize("NFC", identifier)
    escapes_first = text.startswith(".") or _is_device(text)
    return "".join(_cut(_escaped(character, escapes_first and index == 0) for index, character in enumerate(text)))


def _is_device(text: str) -> bool:
    """Whether Windows would open a device, whatever follows the first dot."""
    stem = unicode.normalize("NFKC", text).partition(".")[0]
    return re.fullmatch(_DEVICE, stem) is not None


def _escaped(character: str, always: bool) -> str:
    if _is_readable(character) and not always:
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode())


def _is_readable(character: str) -> bool:
    # the compatibility form is looked at as well, because that of some letters and digits holds spaces, dots or brackets
    return character in "-_." or all(unicode.category(part)[0] in "LN" for part in character + unicode.normalize("NFKC", character))


def _cut(characters: Iterator[str]) -> Iterator[str]:
    room = _LONGEST_BODY_BYTES
    for character in characters:
        room -= len(character.encode())
        if room < 0:
            return
        yield character


def _unescaped(body: str) -> str | None:
    try:
        return unquote_to_bytes(body).decode()
    except UnicodeError:
        return None


def _is_body(body: str) -> bool:
    """Whether a body looks as `_body` makes them."""
    text = _unescaped(body)
    return text is not None and _body(text) == body
