"""Starting: how long programs take until they are ready, in multiples of a Python that does nothing, and what they load for it."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path
from typing import Final

import orjson

from bench.bars import (
    COMMAND,
    CONTAINER,
    FACADE,
    FIRST_CALL,
    FOREIGN_MODULES,
    HELP,
    IMPORT_ATTRS,
    IMPORT_PACKAGE,
    OPENED,
    VERSION,
    Bar,
    Finding,
    Samples,
)
from bench.environment import make_environment
from bench.measuring import Run, Trial, in_pairs, settle
from bench.stores import fill, find, folder, opened
from bench.tickets import COMPANY, PLATFORM, payloads
from deskstore.bootstrap import Settings, open_storage
from deskstore.domain.ports import Storage
from deskstore.facade import DictStorage
from deskstore.services.tickets import save_ticket

FOREIGN: Final = ("sqlalchemy", "asyncpg", "redis", "alembic", "greenlet", "rich", "hypothesis", "pydantic")
_SLOWING: Final = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONPROFILEIMPORTTIME", "PYTHONDEVMODE", "COVERAGE_PROCESS_START")
_MORE_ROUNDS: Final = 4  #: times as many rounds as elsewhere: one takes a fraction of a second, and its noise is large
_TICKETS: Final = 200
_PAIRS: Final = 600  #: of units, for each round that was asked for: 3,000 at the least tell 1 % of difference on a busy machine
_OPENINGS: Final = 60
_WARM: Final = 5

_OPEN: Final = """
import asyncio, deskstore
async def main():
    async with deskstore.open_storage() as storage:
        await storage.companies()
asyncio.run(main())
"""
_GET: Final = """
import asyncio, deskstore
asyncio.run(deskstore.get_storage().list_companies())
"""


async def measure(run: Run) -> list[Finding]:
    """Every bar of starting."""
    with folder(run) as place:
        data = place / "data"
        await fill(data, run.seed, _TICKETS, COMPANY)
        environment = _surroundings(place, data)
        programs = _programs(await asyncio.to_thread(make_environment, place / "environment"))
        await _started(programs, environment, 1)  # compiles every module, as an installation does
        taken = await _started(programs, environment, run.rounds * _MORE_ROUNDS)
        loaded = await asyncio.to_thread(_foreign_modules, programs, environment)
        return [*_starts(taken), loaded, await _container(run, data), await _facade(run, data)]


def _surroundings(place: Path, data: Path) -> Mapping[str, str]:
    """The caller's variables, with compiled modules kept where nothing else is."""
    kept = {name: value for name, value in os.environ.items() if name not in _SLOWING}
    return {**kept, "PYTHONPYCACHEPREFIX": str(place / "compiled"), "STORAGE_TYPE": "file", "DATA_PATH": str(data)}


def _programs(folder: Path) -> Mapping[str, Sequence[str]]:
    python, deskstore = str(folder / Path(sys.executable).name), str(folder / "deskstore")
    return {
        "nothing": (python, "-c", "pass"),
        "attrs": (python, "-c", "import attrs"),
        "import": (python, "-c", "import deskstore"),
        "open_storage()": (python, "-c", _OPEN),
        "--help": (deskstore, "--help"),
        "--version": (deskstore, "--version"),
        "get_storage()": (python, "-c", _GET),
        "ticket list": (deskstore, "ticket", "list", "--company", COMPANY),
    }


async def _started(programs: Mapping[str, Sequence[str]], environment: Mapping[str, str], rounds: int) -> dict[str, Samples]:
    """What each program took, all of them in every round: processor time, since wall time tells how busy the machine is as well."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, command in programs.items():
            taken[name].append(await asyncio.to_thread(_start, command, environment))
    return {
        name: Samples(name=name, values=tuple(cpu for cpu, _ in pairs), wall=tuple(wall for _, wall in pairs))
        for name, pairs in taken.items()
    }


def _start(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds of processor time of a program from its start to its end, its own and the system's for it, and seconds on the wall."""
    wall, cpu = time.perf_counter(), _of_children()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return _of_children() - cpu, time.perf_counter() - wall


