"""Opening a backup's file: both ends and every header are looked at, and where each chunk lies is known then."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

import aiofiles

from deskstore.formats.archive import tar
from deskstore.formats.archive.damage import Damaged
from deskstore.formats.archive.frames import MOST_BYTES
from deskstore.formats.archive.manifest import (
    HEAD,
    MANIFEST,
    MOST_HEAD_BYTES,
    MOST_MANIFEST_BYTES,
    Chunk,
    Head,
    Manifest,
    chunk_name,
    read_head,
    read_manifest,
)
from deskstore.formats.archive.working import OneThread


class AsyncBytes(Protocol):
    """A file that is read somewhere."""

    async def seek(self, offset: int, /) -> int: ...
    async def read(self, size: int, /) -> bytes: ...


class Chunks:
    """The packed lines in a backup's file."""

    def __init__(self, file: AsyncBytes, offsets: Sequence[int], thread: OneThread) -> None:
        self.thread: Final = thread
        self._file: Final = file
        self._offsets: Final = offsets  #: of each chunk's first byte

    async def frame(self, place: int, chunk: Chunk) -> bytes:
        """The bytes of a chunk; raises Damaged where they are not those that the manifest tells of."""
        padding = tar.padding(chunk.bytes)
        await self._file.seek(self._offsets[place])
        found = await self._file.read(chunk.bytes + len(padding))
        frame = found[: chunk.bytes]
        if found[chunk.bytes :] != padding or sha256(frame).hexdigest() != chunk.sha256:
            raise Damaged(f"{chunk.name} was changed: its sha256 does not fit")
        return frame


class Archive:
    """A backup's file, whole as far as its ends and headers tell."""

    def __init__(self, head: Head, manifest: Manifest, chunks: Chunks, size_bytes: int) -> None:
        self.head: Final = head
        self.manifest: Final = manifest
        self.chunks: Final = chunks
        self.size_bytes: Final = size_bytes


@asynccontextmanager
async def open_archive(path: Path) -> AsyncGenerator[Archive]:
    """
    Open a backup's file.

    Raises:
        Damaged: It is cut off, was changed, or is something else.
        OSError: It cannot be read.
    """
    with OneThread() as thread:
        async with aiofiles.open(path, "rb", opener=_regular) as file:
            yield await scanned(file, os.fstat(file.fileno()).st_size, thread)


async def scanned(file: AsyncBytes, size: int, thread: OneThread) -> Archive:
    """The backup in an open file of so many bytes; raises Damaged."""
    return await _Scan(file, size, thread).archive()


def _regular(path: str, flags: int) -> int:
    """Open a file, and nothing that a read could wait for."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Damaged("it is no regular file: copy the backup into one first")
    return descriptor


class _Scan:
    """One walk along the headers."""

    def __init__(self, file: AsyncBytes, size: int, thread: OneThread) -> None:
        self._thread: Final = thread
        self._file: Final = file
        self._size: Final = size
        self._at = 0

    async def archive(self) -> Archive:
        head_text = await self._text(await self._head())
        head = read_head(head_text)
        self._modified_s = head.modified_s
        members, offsets, text = await self._chunks()
        manifest = read_manifest(text)
        if manifest.company != head.company or manifest.head_sha256 != sha256(head_text).hexdigest():
            raise Damaged(f"{MANIFEST} is of another backup than {HEAD}")
        if [(chunk.name, chunk.bytes) for chunk in manifest.chunks] != [(member.name, member.size) for member in members]:
            raise Damaged(f"{MANIFEST} tells of other members than there are")
        return Archive(head, manifest, Chunks(self._file, offsets, self._thread), self._size)

    async def _chunks(self) -> tuple[list[tar.Member], list[int], bytes]:
        """The chunks, where each begins, and the text of the manifest behind them."""
        members: list[tar.Member] = []
        offsets: list[int] = []
        while (member := await self._next()).name != MANIFEST:
            is_of_changes = member.name.startswith("changes/")
            follows = is_of_changes or not members or not members[-1].name.startswith("changes/")
            if not follows or member.name != chunk_name(len(members), is_of_changes=is_of_changes):
                raise Damaged(f"{member.name} is no member that a backup has there")
            self._check(member, MOST_BYTES)
            members.append(member)
            offsets.append(self._at)
            self._at += member.padded
        self._check(member, MOST_MANIFEST_BYTES)
        text = await self._text(member)
        if await self._read(len(tar.END)) != tar.END or self._at != self._size:
            raise Damaged(f"something follows {MANIFEST}, or the end is missing")
        return members, offsets, text

    async def _head(self) -> tar.Member:
        try:
            member = await self._next()
        except Damaged as error:
            raise Damaged("it does not begin as a backup does") from error
        if member.name != HEAD:
            raise Damaged(f"it begins with {member.name}, and a backup with {HEAD}")
        self._modified_s = member.modified_s
        self._check(member, MOST_HEAD_BYTES)
        return member

    def _check(self, member: tar.Member, most: int) -> None:
        if member.size > most:
            raise Damaged(f"{member.name} is said to have {member.size:,} bytes: at most {most:,} are allowed")
        if self._at + member.padded > self._size:
            raise Damaged(f"it is cut off in {member.name}")
        if member.modified_s != self._modified_s:
            raise Damaged(f"the header of {member.name} was changed")

    async def _text(self, member: tar.Member) -> bytes:
        found = await self._read(member.padded)
        if found[member.size :] != tar.padding(member.size):
            raise Damaged(f"something stands behind {member.name}")
        return found[: member.size]

    async def _next(self) -> tar.Member:
        return tar.read_header(await self._read(tar.BLOCK))

    async def _read(self, size: int) -> bytes:
        await self._file.seek(self._at)
        found = await self._file.read(size)
        self._at += len(found)
        if len(found) < size:
            raise Damaged("it is cut off: its end is missing")
        return found
