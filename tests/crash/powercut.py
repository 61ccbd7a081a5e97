"""
What a disk may hold after the power was lost: a model.

A recorded run is split into effects: on the data of a file, or on the names in a directory. Files and directories are told apart by what
they are, not by their paths, which come and go. An effect is *durable* once something synced it:

- fsync and fdatasync of a file make its data durable, and a write that was asked to be synchronous does so by itself;
- fsync of a directory makes the names in it durable; a rename between two directories is durable with the directory it leads to;
- sync and syncfs make everything durable;
- the folder itself, and what was in it before the run, is durable.

What is not yet durable may be there or not, in any combination that the mode allows:

strict   each name is on its own: an fsynced file may lack its name, and a later name may be there without an earlier one. As POSIX
         promises.
ordered  names reach the disk in the order in which they were made, as in the journal of ext4: an fsync of a file takes along all names made
         before the last change of that file, an fdatasync those made before its size last changed.

Data is never ordered: any write may be there without any other, torn between two sectors of 512 bytes, as zeros, or not at all. A rename is
never torn. Files named `-shm` are SQLite's index of its `-wal`, rebuilt when the database is opened after a crash, and are left out.
"""

import hashlib
import math
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from attrs import define, field, frozen

from tests.crash.errors import Escaped
from tests.crash.operations import Operation
from tests.crash.tracer import Run, content_of

Mode = Literal["strict", "ordered"]
#: What became of an effect that was not durable. Head and tail: only the sectors before or after a point of the write.
Fate = Literal["kept", "lost", "zeros", "head", "tail"]
Content = bytes | str | None
Tree = Mapping[str, Content]  #: path -> bytes of a file, text of a symbolic link, None for a directory

SECTOR = 512
_T = TypeVar("_T")
_ROOT = 0


@frozen(kw_only=True, eq=False)
class Effect:
    """One elementary change, of the data of one thing or of names."""

    at: int  #: number of the operation it belongs to
    thing: int  #: the file it changes, or the directory whose sync makes it durable
    names: tuple[tuple[int, str, int | None], ...] = ()  #: (directory, name, what it names from now on)
    offset: int = 0
    data: bytes | None = None  #: of a write
    size: int | None = None  #: of a truncate
    least: int | None = None  #: of an allocate: the file has at least this size


@frozen(kw_only=True)
class State:
    """One thing the disk may hold."""

    what: str  #: how it came about
    at: int  #: the power was lost after this operation
    acked: int
    tree: Tree
    digest: bytes


@define
class _Thing:
    """A file, directory or symbolic link, and how far it has come while all effects are taken as kept."""

    content: Content  #: as it was when it appeared
    names: dict[str, int] = field(factory=dict[str, int])
    size: int = 0
    touched: int = 0  #: the last operation that changed it or its name
    resized: int = 0  #: the last one that changed its size, or made it


