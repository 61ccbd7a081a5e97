"""
Opening what people export: files and standard input, plain, gzip or zstd, told by their first bytes and never by their names.

A compressed source that has given more than 64 MiB at more than 200 times its own size is taken for a bomb and refused: text as helpdesks
hold it shrinks to a tenth, rarely to a fiftieth.
"""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Final, Protocol, cast

from attrs import Factory, define

from deskstore.domain.errors import InvalidRecord
from deskstore.formats.streams.places import Compression

CHUNK: Final = 256 * 1024
BOMB_RATIO: Final = 200
BOMB_BYTES: Final = 64 * 2**20

_FEED: Final = 1024  #: compressed bytes unpacked at a time: the most hostile ones give 32 MiB
_ZSTD_WINDOW_LOG: Final = 27  #: 128 MiB, what `zstd --long` makes; a larger window is memory that a file asks for
_GZIP: Final = 31  #: zlib's number for its largest window with gzip's header
_OTHERS: Final = {
    b"PK\x03\x04": "a ZIP archive (or an Excel file): unpack it, or export JSON",
    b"BZh": "compressed with bzip2: unpack it first (gzip and zstd are read as they are)",
    b"\xfd7zXZ\x00": "compressed with xz: unpack it first (gzip and zstd are read as they are)",
    b"%PDF": "a PDF: export JSON",
    b"SQLite format 3\x00": "an SQLite database: export JSON",
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
}


@define
class Source:
    """An open export, unpacked as it is read."""

    name: str  #: as messages say it
    compression: Compression
    size_bytes: int | None  #: as it lies on the disk; None for standard input
    _counted: _Counted
    _plain: io.BufferedIOBase
    _given: int = 0
    # one thread of its own: the loop's many would come up one by one in a long run, each with a heap that stays
    _thread: ThreadPoolExecutor = Factory(lambda: ThreadPoolExecutor(1, "deskstore-source"))

    @property
    def taken_bytes(self) -> int:
        """How much was read of the source as it lies on the disk: with size_bytes the progress."""
        return self._counted.taken

    async def read(self) -> bytes:
        """
        The next piece of at most 256 KiB; nothing at the end.

        Raises:
            OSError: The source cannot be read.
            InvalidRecord: The compressed source is damaged, cut off, or a bomb.
        """
        from aiofiles.threadpool import wrap

        try:
            chunk = bytes(await wrap(self._plain, executor=self._thread).read(CHUNK))
        except _Damaged as error:
            said = f"{self.name} is damaged {self.compression} data after {self._given:,} unpacked bytes ({error})"
            raise InvalidRecord(f"{said}: fetch it again; what was kept of it before stays") from error
        self._given += len(chunk)
        if self._given > BOMB_BYTES and self._given > BOMB_RATIO * self.taken_bytes:
            raise InvalidRecord(f"{self.name} unpacks to more than {BOMB_RATIO} times its size: unpack it yourself if you trust it")
        return chunk

    def close(self) -> None:
        """Let go of the file; standard input stays open."""
        self._thread.shutdown(wait=False)
        self._plain.close()
        self._counted.close()


def open_source(of: Path | IO[bytes], name: str | None = None) -> Source:
    """
    Open a file, or take over an open binary reader, which is left open.

    Raises:
        OSError: The file cannot be opened.
        InvalidRecord: It is something else than JSON text, compressed or not.
    """
    said = name or (str(of) if isinstance(of, Path) else "standard input")
    size = of.stat().st_size if isinstance(of, Path) else None
    counted = _Counted(of.open("rb") if isinstance(of, Path) else of, owned=isinstance(of, Path))
    raw = io.BufferedReader(cast(io.RawIOBase, counted), CHUNK)
    head = raw.peek(16)
    other = next((what for magic, what in _OTHERS.items() if head.startswith(magic)), None)
    if other:
        raw.close()
        raise InvalidRecord(f"{said} is {other}")
    compression = _compression(head)
    return Source(said, compression, size, counted, raw if compression == "none" else _unpacked(raw, compression))


def _compression(head: bytes) -> Compression:
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    # a frame, or one of the sixteen kinds that are skipped, with which parallel packers begin
    frame = head.startswith(b"\x28\xb5\x2f\xfd") or (head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50)
    return "zstd" if frame else "none"


class _Counted(io.RawIOBase):
    """A reader that knows how much was taken from it, and leaves open what it did not open."""

    def __init__(self, inner: IO[bytes], *, owned: bool) -> None:
        super().__init__()
        self.inner = inner
        self.owned = owned
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        data = self.inner.read(len(view))
        view[: len(data)] = data
        self.taken += len(data)
        return len(data)

    def close(self) -> None:
        if self.owned:
            self.inner.close()
        super().close()


# -- unpacking ---------------------------------------------------------------------------------------------------------------------------


class _Damaged(Exception):
    """Compressed data is not what its compressor wrote."""


class _Unpacker(Protocol):
    """What zlib and both zstd libraries have in common: it unpacks one frame."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class _Unpacked(io.RawIOBase):
    """Compressed frames, one after another, as what was packed into them; a last frame without its end is an error."""

    def __init__(self, packed: io.BufferedIOBase, unpacker: Callable[[], _Unpacker], error: type[Exception]) -> None:
        super().__init__()
        self._packed = packed
        self._unpacker = unpacker
        self._error = error
        self._frame: _Unpacker | None = None
        self._rest = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        while not self._ready:
            if not self._unpack():
                return 0
        view = memoryview(cast(bytearray, buffer))
        size = min(len(view), len(self._ready))
        view[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def close(self) -> None:
        self._packed.close()
        super().close()

    def _unpack(self) -> bool:
        """Unpack the next piece, which may give nothing yet; False at the end."""
        piece = self._rest or self._packed.read(_FEED)
        self._rest = b""
        if not piece:
            if self._frame is not None:
                raise _Damaged("it ends in the middle")
            return False
        if self._frame is None:
            piece = piece.lstrip(b"\x00")  # tapes and some tools fill up with zeros
        if piece:
            self._ready = memoryview(self._decompressed(piece))
        return True

    def _decompressed(self, piece: bytes) -> bytes:
        frame = self._frame or self._unpacker()
        try:
            unpacked = frame.decompress(piece)
        except self._error as error:
            raise _Damaged(str(error)) from error
        self._frame, self._rest = (None, frame.unused_data) if frame.eof else (frame, b"")
        return unpacked


def _unpacked(raw: io.BufferedIOBase, compression: Compression) -> io.BufferedIOBase:
    unpacker, error = _zstd() if compression == "zstd" else (lambda: zlib.decompressobj(_GZIP), zlib.error)
    return io.BufferedReader(cast(io.RawIOBase, _Unpacked(raw, unpacker, error)), CHUNK)


def _zstd() -> tuple[Callable[[], _Unpacker], type[Exception]]:
    if sys.version_info >= (3, 14):
        from compression import zstd

        options = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
        return (lambda: zstd.ZstdDecompressor(options=options)), zstd.ZstdError
    import zstandard

    library = zstandard.ZstdDecompressor(max_window_size=2**_ZSTD_WINDOW_LOG)
    return library.decompressobj, zstandard.ZstdError