def _of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _starts(taken: Mapping[str, Samples]) -> list[Finding]:
    nothing = taken["nothing"]
    note = f"processor time; a Python that does nothing takes {nothing.middle * 1_000:.0f} ms of it"
    bars: dict[str, Bar] = {
        "--help": HELP,
        "--version": VERSION,
        "import": IMPORT_PACKAGE,
        "open_storage()": OPENED,
        "get_storage()": FIRST_CALL,
        "ticket list": COMMAND,
    }
    found = [Finding(bar=bar, subject=taken[name], reference=nothing, note=note) for name, bar in bars.items()]
    return [*found, Finding(bar=IMPORT_ATTRS, subject=taken["import"], reference=taken["attrs"])]


def _foreign_modules(programs: Mapping[str, Sequence[str]], environment: Mapping[str, str]) -> Finding:
    """
    What each program loads that file mode has no use for; `-X importtime` names every module, also one that was tried and is not there.
    """
    interpreter = programs["nothing"][0]
    here = _installed(interpreter)
    found: set[str] = set()
    for command in programs.values():
        python = command if command[0] == interpreter else (interpreter, *command)
        done = subprocess.run([python[0], "-X", "importtime", *python[1:]], env=environment, check=True, capture_output=True, text=True)
        loaded = {name.partition(".")[0] for name in re.findall(r"\|\s+([\w.]+)$", done.stderr, flags=re.MULTILINE)}
        found |= loaded & here
    note = f"loaded: {', '.join(sorted(found))}" if found else f"none of {', '.join(FOREIGN)}"
    return Finding(bar=FOREIGN_MODULES, subject=Samples(name="modules", values=(float(len(found)),)), note=note)


def _installed(interpreter: str) -> set[str]:
    """Those of the modules that the programs could load at all."""
    asked = f"from importlib.util import find_spec; print(*(name for name in {FOREIGN!r} if find_spec(name)))"
    return {*subprocess.run([interpreter, "-c", asked], check=True, capture_output=True, text=True).stdout.split()}


async def _container(run: Run, data: Path) -> Finding:
    """Units of one find, over storages that the container made and over those made by hand; two of a kind differ, so there are many."""
    settings = Settings.from_environment({"STORAGE_TYPE": "file", "DATA_PATH": str(data)})
    made_took: list[float] = []
    bare_took: list[float] = []
    for number in range(_OPENINGS):
        async with AsyncExitStack() as stack:
            opening = [open_storage(settings), opened(data)]
            first, second = [await stack.enter_async_context(one) for one in opening[:: 1 if number % 2 else -1]]
            made, bare = (first, second) if number % 2 else (second, first)
            subject, reference = _finds(made), _finds(bare)
            await in_pairs(subject, reference, _WARM)
            took = await in_pairs(subject, reference, _PAIRS * run.rounds // _OPENINGS)
        made_took += took[0]
        bare_took += took[1]
    return _of_pairs(CONTAINER, "container", made_took, "bare port", bare_took, f"a find each, {_OPENINGS} openings")


def _finds(storage: Storage) -> Trial:
    ids = cycle(range(1, _TICKETS + 1))
    return lambda: find(storage, COMPANY, str(next(ids)))


async def _facade(run: Run, data: Path) -> Finding:
    """Tickets saved as dicts that are stored already: all of the work but the disk's, which would drown the difference."""
    async with opened(data) as storage:
        facade, ours, theirs = DictStorage(storage), _dicts(run.seed), _dicts(run.seed)

        def through_facade() -> Awaitable[object]:
            return facade.save_ticket(COMPANY, PLATFORM, next(ours))

        def through_use_case() -> Awaitable[object]:
            return save_ticket(storage, COMPANY, PLATFORM, next(theirs))

        await in_pairs(through_facade, through_use_case, _TICKETS)
        settle()
        took = await in_pairs(through_facade, through_use_case, _PAIRS * run.rounds)
    return _of_pairs(FACADE, "facade", took[0], "use case", took[1], "a save of an unchanged ticket each")


def _dicts(seed: int) -> Iterator[dict[str, object]]:
    return cycle([orjson.loads(payload) for _, payload in payloads(seed, _TICKETS)])


def _of_pairs(bar: Bar, name: str, took: Sequence[float], other: str, other_took: Sequence[float], what: str) -> Finding:
    return Finding(
        bar=bar,
        subject=Samples(name=name, values=tuple(took)),
        reference=Samples(name=other, values=tuple(other_took)),
        is_paired=True,
        note=f"processor time, the median of the ratios of {len(took):,} pairs ({what}); beside it where that median lies, 19 times of 20",
    )