class History:
    """The effects of a recorded run, and when each became durable."""

    def __init__(self, run: Run, mode: Mode) -> None:
        self.run = run
        self.things = [_Thing(content=None)]
        self.effects: list[Effect] = []
        self.durable_from: dict[Effect, float] = {}
        self._mode: Mode = mode
        self._by_inode = {run.root: _ROOT}
        self._pending: list[Effect] = []
        for entry in run.before:
            self._place(entry.path, self._new(entry.inode, entry.content), at=0)
        self.begin = tuple(dict(thing.names) for thing in self.things)
        self._pending.clear()
        self.effects.clear()
        for operation in run.operations:
            if not operation.failed:
                self._take(operation)

    def _new(self, inode: int, content: Content, at: int = 0) -> int:
        size = len(content) if isinstance(content, bytes) else 0
        self.things.append(_Thing(content=content, size=size, touched=at, resized=at))
        self._by_inode[inode] = len(self.things) - 1
        return len(self.things) - 1

    def _parent(self, path: str) -> tuple[int, str]:
        *parents, name = path.split("/")
        directory = _ROOT
        for parent in parents:
            directory = self.things[directory].names[parent]
        return directory, name

    def _find(self, path: str) -> int | None:
        directory, name = self._parent(path)
        return self.things[directory].names.get(name)

    def _place(self, path: str, thing: int, at: int) -> None:
        directory, name = self._parent(path)
        self._rename(at, directory, (directory, name, thing))

    def _rename(self, at: int, thing: int, *names: tuple[int, str, int | None]) -> None:
        for directory, name, named in names:
            before = self.things[directory].names.pop(name, None)
            if named is not None:
                self.things[directory].names[name] = named
            for touched in (directory, named, before):
                if touched is not None:
                    self.things[touched].touched = at
        self._add(Effect(at=at, thing=thing, names=names))

    def _add(self, effect: Effect) -> None:
        self.effects.append(effect)
        self._pending.append(effect)

    def _take(self, operation: Operation) -> None:
        if operation.kind in ("create", "mkdir", "symlink"):
            self._take_creation(operation)
        elif operation.kind in ("fsync", "fdatasync", "sync"):
            self._sync(operation.number, self._scope(operation), data_only=operation.kind == "fdatasync")
        elif operation.kind in ("write", "truncate", "allocate"):
            self._take_data(operation)
        elif operation.kind != "writeback":
            self._take_name(operation)

    def _scope(self, operation: Operation) -> int | None:
        """What a sync is about; None for everything."""
        return None if operation.kind == "sync" else self._by_inode.get(operation.inode, -1)

    def _take_creation(self, operation: Operation) -> None:
        content: Content = None if operation.kind == "mkdir" else b""
        thing = self._new(operation.inode, operation.target if operation.kind == "symlink" else content, operation.number)
        if operation.path is not None:
            self._place(operation.path, thing, operation.number)

    def _take_data(self, operation: Operation) -> None:
        at, thing = operation.number, self._by_inode.get(operation.inode)
        if thing is None:
            raise Escaped(f"{operation} of a file nobody was seen to make")
        data = operation.data if operation.kind == "write" else None
        size = operation.size if operation.kind == "truncate" else None
        least = operation.size if operation.kind == "allocate" else None
        effect = Effect(at=at, thing=thing, offset=operation.offset, data=data, size=size, least=least)
        self._add(effect)
        self._note_size(effect)
        if operation.synced:
            self._sync(at, thing, data_only=True)

    def _note_size(self, effect: Effect) -> None:
        thing = self.things[effect.thing]
        least = effect.least or (effect.offset + len(effect.data) if effect.data else 0)
        size = effect.size if effect.size is not None else max(thing.size, least)
        thing.touched = effect.at
        if size != thing.size:
            thing.size, thing.resized = size, effect.at

    def _take_name(self, operation: Operation) -> None:
        at, path, target = operation.number, operation.path, operation.target
        if operation.kind in ("unlink", "rmdir") or target is None:
            self._rename(at, self._parent(path or "")[0], (*self._parent(path or ""), None))
            return
        directory, name = self._parent(target)
        thing = self._by_inode.get(operation.inode) if operation.kind == "link" or path is None else self._find(path)
        if thing is None:
            raise Escaped(f"{operation} of a file nobody was seen to make")
        here = (directory, name, thing)
        if operation.kind == "link" or path is None:
            self._rename(at, directory, here)
        elif operation.kind == "exchange":
            self._rename(at, directory, (*self._parent(path), self._find(target)), here)
        elif self._find(target) != thing:  # a rename onto another name of the same file does nothing
            self._rename(at, directory, (*self._parent(path), None), here)

    def _sync(self, at: int, thing: int | None, *, data_only: bool) -> None:
        horizon: float = -1
        if thing is not None and thing >= 0 and self._mode == "ordered":
            horizon = self.things[thing].resized if data_only and self.things[thing].content is not None else self.things[thing].touched
        rest: list[Effect] = []
        for effect in self._pending:
            if thing is None or effect.thing == thing or (effect.names and effect.at <= horizon):
                self.durable_from[effect] = at
            else:
                rest.append(effect)
        self._pending = rest

    def until(self, at: int) -> tuple[list[Effect], list[Effect]]:
        """The effects of the first operations, and those among them that are not durable then."""
        made = [effect for effect in self.effects if effect.at <= at]
        return made, [effect for effect in made if self.durable_from.get(effect, math.inf) > at]

    def acked(self, at: int) -> int:
        """The highest unit acknowledged before the operation that follows."""
        return self.run.operations[at].acked if at < len(self.run.operations) else self.run.acked


