"""
Finding where JSON values begin and end in text that arrives in pieces, without keeping more of it than one record.

Only the bounds are judged here, by strings and brackets; whether a value keeps the rule for JSON is for its reader. The text is looked
at by regular expressions that pass over plain stretches and flat objects in one step: some 20 steps a ticket.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

from deskstore.formats.json import MAX_BYTES

# Possessive, so that nothing is tried twice; the repetitions of groups are bounded, because each costs memory until the match ends.
_STRETCH: Final = rb'[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+){0,100}"'
_FLAT: Final = rb"(?:" + _STRETCH + rb"){0,200}"
_PASS: Final = re.compile(rb"(?:" + _STRETCH + rb"|\{" + _FLAT + rb"\}|\[" + _FLAT + rb"\]){0,1000}", re.DOTALL)
_PASS_TEXT: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+){0,1000}', re.DOTALL)
_OPENERS: Final = re.compile(rb"[\[{]+")
_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_SCALAR: Final = re.compile(rb"[^,\[\]{}\" \t\r\n:]*")
_COMMAS: Final = re.compile(rb"[ \t\r\n,]*")
_COLON: Final = re.compile(rb"[ \t\r\n]*:")
LONGEST: Final = MAX_BYTES + 8_192  #: bytes of a piece: of a record with the envelope that an export puts around it
_LONGEST_AS_TEXT: Final = 2 * MAX_BYTES + 8_192  #: of one whose envelope holds the payload as text, in which quotes take two bytes
_OUR_ENVELOPE: Final = b'{"deskstore":'
QUOTE, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT, COMMA, COLON, NEWLINE = b'"[]{},:\n'

More = Callable[[], Awaitable[bytes]]


async def _nothing() -> bytes:
    return b""


class TooLong(Exception):
    """A value is longer than a record may be; the window still holds its beginning."""


class CutOff(Exception):
    """The text ends inside a value."""


class Window:
    """The part of a text that is being looked at; grows at its end, and is let go up to `pos`."""

    def __init__(self, more: More = _nothing, data: bytes = b"", *, offset: int = 0, line: int = 1) -> None:
        self.data = data
        self.pos = 0
        self._more = more
        self._base = offset
        self._line = line
        self._counted = 0

    @property
    def offset(self) -> int:
        """Bytes of the text before `pos`."""
        return self._base + self.pos

    @property
    def line(self) -> int:
        """The line of `pos`, from 1."""
        if self.pos < self._counted:
            self._line -= self.data.count(b"\n", self.pos, self._counted)
        else:
            self._line += self.data.count(b"\n", self._counted, self.pos)
        self._counted = self.pos
        return self._line

    @property
    def longest(self) -> int:
        """How many bytes the piece that begins at `pos` may have."""
        return _LONGEST_AS_TEXT if self.data.startswith(_OUR_ENVELOPE, self.pos) else LONGEST

    async def grow(self) -> bool:
        """Let go of what lies before `pos` and add the next piece; False at the end of the text."""
        chunk = await self._more()
        if not chunk:
            return False
        _ = self.line
        self.data = self.data[self.pos :] + chunk
        self._base += self.pos
        self.pos = self._counted = 0
        return True

    async def significant(self) -> int | None:
        """Pass over white space; the byte that follows, None at the end."""
        while True:
            match = _SPACE.match(self.data, self.pos)
            self.pos = match.end() if match else self.pos
            if self.pos < len(self.data):
                return self.data[self.pos]
            if not await self.grow():
                return None

    async def value_end(self) -> int:
        """
        Where the object, array or text that begins at `pos` ends, as an index into `data`.

        Raises:
            TooLong: It is longer than a record may be.
            CutOff: The text ends first.
        """
        scan = _Scan()
        while not scan.run(self.data, self.pos):
            if scan.at > self.longest:
                raise TooLong
            if not await self.grow():
                raise CutOff
        if scan.at > self.longest:
            raise TooLong
        return self.pos + scan.at

    async def skip(self) -> int:
        """
        Pass over the value that begins at `pos`, however long, keeping nothing of it; the number of its bytes.

        Raises:
            CutOff: The text ends first.
        """
        begin = self.offset
        if self.data[self.pos] not in (QUOTE, OPEN_LIST, OPEN_OBJECT):
            return await self._skip_scalar()
        scan = _Scan()
        while not scan.run(self.data, self.pos):
            self.pos += scan.at
            scan.at = 0
            if not await self.grow():
                raise CutOff
        self.pos += scan.at
        return self.offset - begin

    async def _skip_scalar(self) -> int:
        begin = self.offset
        while True:
            match = _SCALAR.match(self.data, self.pos)
            self.pos = match.end() if match else self.pos
            if self.pos < len(self.data) or not await self.grow():
                break
        if self.offset == begin and self.pos < len(self.data):
            self.pos += 1  # a colon or a closing bracket where a value should be
        return self.offset - begin

    def take(self, end: int) -> bytes:
        """The bytes from `pos` to an index into `data`; moves behind them."""
        taken = self.data[self.pos : end]
        self.pos = end
        return taken


class _Scan:
    """How far into a value one has come, `at` bytes from its beginning."""

    def __init__(self) -> None:
        self.at = 0
        self.depth = 0
        self.in_text = False

    def run(self, data: bytes, begin: int) -> bool:
        """Go on as far as the data reaches; True once the value has ended."""
        at = begin + self.at
        while at < len(data):
            at = self._text(data, at) if self.in_text else self._structure(data, at)
            if self.depth == 0 and not self.in_text:
                break
            if self.in_text and at >= len(data) - 1 and data[at : at + 1] in (b"", b"\\"):
                break
        self.at = at - begin
        return self.at > 0 and self.depth == 0 and not self.in_text

    def _structure(self, data: bytes, at: int) -> int:
        if self.depth:
            passed = _PASS.match(data, at)
            at = passed.end() if passed else at
        if at >= len(data):
            return at
        byte = data[at]
        if byte == QUOTE:
            self.in_text = True
        elif byte in (OPEN_LIST, OPEN_OBJECT):
            run = _OPENERS.match(data, at)
            opened = run.end() - at if run else 1
            self.depth += opened
            return at + opened
        elif byte in (CLOSE_LIST, CLOSE_OBJECT):
            self.depth -= 1
        else:
            return at  # the engine's bound was reached in the middle of a plain stretch
        return at + 1

    def _text(self, data: bytes, at: int) -> int:
        """Behind the quote that ends the text, or as far as is sure: never between a backslash and what it escapes."""
        passed = _PASS_TEXT.match(data, at)
        at = passed.end() if passed else at
        if data[at : at + 1] != b'"':
            return at
        self.in_text = False
        return at + 1


def is_whole(text: bytes) -> bool:
    """Whether an object, array or text that begins here also ends here."""
    return _Scan().run(text, 0)


def member(text: bytes, name: str) -> tuple[int, int] | None:
    """Where the value of an object's first member with a name begins and ends, white space around it included; None where there is none."""
    at = text.find(b"{") + 1
    while (key := _COMMAS.match(text, at)) and text[key.end() : key.end() + 1] == b'"':
        end = _value_end(text, key.end())
        colon = _COLON.match(text, end)
        if colon is None:
            return None
        at = _past_space(text, _value_end(text, _past_space(text, colon.end())))
        if text[key.end() + 1 : end - 1] == name.encode():
            return colon.end(), at
    return None


