"""Writing records out: one payload a line, whole or not at all."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Final, cast

from attrs import Factory, define

_BLOCK: Final = 256 * 1024
_LINE_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")


def one_line(payload: bytes) -> bytes:
    """
    The payload without line breaks: each becomes a space.

    A raw line break is only ever white space between tokens: inside a text JSON has it escaped.
    """
    return payload.translate(_LINE_BREAKS) if b"\n" in payload or b"\r" in payload else payload


@define
class LineWriter:
    """Takes payloads and writes them as lines."""

    _to: IO[bytes]
    _thread: ThreadPoolExecutor  #: where the writing is done
    _waiting: list[bytes] = Factory(list[bytes])
    _size: int = 0
    count: int = 0  #: lines so far

    async def write(self, payload: bytes) -> None:
        """Add one line."""
        line = one_line(payload)
        self._waiting += (line, b"\n")
        self._size += len(line) + 1
        self.count += 1
        if self._size >= _BLOCK:
            await self.flush()

    async def flush(self) -> None:
        """Hand what waits to the file."""
        import asyncio

        block = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, block)

    def _write(self, block: bytes) -> None:
        self._to.write(block)
        self._to.flush()


@asynccontextmanager
async def write_lines(to: Path | IO[bytes]) -> AsyncGenerator[LineWriter]:
    """
    Write lines to a file, or to an open binary writer such as standard output, which stays open.

    A file is there whole once the block was left normally, and untouched otherwise; only its owner may read it. A link stays, and what it
    leads to is written. A pipe or a device is written as it comes. A name that ends in .gz or .zst is compressed.

    Raises:
        OSError: The file cannot be written.
    """
    import asyncio

    loop, thread = asyncio.get_running_loop(), ThreadPoolExecutor(1, "deskstore-lines")
    try:
        target = _target(to)
        try:
            writer = LineWriter(await loop.run_in_executor(thread, target.open), thread)
            yield writer
            await writer.flush()
            await loop.run_in_executor(thread, target.finish)
        finally:
            if isinstance(target, _Device):
                target.give_up()
            await loop.run_in_executor(thread, target.clean_up)  # behind an opening or a write that was cancelled and goes on
    finally:
        thread.shutdown(wait=False)


def is_stream(to: Path) -> bool:
    """Whether bytes are written to what is there already, a pipe or a device, and not to a file that they become."""
    return to.exists() and not to.is_file()


def _target(to: Path | IO[bytes]) -> _Stream | _Device | _File:
    if not isinstance(to, Path):
        return _Stream(to)
    return _Device(to) if is_stream(to) else _File(to.resolve())


class _Stream:
    """An open writer that others opened."""

    def __init__(self, to: IO[bytes]) -> None:
        self._to = to

    def open(self) -> IO[bytes]:
        return self._to

    def finish(self) -> None:
        self._to.flush()

    def clean_up(self) -> None:
        pass


class _Device:
    """A pipe or a device, which has a name and holds nothing."""

    def __init__(self, to: Path) -> None:
        self._to = to
        self._opened: list[IO[bytes]] = []  #: none yet while it is being opened
        self._is_over = threading.Event()

    def open(self) -> IO[bytes]:
        raw = os.fdopen(self._once_read(), "wb")
        self._opened = [_packed(raw, self._to.suffix), raw]
        return self._opened[0]

    def finish(self) -> None:
        for one in self._opened:
            one.close()

    def clean_up(self) -> None:
        with suppress(OSError):  # what could not be written has been said already
            self.finish()

    def give_up(self) -> None:
        """Wait no longer for somebody who reads."""
        self._is_over.set()

    def _once_read(self) -> int:
        """Open it as soon as somebody reads; an open that blocks could not be interrupted."""
        while True:
            try:
                handle = os.open(self._to, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                if error.errno != errno.ENXIO or self._is_over.wait(0.05):
                    raise
            else:
                os.set_blocking(handle, True)
                return handle


class _File:
    """A file that takes its name once it is whole."""

    def __init__(self, to: Path) -> None:
        self.to = to
        self._opened: _Partial | None = None  #: not yet while it is being opened

    def open(self) -> IO[bytes]:
        self._opened = _Partial(self.to)
        return self._opened.packed

    def finish(self) -> None:
        if self._opened is not None:
            self._opened.become(self.to)

    def clean_up(self) -> None:
        if self._opened is not None:
            self._opened.clean_up()


class _Partial:
    """What a file holds so far, under a name of its own beside it."""

    def __init__(self, to: Path) -> None:
        handle, made = tempfile.mkstemp(prefix=f".{to.name[:60]}.", suffix=".part", dir=to.parent)
        self.path = Path(made)
        self.raw: IO[bytes] = os.fdopen(handle, "wb")
        self.packed = _packed(self.raw, to.suffix)

    def become(self, to: Path) -> None:
        if self.packed is not self.raw:
            self.packed.close()
        self.raw.flush()
        os.fsync(self.raw.fileno())
        self.path.replace(to)
        folder = os.open(to.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def clean_up(self) -> None:
        with suppress(OSError):  # what could not be written has been said already
            self.packed.close()
            self.raw.close()
        self.path.unlink(missing_ok=True)


def _packed(raw: IO[bytes], suffix: str) -> IO[bytes]:
    if suffix == ".gz":
        import gzip

        return cast(IO[bytes], gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0))
    if suffix == ".zst":
        return _packed_zstd(raw)
    return raw


def _packed_zstd(raw: IO[bytes]) -> IO[bytes]:
    if sys.version_info >= (3, 14):
        from compression import zstd

        return cast(IO[bytes], zstd.ZstdFile(raw, "wb"))
    import zstandard

    return zstandard.ZstdCompressor().stream_writer(raw, closefd=False)