def applied(content: bytearray, effect: Effect, fate: Fate = "kept", cut: int = 0) -> bytearray:
    """
    The content of a file after one effect on its data.

    Args:
        cut: Where a write is torn, counted from the start of the write.
    """
    if effect.size is not None:
        del content[effect.size :]
    wanted = effect.size if effect.size is not None else effect.least or 0
    content.extend(bytes(max(0, wanted - len(content))))
    if effect.data is None:
        return content
    data, offset = effect.data, effect.offset
    if fate == "zeros":
        data = bytes(len(data))
    elif fate == "head":
        data = data[:cut]
    elif fate == "tail":
        data, offset = data[cut:], offset + cut
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data
    return content


def _cuts(effect: Effect) -> range:
    """Where a write can be torn: at the sectors of its file, counted from its own start."""
    return range(SECTOR - effect.offset % SECTOR, len(effect.data or b""), SECTOR)


Fates = Mapping[Effect, Fate]


class _Moment:
    """The moment the power is lost: what was done by then, what of it is durable, and how the rest may have ended."""

    def __init__(self, history: History, at: int, contents: "_Contents", seed: int) -> None:
        self.at = at
        self._history = history
        self._contents = contents
        self._made, self.loose = history.until(at)
        self.names = [effect for effect in self.loose if effect.names]
        self.data = [effect for effect in self.loose if not effect.names]
        self.random = random.Random(f"{seed}:{at}")

    def state(self, what: str, fates: Fates) -> State:
        """The state in which each effect that is not durable has the fate given; without one it is lost."""
        tree: dict[str, Content] = {}
        digest = hashlib.blake2b(digest_size=16)
        names = self._names(fates)
        self._walk(_ROOT, "", names, self._written(fates), tree, digest.update)
        return State(what=what, at=self.at, acked=self._history.acked(self.at), tree=tree, digest=digest.digest())

    def _names(self, fates: Fates) -> list[dict[str, int]]:
        found = [dict(names) for names in self._history.begin]
        found.extend({} for _ in range(len(self._history.things) - len(found)))
        loose = set(self.names)
        for effect in self._made:
            if effect.names and (effect not in loose or fates.get(effect) == "kept"):
                for directory, name, named in effect.names:
                    found[directory].pop(name, None)
                    if named is not None:
                        found[directory][name] = named
        return found

    def _written(self, fates: Fates) -> dict[int, bytes]:
        """The contents that differ from what is durable."""
        found: dict[int, bytearray] = {}
        for effect in self.data:
            fate = fates.get(effect, "lost")
            if fate == "lost":
                continue
            cuts = _cuts(effect)
            if fate in ("head", "tail") and not cuts:
                fate = "kept"
            content = found.get(effect.thing)
            if content is None:
                content = bytearray(self._contents.of(effect.thing))
            found[effect.thing] = applied(content, effect, fate, self.random.choice(cuts) if cuts else 0)
        return {thing: bytes(content) for thing, content in found.items()}

    def _walk(
        self,
        directory: int,
        path: str,
        names: Sequence[Mapping[str, int]],
        written: Mapping[int, bytes],
        tree: dict[str, Content],
        digest: Callable[[bytes], None],
    ) -> None:
        for name, thing in sorted(names[directory].items()):
            if name.endswith("-shm"):
                continue
            content = self._history.things[thing].content
            if isinstance(content, bytes):
                content = written.get(thing, self._contents.of(thing))
            tree[path + name] = content
            raw = content.encode(errors="surrogateescape") if isinstance(content, str) else content
            digest(f"{path}{name}\0{type(content)}\0{len(raw or b'')}\0".encode(errors="surrogateescape") + (raw or b""))
            if content is None:
                self._walk(thing, f"{path}{name}/", names, written, tree, digest)