def _past_space(text: bytes, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _value_end(text: bytes, begin: int) -> int:
    """Where a value ends, or the text if it does first."""
    if text[begin : begin + 1] in (b'"', b"[", b"{"):
        scan = _Scan()
        scan.run(text, begin)
        return begin + scan.at
    scalar = _SCALAR.match(text, begin)
    return scalar.end() if scalar else len(text)


# -- objects and arrays, member by member ------------------------------------------------------------------------------------------------


async def next_key(window: Window) -> str | None:
    """
    The next key of an object, None behind its last; the window moves to the key's value, which the caller takes or skips.

    Before the first call the window stands behind the opening brace.

    Raises:
        CutOff: The text ends inside the object.
        ValueError: Something else than a key and a colon stands there.
    """
    byte = await _past_commas(window)
    if byte == CLOSE_OBJECT:
        window.pos += 1
        return None
    if byte != QUOTE:
        raise ValueError(f"a key was expected at byte {window.offset}")
    key = window.take(await window.value_end())
    if await window.significant() != COLON:
        raise ValueError(f"a colon was expected at byte {window.offset}")
    window.pos += 1
    if await window.significant() is None:
        raise CutOff
    return key[1:-1].decode("utf-8", errors="replace")


async def next_item(window: Window) -> int | None:
    """
    The first byte of an array's next item, None behind its last; the window moves to the item, which the caller takes or skips.

    Before the first call the window stands behind the opening bracket.

    Raises:
        CutOff: The text ends inside the array.
    """
    byte = await _past_commas(window)
    if byte == CLOSE_LIST:
        window.pos += 1
        return None
    return byte


async def _past_commas(window: Window) -> int:
    while (byte := await window.significant()) == COMMA:
        window.pos += 1
    if byte is None:
        raise CutOff
    return byte
