"""
The one form of tar that a backup has: POSIX ustar, regular files only, every byte of it determined by names, sizes and one time.

A reader makes each block again from what it says and compares: so there is no byte that could be changed unnoticed, no link, no device and
no path that leads anywhere.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from deskstore.formats.archive.damage import Damaged

BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)  #: what stands behind the last member
_LONGEST_NAME: Final = 100
_MOST_BYTES: Final = 8**11 - 1
_MODE: Final = 0o600
_OCTAL: Final = re.compile(rb"[0-7]{11}\0")
_NAME: Final = re.compile(rb"[a-z0-9][a-z0-9./-]{0,98}")


@frozen(kw_only=True)
class Member:
    """One file in a tar."""

    name: str
    size: int  #: bytes
    modified_s: int  #: seconds since 1970

    @property
    def padded(self) -> int:
        """How many bytes it takes up behind its header."""
        return self.size + len(padding(self.size))


def header(member: Member) -> bytes:
    """The block that stands before a member."""
    name = member.name.encode("ascii")
    if len(name) > _LONGEST_NAME or not 0 <= member.size <= _MOST_BYTES or not 0 <= member.modified_s <= _MOST_BYTES:
        raise ValueError(f"{member} has no place in a tar")
    numbers = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (_MODE, 0, 0, member.size, member.modified_s)
    before, after = name.ljust(_LONGEST_NAME, b"\0") + numbers, (b"0" + bytes(100) + b"ustar\00000").ljust(BLOCK - 156, b"\0")
    total = sum(before) + 8 * ord(" ") + sum(after)
    return before + b"%06o\0 " % total + after


def read_header(block: bytes) -> Member:
    """The member that a block stands before; raises Damaged where it is no block of ours, to the last byte."""
    name, size, modified = block[:_LONGEST_NAME].rstrip(b"\0"), block[124:136], block[136:148]
    if not (_NAME.fullmatch(name) and _OCTAL.fullmatch(size) and _OCTAL.fullmatch(modified)):
        raise Damaged("a header of the tar is not one that a backup has")
    member = Member(name=name.decode("ascii"), size=int(size[:-1], 8), modified_s=int(modified[:-1], 8))
    if header(member) != block:
        raise Damaged(f"the header of {member.name} is not one that a backup has")
    return member


def padding(size: int) -> bytes:
    """What fills up the last block of a member."""
    return bytes(-size % BLOCK)