class _Contents:
    """The durable content of every file, brought forward operation by operation."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._found = {
            number: entry.content for number, entry in enumerate(history.run.before, 1) if isinstance(entry.content, bytes)
        }  # things are numbered in the order of these entries
        self._rest = [effect for effect in history.effects if not effect.names]

    def forward(self, at: int) -> None:
        rest: list[Effect] = []
        changed: dict[int, bytearray] = {}
        for effect in self._rest:
            if self._history.durable_from.get(effect, math.inf) <= at:
                content = changed.setdefault(effect.thing, bytearray(self.of(effect.thing)))
                applied(content, effect)
            else:
                rest.append(effect)
        self._rest = rest
        self._found.update((thing, bytes(content)) for thing, content in changed.items())

    def of(self, thing: int) -> bytes:
        return self._found.get(thing, b"")


def states(
    run: Run, *, mode: Mode = "strict", every: int = 1, first: int = 0, seed: int = 0, singles: int = 6, randoms: int = 4
) -> Iterator[State]:
    """
    The states the disk may hold when the power is lost after each `every`-th operation of a run that was recorded with its data, and the
    last.

    States of equal content at an equal number of acknowledged units come once.

    Args:
        first: How many operations come before the first of these.
        singles: At most so many effects, drawn by the seed, are lost alone, kept alone and torn alone at each moment.
        randoms: So many random combinations at each moment.
    """
    history = History(run, mode)
    contents = _Contents(history)
    seen: set[tuple[int, bytes]] = set()
    last = len(run.operations)
    for at in [*range(first, last, every), last]:
        contents.forward(at)
        moment = _Moment(history, at, contents, seed)
        for what, fates in _fates(moment, mode, singles, randoms):
            state = moment.state(what, fates)
            if (state.acked, state.digest) not in seen:
                seen.add((state.acked, state.digest))
                yield state


def _all(effects: Sequence[Effect], fate: Fate = "kept") -> Fates:
    return dict.fromkeys(effects, fate)


def _fates(moment: _Moment, mode: Mode, singles: int, randoms: int) -> Iterator[tuple[str, Fates]]:
    yield "all kept", _all(moment.loose)
    if not moment.loose:
        return
    yield "all lost", {}
    yield "names without their data", _all(moment.names)
    yield "data without names", _all(moment.data)
    yield "zeros for data", {**_all(moment.names), **_all(moment.data, "zeros")}
    yield from _single_fates(moment, mode, singles)
    if mode == "ordered":
        for count in _sample(moment, range(1, len(moment.names)), singles):
            yield f"the first {count} names with all data", {**_all(moment.names[:count]), **_all(moment.data)}
            yield f"the first {count} names without data", _all(moment.names[:count])
    for number in range(randoms):
        yield f"random {number}", _random_fates(moment, mode)


def _sample(moment: _Moment, among: Sequence[_T], most: int) -> Sequence[_T]:
    return among if len(among) <= most else moment.random.sample(among, most)


def _single_fates(moment: _Moment, mode: Mode, singles: int) -> Iterator[tuple[str, Fates]]:
    kept = _all(moment.loose)
    for effect in _sample(moment, moment.loose if mode == "strict" else moment.data, singles):
        name = f"the effect of operation {effect.at}"
        yield f"all kept but {name}", {**kept, effect: "lost"}
        yield f"all lost but {name}", {effect: "kept"}
        if effect.names:
            continue
        yield f"all names, all data lost but {name}", {**_all(moment.names), effect: "kept"}
        if _cuts(effect):
            yield f"{name} torn, its head there", {**kept, effect: "head"}
            yield f"{name} torn, its tail there", {**kept, effect: "tail"}


def _random_fates(moment: _Moment, mode: Mode) -> Fates:
    draw = moment.random
    if mode == "strict":
        fates = _all([effect for effect in moment.names if draw.random() < 0.5])
    else:
        fates = _all(moment.names[: draw.randint(0, len(moment.names))])
    choices: tuple[Fate, ...] = ("kept", "kept", "kept", "lost", "lost", "zeros", "head", "tail")
    return {**fates, **{effect: draw.choice(choices) for effect in moment.data}}


def materialise(tree: Tree, folder: Path) -> None:
    """Write a state into an empty folder; files 0600 and directories 0700, whatever they were."""
    for path, content in tree.items():
        where = folder / path
        if content is None:
            where.mkdir(mode=0o700)
        elif isinstance(content, str):
            where.symlink_to(content)
        else:
            fd = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(fd, "wb") as file:
                file.write(content)


def check_nothing_escaped(run: Run, folder: Path) -> None:
    """
    Compare what the recorded operations add up to with what the folder holds.

    Raises:
        Escaped: They differ, so something changed the folder unseen.
    """
    if run.escapes:
        raise Escaped("; ".join(run.escapes))
    history = History(run, "strict")
    contents = _Contents(history)
    contents.forward(len(run.operations))
    moment = _Moment(history, len(run.operations), contents, 0)
    replayed = moment.state("all kept", _all(moment.loose)).tree
    found = {str(path.relative_to(folder)): content_of(path) for path in folder.rglob("*") if not path.name.endswith("-shm")}
    wrong = sorted(path for path in {*replayed, *found} if replayed.get(path, 0) != found.get(path, 0))
    if wrong:
        raise Escaped(f"the folder does not hold what the recorded operations add up to: {', '.join(wrong)}")
