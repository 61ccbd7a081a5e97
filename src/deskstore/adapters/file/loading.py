"""Reading files of an open company: the index says what a file must hold, and a file that holds anything else is no record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from deskstore.adapters.file import layout
from deskstore.adapters.file.company import OpenCompany, checksum, distrust
from deskstore.adapters.file.database import UnexpectedValue
from deskstore.adapters.file.index import Index
from deskstore.adapters.file.tree import OnDisk, StrangerInTree
from deskstore.domain.errors import CorruptRecord
from deskstore.domain.identifiers import Key

if TYPE_CHECKING:
    from deskstore.domain.receiving import Head

W = TypeVar("W")
V = TypeVar("V")
_LOOKS: Final = 3  #: of a reader whose files are replaced meanwhile, before it holds up the writers
MOST_BYTES: Final = 16 * 2**20  #: of files that are read for one batch, beside those of the last step
_FIRST_STEP: Final = 4
_LONGEST_STEP: Final = 64  #: files read at once without a look at their size


class Overtaken(Exception):
    """A writer replaced a file that a reader's snapshot tells of, and the journal no longer holds it: the reader begins again."""


def at_one_moment(company: OpenCompany, look: Callable[[Index], V]) -> V:
    """What a look gives that sees index and files as they were at one moment; writers are held up once the first tries were overtaken."""
    for _ in range(_LOOKS):
        with suppress(Overtaken), company.reading() as index:
            return look(index)
    with company.reading(hold_writers=True) as index:
        try:
            return look(index)
        except Overtaken as error:  # nobody can have written: the database tells one thing here and another there
            raise UnexpectedValue("it tells two things of one file") from error


class Want(NamedTuple):
    """A file that a reader wants: a record's, or with a number that of its summary."""

    key: Key
    number: int = 0

    @property
    def file(self) -> str:
        """Where it lies."""
        return layout.summary_path(self.key, self.number) if self.number else layout.record_path(self.key)

    def crc(self, index: Index) -> int | None:
        """The CRC-32 it must have, None when there is to be no such file."""
        return index.summary_crc(self.key, self.number) if self.number else index.record_crc(self.key)


def load(company: OpenCompany, index: Index, wants: Sequence[Want]) -> list[bytes | CorruptRecord | None]:
    """
    The files wanted, in their order: None for one that is not to be there, an error in place of one that cannot be trusted.

    All of them are as the caller's snapshot has them. A file that was replaced since is taken from the journal; where it is not there
    any more, the caller has to begin again.

    Raises:
        Overtaken: A writer replaced a file since the caller's snapshot began.
    """
    return load_told(company, index, [(want, want.crc(index)) for want in wants])


def until_heavy(wanted: Sequence[W], read: Callable[[Sequence[W]], list[V]]) -> list[V]:
    """What the first of these files hold: of all of them, or of so many that they are as large as may be in memory."""
    found: list[V] = []
    step, size = _FIRST_STEP, 0
    while size < MOST_BYTES and len(found) < len(wanted):
        some = read(wanted[len(found) : len(found) + step])
        found += some
        size += sum(len(body) for body in some if isinstance(body, bytes))
        step = min(2 * step, _LONGEST_STEP)
    return found


def load_told(company: OpenCompany, index: Index, told: Sequence[tuple[Want, int | None]]) -> list[bytes | CorruptRecord | None]:
    """The same for whoever was told in the same snapshot which CRC-32 each file must have."""
    bodies = _bodies(company, index, [want.file for want, _ in told])
    return [
        body if isinstance(body, bytes) and checksum(body) == crc else _look_again(company, index, want, crc, body)
        for (want, crc), body in zip(told, bodies, strict=True)
    ]


def load_records(company: OpenCompany, index: Index, told: Sequence[tuple[Key, int | None]]) -> list[bytes | CorruptRecord | None]:
    """
    The same for the records with these keys.

    Nearly always each file is the very one its row tells of; only where one is not, the journal is asked what is on its way.
    """
    found: list[bytes | CorruptRecord | None] = []
    bodies = company.tree.read_many([layout.record_path(key) for key, _ in told])
    for (_, crc), body in zip(told, bodies, strict=True):
        if not isinstance(body, bytes) or checksum(body) != crc:
            return load_told(company, index, [(Want(key), crc) for key, crc in told])
        found.append(body)
    return found


def at_a_glance(company: OpenCompany, key: Key, *, at_home: bool) -> bytes | None:
    """
    The file of a record that is the very one its row tells of; None for whatever it takes a closer look at.

    One statement tells the row as it was at one moment. Whatever is written meanwhile, a file that agrees with it was right at that moment.

    Raises:
        CompanyMoved: The company had to be at home here, and lived in another store at that moment.
    """
    told, crc = company.glance(lambda index: index.glimpse(key))
    if at_home:
        company.check_home(told)
    if crc is None:
        return None
    try:
        body = company.tree.read(layout.record_path(key))
    except (StrangerInTree, OSError):
        return None
    return body if body is not None and checksum(body) == crc else None


def vouch(company: OpenCompany, index: Index, heads: Mapping[Key, Head]) -> None:
    """
    See that the file of each of these records holds what the index says, so that nobody builds on one that was damaged or edited.

    Raises:
        CorruptRecord: The first, in their order, that cannot be trusted; it tells the version the record has.
        Overtaken: A writer replaced a file since the caller's snapshot began.
    """
    rest = list(heads)
    while rest:
        bodies = until_heavy(rest, lambda some: load_told(company, index, [(Want(key), index.record_crc(key)) for key in some]))
        for body in bodies:
            if isinstance(body, CorruptRecord):
                raise body.at_version(heads[body.key].version) if body.key else body
        rest = rest[len(bodies) :]


def _look_again(company: OpenCompany, index: Index, want: Want, crc: int | None, seen: OnDisk) -> bytes | CorruptRecord | None:
    """
    What to make of a file that is not the one its row tells of.

    A row is committed before its file is written. So if a later look finds the same row, no writer was there in between.
    """
    if seen is None and crc is None:
        return None
    with company.reading() as later:
        is_overtaken = want.crc(later) != crc
        in_motion = index.is_in_motion(want.file) or later.is_in_motion(want.file)
    if crc is None:
        is_stranger = not (is_overtaken or in_motion) and company.tree.read_many([want.file]) != [None]
        return CorruptRecord(want.key, want.file, "the file was added outside deskstore", number=want.number) if is_stranger else None
    if not is_overtaken:
        return CorruptRecord(want.key, want.file, distrust(seen, crc, want.file) or "it cannot be read", number=want.number)
    journalled = index.journalled(want.file, crc)
    if journalled is None:
        raise Overtaken
    return journalled


def _bodies(company: OpenCompany, index: Index, files: Sequence[str]) -> list[OnDisk]:
    """What the files contain, or are to contain."""
    pending = index.pending_bodies(files)
    if not pending:
        return company.tree.read_many(files)
    on_disk = [file for file in files if file not in pending]
    bodies: dict[str, OnDisk] = {**pending, **dict(zip(on_disk, company.tree.read_many(on_disk), strict=True))}
    return [bodies[file] for file in files]
