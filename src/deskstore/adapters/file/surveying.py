"""
All that stands in a company's directory, one entry after another, and what each is by its name.

Nothing is followed, nothing is opened but directories, and however many files there are, memory does not grow with them.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

from deskstore.adapters.file import layout, names
from deskstore.adapters.file.descent import AS_DIRECTORY
from deskstore.adapters.file.loading import Want
from deskstore.adapters.file.tree import TEMPORARY
from deskstore.domain.identifiers import ARTICLE, TICKET, Key

_DEEPEST: Final = 16  #: directories above what was set aside; a record has five at most
_NAME: Final = "[^/]+"
_DIRECTORY: Final = re.compile(
    rf"{_NAME}(/tickets|/articles(/{_NAME})?|/summaries(/tickets(/{_NAME})?|/articles(/{_NAME}){{0,2}})?)?",
)
_FILE: Final = re.compile(
    rf"(?P<platform>{_NAME})/(?P<summaries>summaries/)?(?:tickets|articles/(?P<locale>{_NAME}))/(?P<id>{_NAME})"
    r"(?(summaries)/(?P<number>[1-9][0-9]{0,17}))\.json"
)
_OWN_DIRECTORIES: Final = frozenset({layout.OWN, TEMPORARY, layout.EDITED, layout.DAMAGED})
_OWN_FILE: Final = re.compile(
    rf"{re.escape(layout.COMPANY_FILE)}|{re.escape(layout.SUPPRESSIONS)}|{re.escape(layout.OWN)}/([a-z]+\.)?lock|{re.escape(layout.DATABASE)}(-[a-z]+)?|{re.escape(TEMPORARY)}/{_NAME}"
)
_ASIDE: Final = (f"{layout.EDITED}/", f"{layout.DAMAGED}/")
_TYPES: Final = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a directory", stat.S_IFREG: "a file", stat.S_IFIFO: "a pipe"}


@frozen
class Entry:
    """Something that stands in a company's directory."""

    path: str  #: relative to it; empty for the directory itself
    mode: int  #: type and rights

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def type(self) -> str:
        """What it is."""
        return _TYPES.get(stat.S_IFMT(self.mode), "neither a file nor a directory")

    @property
    def is_open_to_others(self) -> bool:
        """Whether anybody but the owner has rights; those of a link are nobody's."""
        return not stat.S_ISLNK(self.mode) and bool(stat.S_IMODE(self.mode) & 0o077)

    @property
    def is_aside(self) -> bool:
        """Whether it was moved out of the way, together with the directories above it."""
        return self.path.startswith(_ASIDE)

    @property
    def belongs(self) -> bool:
        """Whether something of that name and type has its place there."""
        if self.is_directory:
            return self.leads_on
        own = _OWN_FILE.fullmatch(self.path) is not None
        return self.is_file and (own or self.is_aside or is_file_of_record(self.path))

    @property
    def leads_on(self) -> bool:
        """Whether there may be more of deskstore's below."""
        if not self.is_directory:
            return False
        if self.is_aside:
            return self.path.count("/") < _DEEPEST
        return self.path in _OWN_DIRECTORIES or self.path == "" or (_DIRECTORY.fullmatch(self.path) is not None and _are_names(self.path))


def survey(root: Path) -> Generator[Entry, None, None]:
    """The directory and all below it, each directory before what it holds; what stands below one that is not ours is passed over."""
    descriptor = os.open(root, AS_DIRECTORY)
    try:
        yield Entry("", os.fstat(descriptor).st_mode)
        yield from _below(descriptor, "")
    finally:
        os.close(descriptor)


def _below(descriptor: int, path: str) -> Iterator[Entry]:
    with os.scandir(descriptor) as found:
        for one in found:
            try:
                entry = Entry(f"{path}{one.name}", one.stat(follow_symlinks=False).st_mode)
            except FileNotFoundError:  # it was removed since it was seen
                continue
            yield entry
            if entry.leads_on:
                yield from _inside(descriptor, one.name, entry)


def _inside(above: int, name: str, entry: Entry) -> Iterator[Entry]:
    try:
        descriptor = os.open(name, AS_DIRECTORY, dir_fd=above)
    except (FileNotFoundError, NotADirectoryError):  # it was removed or replaced since it was seen
        return
    try:
        yield from _below(descriptor, f"{entry.path}/")
    finally:
        os.close(descriptor)


def is_file_of_record(path: str) -> bool:
    """Whether a record or a summary may have its file there, as far as names can tell."""
    return _FILE.fullmatch(path) is not None and _are_names(path.removesuffix(".json"))


def is_directory_of_records(path: str) -> bool:
    """Whether a directory below a platform's has its place there, as far as names can tell."""
    return "/" in path and _DIRECTORY.fullmatch(path) is not None and _are_names(path)


def whose(path: str) -> Want | None:
    """The record or summary whose file lies there; None when the names alone do not tell, since they are too long or were rewritten."""
    found = _FILE.fullmatch(path)
    if found is None:
        return None
    platform, identifier = names.decode(found["platform"]), names.decode(found["id"])
    locale = names.decode_locale(found["locale"]) if found["locale"] else ""
    if platform is None or identifier is None or locale is None:
        return None
    want = Want(Key(ARTICLE if found["locale"] else TICKET, platform, identifier, locale), int(found["number"] or 0))
    return want if want.file == path else None


def is_of_summary(path: str) -> bool:
    """Whether a file that may be a record's or a summary's is a summary's."""
    if "/summaries/" not in path:  # nearly always
        return False
    found = _FILE.fullmatch(path)
    return found is not None and found["summaries"] is not None


def _are_names(path: str) -> bool:
    return all(step == names.NO_LOCALE or names.is_name(step) for step in path.split("/"))
