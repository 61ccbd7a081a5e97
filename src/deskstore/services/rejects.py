"""
The file of records that an import could not keep: one JSON object a line, with the reason, to be mended and imported again.

What lies there already is never written over, as somebody may not have mended it yet, or may be at it: a run begins a file of its own,
numbered where the name is taken. Only when it is whole, and an earlier file holds nothing but its beginning, does it take that one's place:
so an import that is repeated, or was killed before it acknowledged anything, has one file in the end.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import count, takewhile
from pathlib import Path
from typing import IO, Final, Self

import orjson

from deskstore.domain.errors import ConfigurationError, InvalidRecord
from deskstore.formats.streams import Reject, is_stream

_PLACE: Final = {"file", "line", "reason"}
_CHUNK: Final = 2**20


class RejectsFile:
    """
    Where an import puts what it could not keep; made when there is something to put there.

    Args:
        path: The name that is asked for; None: nothing is written, but counted as if it were.
        kept_in: Where an interrupted run put them.
        kept_bytes: How much of that it had acknowledged; what follows is cut off and comes again.
    """

    def __init__(self, path: Path | None, kept_in: Path | None = None, kept_bytes: int = 0) -> None:
        self._path = path
        self._kept_bytes = kept_bytes
        self._size_bytes = kept_bytes
        self._file: IO[bytes] | None = None
        self._is_stream = path is not None and is_stream(path)
        self._waiting = b""  #: for a stream, from which nothing can be taken back
        self.place: Path | None = None  #: where they are; None as long as there are none
        if path is not None and kept_in is not None and kept_bytes:
            self.place = path if self._is_stream else path.with_name(kept_in.name)

    def put(self, rejects: Iterable[Reject]) -> int:
        """Write these behind what is acknowledged, in place of those put there before, safe on the disk; the size the file has then."""
        lines = b"".join(as_line(reject) for reject in rejects)
        self._size_bytes = self._kept_bytes + len(lines)
        if self._is_stream:
            self._waiting = lines
        elif self._path is not None and (lines or self._file):
            file = self._file or self._open(self._path)
            file.truncate(self._kept_bytes)
            file.seek(self._kept_bytes)
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        return self._size_bytes

    def acknowledge(self) -> None:
        """What was put there stays, whatever is put behind it."""
        self._kept_bytes = self._size_bytes
        if self._path is not None and self._waiting:
            file = self._file or self._open(self._path)
            file.write(self._waiting)
            file.flush()
            self._waiting = b""

    def settle(self) -> None:
        """Take the place of files that hold nothing but the beginning of this one, now that it is whole."""
        if self._path is None or self.place is None or self._is_stream:
            return
        before = takewhile(lambda name: name != self.place and name.is_file(), _names(self._path))
        if contained := [name for name in before if _begins_with(self.place, name)]:
            self.place = self.place.replace(contained[0])
            for name in contained[1:]:
                name.unlink()

    def _open(self, path: Path) -> IO[bytes]:
        try:
            self._file = self._begun(path) if self.place is None else self.place.open("wb" if self._is_stream else "r+b")
        except OSError as error:
            raise ConfigurationError(
                f"{path} cannot take the rejected records ({error.strerror}): name another file with --rejects"
            ) from error
        return self._file

    def _begun(self, path: Path) -> IO[bytes]:
        """A file under the first name that is free."""
        if self._is_stream:
            self.place = path
            return path.open("wb")
        for name in _names(path):
            try:
                file = name.open("xb")
            except FileExistsError:
                continue
            self.place = name
            return file
        raise AssertionError  # there is always another number

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def _names(path: Path) -> Iterator[Path]:
    """A name, and those that stand in for it where it is taken: week.rejects.ndjson, week.rejects-2.ndjson and so on."""
    yield path
    for number in count(2):
        yield path.with_stem(f"{path.stem}-{number}")


def _begins_with(path: Path, beginning: Path) -> bool:
    """Whether a file holds all that another one holds, and perhaps more behind it."""
    with path.open("rb") as whole, beginning.open("rb") as part:
        while chunk := part.read(_CHUNK):
            if whole.read(len(chunk)) != chunk:
                return False
    return True


def holds(path: Path | None, kept_in: Path | None, size_bytes: int) -> bool:
    """Whether the rejects file of an interrupted run, which asked for the same name, still has what that run acknowledged."""
    if path is None or not size_bytes or is_stream(path):
        return True
    if kept_in is None or not kept_in.is_file() or kept_in.stat().st_size < size_bytes:
        return False
    return kept_in in takewhile(lambda name: name == kept_in or name.exists(), _names(path.absolute()))


def refuse_source(path: Path | None, sources: Iterable[Path | IO[bytes]]) -> None:
    """Raise ConfigurationError where the rejected records would be written into the very file that is read, by whatever name."""
    if path is None or not path.is_file():
        return
    taken = path.stat()
    if any(os.path.samestat(taken, read) for read in map(_stat, sources) if read):
        raise ConfigurationError(f"{path} is read and would take the rejected records too: name another file with --rejects")


def _stat(source: Path | IO[bytes]) -> os.stat_result | None:
    try:
        return source.stat() if isinstance(source, Path) else os.fstat(source.fileno())
    except OSError:  # a reader of bytes in memory; a file that is not there is for its opener to name
        return None


def as_line(reject: Reject) -> bytes:
    """A reject as it stands in the file; raw bytes that are no text are given in base64, a name that is none with its bytes escaped."""
    said: dict[str, object] = {"file": printable(reject.place.file), "line": reject.place.line, "reason": printable(reject.reason)}
    try:
        said["raw"] = reject.raw.decode()
    except UnicodeDecodeError:
        said["raw_base64"] = base64.b64encode(reject.raw).decode()
    return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


def printable(text: str) -> str:
    """The same text with what is not UTF-8 escaped, as names of files and options of a command may hold it."""
    return text.encode("utf-8", errors="backslashreplace").decode()


def raw_of(value: Mapping[str, object]) -> bytes | None:
    """
    The record that a line of a rejects file holds; None for anything else.

    Raises:
        InvalidRecord: It is such a line, and was spoilt.
    """
    if len(value) != len(_PLACE) + 1:
        return None  # as nearly every record, so that it costs nothing
    if {*value} == _PLACE | {"raw"} and isinstance(raw := value["raw"], str):
        return raw.encode("utf-8", errors="surrogatepass")
    if {*value} == _PLACE | {"raw_base64"} and isinstance(coded := value["raw_base64"], str):
        try:
            return base64.b64decode(coded, validate=True)
        except ValueError as error:
            raise InvalidRecord(f"its raw_base64 is not base64 ({error}): restore it, or write the record itself under 'raw'") from error
    return None
