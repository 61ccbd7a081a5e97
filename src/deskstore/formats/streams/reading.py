"""
Reading exports: records as the exact slices of their source, one at a time, with memory that does not grow with the file.

What can be told apart is told apart by content: one JSON document, a list, pages with a list inside, pages after one another, NDJSON;
bare records or wrapped ones. What is no record is given as a Reject, and reading goes on behind it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import IO, Final, NamedTuple, Self

from deskstore.domain.errors import InvalidRecord
from deskstore.domain.payloads import Parsed
from deskstore.formats.json import MAX_BYTES, load
from deskstore.formats.streams.envelopes import LISTS, RECORD_KEYS, Envelope, enter, envelope_of, is_exported, outline
from deskstore.formats.streams.places import REJECT_BYTES, Detected, Format, Place, Reject, Slice
from deskstore.formats.streams.scanning import OPEN_LIST, OPEN_OBJECT, CutOff, TooLong, Window, is_whole, next_item, next_key
from deskstore.formats.streams.sources import Source, open_source

_BOM: Final = b"\xef\xbb\xbf"
_SPACE: Final = b" \t\r\n"
_LARGE: Final = 256 * 1024  #: an object of more bytes is a page rather than a record: it is looked at before it is parsed
_WRAPPINGS: Final = 4  #: how many envelopes inside one another are opened
_TAR_AT: Final = 257  #: where a tar archive says that it is one
_HEAD: Final = 65_536  #: bytes by which a source is judged
_TOO_LONG: Final = f"it is longer than {MAX_BYTES:,} bytes"
_CUT_OFF: Final = "the text ends in the middle of it: the file was cut off"
_NO_OBJECT: Final = "it is not a JSON object"


class Piece(NamedTuple):
    """Bytes that may be a record, or hold some."""

    payload: bytes
    line: int
    offset: int
    problem: str | None = None  #: why it is none; the payload is its beginning then


class _Line(NamedTuple):
    """A line that may be something else than a bare record."""

    piece: Piece
    value: Parsed | None  #: None: not read, or broken


class RecordReader:
    """
    An export being read: iterate over it once, then close it, or use it as an async context.

    Iterating raises InvalidRecord where the source is empty, is no JSON at all, or is damaged so that nothing behind can be read.
    """

    def __init__(self, source: Source, id_fields: Collection[str] = ()) -> None:
        self.source = source
        self.detected: Detected | None = None  #: what the source is; known from the first record on
        self._format: Format = "json"
        self._id_fields = frozenset(id_fields)
        self._records = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.source.close()

    async def __aiter__(self) -> AsyncGenerator[Slice | Reject, None]:
        async with aclosing(self.several()) as found:
            async for some in found:
                for one in some:
                    yield one

    async def several(self) -> AsyncGenerator[Sequence[Slice | Reject], None]:
        """The same, as many at a time as were at hand."""
        window = Window(self.source.read)
        self._format = await _format(window, self.source.name)
        if self._format == "ndjson":
            async for pieces in _lines(window):
                for some in self._parted(pieces):
                    if isinstance(some, list):
                        yield some
                        continue
                    async for found in self._examined(some.piece, whole=False, value=some.value):
                        yield (found,)
        else:
            async for piece in self._values(window):
                async for found in self._examined(piece, whole=self._format == "json"):
                    yield (found,)
        self._detect()

    def _parted(self, pieces: Iterable[Piece]) -> Iterator[list[Slice] | _Line]:
        """Bare records, as nearly all lines are, together, and each line that may be another thing by itself."""
        bare: list[Slice] = []
        for piece in pieces:
            value = None if piece.problem or len(piece.payload) > _LARGE else _read(piece)[0]
            if value is not None and self._envelope_of(value, whole=False) is None:
                self._detect()
                bare.append(self._slice(piece, value, ""))
            else:
                yield bare
                bare = []
                yield _Line(piece, value)
        yield bare

    # -- from text to pieces

    async def _values(self, window: Window) -> AsyncIterator[Piece]:
        while (byte := await window.significant()) is not None:
            if byte == OPEN_LIST:
                async for piece in _list(window):
                    yield piece
            elif byte == OPEN_OBJECT:
                async for piece in self._object(window):
                    yield piece
            elif (stray := await _line(window)) is not None:
                yield stray._replace(payload=stray.payload[:REJECT_BYTES], problem=stray.problem or _NO_OBJECT)

    async def _object(self, window: Window) -> AsyncIterator[Piece]:
        try:
            end = await window.value_end()
        except (TooLong, CutOff) as error:
            async for piece in self._page(window, _TOO_LONG if isinstance(error, TooLong) else _CUT_OFF):
                yield piece
        else:
            line, offset = window.line, window.offset
            yield Piece(window.take(end), line, offset)

    async def _page(self, window: Window, problem: str) -> AsyncIterator[Piece]:
        """The records of an object that is too long to be kept as a whole, or has no end; the object itself when there are none."""
        whole = _begin(window, problem)
        last: Piece | None = None
        others: list[str] = []
        try:
            async for last in self._records_of_page(window, others):
                yield last
        except CutOff:
            window.pos = len(window.data)
            if last is None or last.problem != _CUT_OFF:
                yield whole._replace(problem=_CUT_OFF)
        except (TooLong, ValueError) as error:
            raise InvalidRecord(f"{self.source.name} is broken JSON at byte {window.offset:,}: nothing behind can be read") from error
        else:
            if last is None:
                yield whole._replace(problem=_unnamed(others)) if others else whole

    async def _records_of_page(self, window: Window, others: list[str]) -> AsyncIterator[Piece]:
        """What lies in lists under the names that records have; other lists are left out, their names added to the others."""
        is_record = False
        window.pos += 1
        while (key := await next_key(window)) is not None:
            is_record = is_record or key in RECORD_KEYS or key in self._id_fields
            if is_record or not await _holds_objects(window):
                await window.skip()
            elif key in LISTS:
                self._detect(Envelope(name=key))
                async for piece in _list(window):
                    yield piece
            else:
                others.append(key)
                await window.skip()
        if is_record:
            others.clear()

    # -- from pieces to records

    async def _examined(
        self, piece: Piece, *, whole: bool, value: Parsed | None = None, stream: str = "", wrappings: int = _WRAPPINGS
    ) -> AsyncIterator[Slice | Reject]:
        problem = piece.problem
        if value is None and problem is None and len(piece.payload) <= _LARGE:
            value, problem = _read(piece)
        shallow = await _outlined(piece) if value is None and piece.problem is None else value
        envelope = self._envelope_of(shallow, whole=whole, sound=problem is None) if shallow and wrappings else None
        if envelope is not None:
            async for inner in self._unwrapped(piece, envelope):
                async for found in self._examined(inner, whole=False, stream=envelope.stream or stream, wrappings=wrappings - 1):
                    yield found
            return
        if value is None and shallow and is_exported(shallow):
            value = shallow  # the payload inside may be as long and as deep as any; whoever unwraps it judges it
        elif value is None and problem is None:
            value, problem = _read(piece)
        self._detect()
        yield self._reject(piece, problem) if value is None else self._slice(piece, value, stream)

    def _envelope_of(self, value: Mapping[str, object], *, whole: bool, sound: bool = True) -> Envelope | None:
        return envelope_of(value, whole=whole, sound=sound, id_fields=self._id_fields)

    async def _unwrapped(self, piece: Piece, envelope: Envelope) -> AsyncIterator[Piece]:
        window = _over(piece)
        if not envelope.path or not await enter(window, envelope.path):
            return
        self._detect(envelope)
        if window.data[window.pos] == OPEN_LIST:
            async for inner in _list(window):
                yield inner
        else:
            line, offset = window.line, window.offset
            yield Piece(window.take(await window.value_end()), line, offset)

    def _slice(self, piece: Piece, value: Parsed, stream: str) -> Slice:
        return Slice(payload=piece.payload, value=value, place=self._place(piece), stream=stream)

    def _reject(self, piece: Piece, problem: str | None) -> Reject:
        return Reject(place=self._place(piece), reason=problem or _NO_OBJECT, raw=piece.payload[:REJECT_BYTES])

    def _place(self, piece: Piece) -> Place:
        self._records += 1
        return Place(file=self.source.name, line=piece.line, record=self._records, offset=piece.offset)

    def _detect(self, envelope: Envelope | None = None) -> None:
        if self.detected is None:
            name = envelope.name if envelope else ""
            self.detected = Detected(format=self._format, compression=self.source.compression, envelope=name)


def read_records(of: Path | IO[bytes], *, name: str | None = None, id_fields: Collection[str] = ()) -> RecordReader:
    """
    Open an export for reading: a file, or an open binary reader such as standard input, which stays open.

    Args:
        of: What to read; gzip and zstd are unpacked.
        name: How messages call it.
        id_fields: Names of further fields that only a record has, so that its own lists are not taken for a page of records.

    Raises:
        OSError: The file cannot be opened.
        InvalidRecord: It is an archive, a database or another binary.
    """
    return RecordReader(open_source(of, name), id_fields)


# -- pieces ------------------------------------------------------------------------------------------------------------------------------


def _over(piece: Piece) -> Window:
    return Window(data=piece.payload, offset=piece.offset, line=piece.line)


def _read(piece: Piece) -> tuple[Parsed | None, str | None]:
    try:
        return load(piece.payload), None
    except InvalidRecord as error:
        return None, str(error)


async def _outlined(piece: Piece) -> dict[str, object]:
    """The object without its depths, also where it breaks the rule for JSON; nothing where it is no object."""
    window = _over(piece)
    try:
        return await outline(window) if await window.significant() == OPEN_OBJECT else {}
    except (TooLong, CutOff, ValueError):
        return {}


def _unnamed(lists: Sequence[str]) -> str:
    """Why nothing of a long page was taken: which of its lists holds the records could be told from the whole of it only."""
    names = ", ".join(repr(name) for name in lists[:3])
    return f"{_TOO_LONG}, and its records lie under a name that is not known ({names}): pass that list alone, or NDJSON"


def _begin(window: Window, problem: str) -> Piece:
    return Piece(window.data[window.pos : window.pos + REJECT_BYTES], window.line, window.offset, problem)


async def _holds_objects(window: Window) -> bool:
    return window.data[window.pos] == OPEN_LIST and await _following(window, 1) == OPEN_OBJECT


async def _list(window: Window) -> AsyncIterator[Piece]:
    window.pos += 1
    try:
        while (byte := await next_item(window)) is not None:
            yield await _item(window, byte)
    except CutOff:
        cut = _begin(window, _CUT_OFF)
        window.pos = len(window.data)
        yield cut


async def _item(window: Window, byte: int) -> Piece:
    line, offset = window.line, window.offset
    if byte != OPEN_OBJECT:
        begin = _begin(window, _NO_OBJECT)
        return begin._replace(payload=begin.payload[: await window.skip()])
    try:
        return Piece(window.take(await window.value_end()), line, offset)
    except TooLong:
        begin = _begin(window, _TOO_LONG)
        await window.skip()
        return begin


async def _lines(window: Window) -> AsyncIterator[list[Piece]]:
    """The lines that hold something, as many at a time as the window has whole."""
    while True:
        yield [*_whole_lines(window)]
        if (piece := await _line(window)) is None:
            return
        yield [*_stripped(piece)]


def _whole_lines(window: Window) -> Iterator[Piece]:
    end = window.data.rfind(b"\n", window.pos)
    if end < 0:
        return
    line, offset = window.line, window.offset
    for number, text in enumerate(window.take(end).split(b"\n"), line):
        yield from _stripped(Piece(text, number, offset))
        offset += len(text) + 1
    window.pos += 1


def _stripped(piece: Piece) -> Iterator[Piece]:
    """A line without the white space around it; nothing where that is all."""
    text = piece.payload.strip(_SPACE)
    if text and len(text) == len(piece.payload):
        yield piece  # as nearly all are
    elif text:
        yield piece._replace(payload=text, offset=piece.offset + piece.payload.find(text[:1]))


async def _line(window: Window) -> Piece | None:
    """The rest of the line, without its line break; None at the end of the text."""
    while (end := window.data.find(b"\n", window.pos)) < 0:
        if len(window.data) - window.pos > window.longest:
            return await _long_line(window)
        if not await window.grow():
            end = len(window.data)
            break
    if window.pos == len(window.data):
        return None
    line, offset = window.line, window.offset
    payload = window.take(end)
    window.pos = min(end + 1, len(window.data))
    return Piece(payload, line, offset)


async def _long_line(window: Window) -> Piece:
    begin = _begin(window, _TOO_LONG)
    while (end := window.data.find(b"\n", window.pos)) < 0:
        window.pos = len(window.data)
        if not await window.grow():
            return begin
    window.pos = end + 1
    return begin


# -- telling formats apart ---------------------------------------------------------------------------------------------------------------


async def _format(window: Window, name: str) -> Format:
    while len(window.data) < len(_BOM) and await window.grow():
        pass
    if window.data.startswith(_BOM):
        window.pos = len(_BOM)
    byte = await window.significant()
    if byte is None:
        raise InvalidRecord(f"{name} is empty: there is nothing to read")
    if byte == OPEN_LIST:
        return "array"
    if byte == OPEN_OBJECT:
        return "ndjson" if await _has_lines(window) else "json"
    head = window.data[window.pos : window.pos + _HEAD]
    if any(line.lstrip().startswith(b"{") and _read(Piece(line, 0, 0))[0] is not None for line in head.split(b"\n")[1:10]):
        return "ndjson"  # only its first lines are broken
    raise InvalidRecord(f"{name} {_foreign(head)}")


async def _has_lines(window: Window) -> bool:
    """Whether the text is one object a line: its first line is a whole one, or is broken, and more follow."""
    while (end := window.data.find(b"\n", window.pos)) < 0:
        if len(window.data) - window.pos > window.longest or not await window.grow():
            return False
    first = window.data[window.pos : end]
    following = await _following(window, end - window.pos)
    if is_whole(first):
        return following is not None
    # a document goes to the next line behind a bracket, a comma or a colon
    return first.rstrip()[-1:] not in (b"[", b"{", b",", b":") and following == OPEN_OBJECT


async def _following(window: Window, ahead: int) -> int | None:
    """The first byte that is no white space, so many bytes ahead of the window's position; None at the end."""
    while True:
        rest = window.data[window.pos + ahead : window.pos + ahead + _HEAD].lstrip(_SPACE)
        if rest:
            return rest[0]
        if len(window.data) > window.pos + ahead + _HEAD or not await window.grow():
            return None


def _foreign(head: bytes) -> str:
    """What a text that holds no JSON seems to be, and what to do."""
    first = head.split(b"\n", 1)[0]
    if head[_TAR_AT:].startswith(b"ustar"):
        return "is a tar archive: unpack it, or use `deskstore backup restore` if it is a backup"
    if b"\x00" in head or not _is_text(head):
        return "is binary: export JSON or NDJSON"
    if head.startswith(b"<"):
        return "is XML or HTML: export JSON or NDJSON"
    if any(mark in first for mark in (b",", b";", b"\t")):
        return "looks like CSV, which holds no whole records: export JSON or NDJSON instead"
    return f"is not JSON: it begins with {first[:40].decode('utf-8', errors='replace')!a}"


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # the last character may be cut
    return True
