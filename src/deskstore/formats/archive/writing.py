"""Writing a backup's file: under a name of its own beside it, whole and durable before it takes its name."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

import aiofiles

from deskstore.domain.mirror import Copy, Thing
from deskstore.domain.tallies import Totals
from deskstore.formats.archive import tar
from deskstore.formats.archive.frames import RAW_BYTES, pack
from deskstore.formats.archive.lines import line_of
from deskstore.formats.archive.manifest import HEAD, MANIFEST, Chunk, Head, Loss, Manifest, chunk_name, head_bytes, manifest_bytes
from deskstore.formats.archive.reading import Chunks
from deskstore.formats.archive.survey import Survey
from deskstore.formats.archive.walking import surveyed
from deskstore.formats.archive.working import OneThread


class _Sink(Protocol):
    """A file that is written somewhere."""

    async def write(self, text: bytes, /) -> int: ...
    async def flush(self) -> None: ...


class ArchiveWriter:
    """Takes things in the order in which they are to stand, and writes them as chunks."""

    def __init__(self, file: _Sink, path: Path, head: Head, thread: OneThread) -> None:
        self._file: Final = file
        self._path: Final = path
        self._head: Final = head
        self._thread: Final = thread
        self._chunks: Final[list[Chunk]] = []
        self._offsets: Final[list[int]] = []
        self._at = 0
        self._lines: list[bytes] = []
        self._size = 0
        self._ends: list[Thing] = []  #: the first and the last thing of the lines that wait
        self._is_of_changes = False
        self.lines = 0  #: so far

    @property
    def size_bytes(self) -> int:
        """How large the file is so far."""
        return self._at

    async def begin(self) -> None:
        """Write the head."""
        await self._member(HEAD, head_bytes(self._head))

    async def add(self, copy: Copy) -> None:
        """Write one thing."""
        line = line_of(copy)
        self._lines.append(line)
        self._size += len(line)
        self._ends = [*self._ends[:1], copy.thing]
        self.lines += 1
        if self._size >= RAW_BYTES:
            await self._flush()

    async def begin_changes(self) -> None:
        """Let all that comes from here on count instead of what stands before."""
        await self._flush()
        self._is_of_changes = True

    async def finish(self, *, ended_us: int, damaged: Sequence[Loss]) -> Manifest:
        """Read all of it back, and write at the end what it holds."""
        await self._flush()
        await self._file.flush()
        totals = await self._read_back()
        manifest = Manifest(
            company=self._head.company,
            ended_us=ended_us,
            head_sha256=sha256(head_bytes(self._head)).hexdigest(),
            chunks=self._chunks,
            counts={str(part): count for part, count in totals.counts.items()},
            content_digest=totals.content,
            replica_digest=totals.replica,
            damaged=damaged,
        )
        await self._member(MANIFEST, manifest_bytes(manifest))
        await self._file.write(tar.END)
        self._at += len(tar.END)
        return manifest

    async def _read_back(self) -> Totals:
        async with aiofiles.open(self._path, "rb") as file:
            return await surveyed(Survey(is_strict=False), Chunks(file, self._offsets, self._thread), self._chunks)

    async def _flush(self) -> None:
        if not self._lines:
            return
        raw = b"".join(self._lines)
        frame = await self._thread.run(pack, raw)
        name = chunk_name(len(self._chunks), is_of_changes=self._is_of_changes)
        self._chunks.append(
            Chunk(
                name=name,
                bytes=len(frame),
                sha256=sha256(frame).hexdigest(),
                raw_bytes=len(raw),
                lines=len(self._lines),
                first=self._ends[0],
                last=self._ends[-1],
            )
        )
        self._lines, self._size, self._ends = [], 0, []
        self._offsets.append(await self._member(name, frame))

    async def _member(self, name: str, content: bytes) -> int:
        """Write a member, and say where its content begins."""
        header = tar.header(tar.Member(name=name, size=len(content), modified_s=self._head.modified_s))
        begins = self._at + len(header)
        for block in (header, content, tar.padding(len(content))):
            await self._file.write(block)
            self._at += len(block)
        return begins


@asynccontextmanager
async def write_archive(to: Path, head: Head) -> AsyncGenerator[ArchiveWriter]:
    """
    Write a backup's file, which has its name once it is whole and durable, and is not there otherwise; only its owner may read it.

    Raises:
        FileExistsError: Something has that name already.
        OSError: The file cannot be written.
    """
    partial = _begin(to)  # not in a thread: what a cancelled call makes there, nobody would remove
    try:
        with OneThread() as thread:
            async with aiofiles.open(partial, "wb") as file:
                writer = ArchiveWriter(file, partial, head, thread)
                await writer.begin()
                yield writer
                await file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
        await asyncio.to_thread(_take_name, partial, to)
    finally:
        partial.unlink(missing_ok=True)


def _begin(to: Path) -> Path:
    if os.path.lexists(to):
        raise FileExistsError(errno.EEXIST, "there is a file of that name already, and backups overwrite nothing", str(to))
    handle, made = tempfile.mkstemp(prefix=f".{to.name[:60]}.", suffix=".part", dir=to.parent)
    os.close(handle)
    return Path(made)


def _take_name(partial: Path, to: Path) -> None:
    """Give the file its name, unless another one has it by now, and make that durable."""
    try:
        os.link(partial, to)
    except FileExistsError as error:
        raise FileExistsError(errno.EEXIST, "somebody else made it meanwhile, and the backup was not kept", str(to)) from error
    except OSError:  # not every file system has two names for one file
        partial.replace(to)
    with suppress(FileNotFoundError):
        partial.unlink()
    folder = os.open(to.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
