"""Starting: how long programs take until they are ready, in multiples of a Python that does nothing, and what they load for it."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
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
from bench.measuring import Run, Subject, interleaved, ready
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
_FINDS: Final = 200

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
        programs = _programs()
        subjects = {name: _starting(command, environment) for name, command in programs.items()}
        await interleaved(subjects, 1)  # compiles every module, as an installation does
        taken = await interleaved(subjects, run.rounds * _MORE_ROUNDS)
        loaded = await asyncio.to_thread(_foreign_modules, programs, environment)
        return [*_starts(taken), loaded, await _container(run, data), await _facade(run, data)]


def _surroundings(place: Path, data: Path) -> Mapping[str, str]:
    """The caller's variables, with compiled modules kept where nothing else is."""
    kept = {name: value for name, value in os.environ.items() if name not in _SLOWING}
    return {**kept, "PYTHONPYCACHEPREFIX": str(place / "compiled"), "STORAGE_TYPE": "file", "DATA_PATH": str(data)}


def _programs() -> Mapping[str, Sequence[str]]:
    python, deskstore = sys.executable, str(Path(sys.executable).with_name("deskstore"))
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


def _starting(command: Sequence[str], environment: Mapping[str, str]) -> Subject:
    async def start() -> None:
        await asyncio.to_thread(subprocess.run, command, env=environment, check=True, capture_output=True)

    return ready(start)


def _starts(taken: Mapping[str, Samples]) -> list[Finding]:
    nothing = taken["nothing"]
    note = f"a Python that does nothing takes {nothing.middle * 1_000:.0f} ms"
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
    """What each program loads that file mode has no use for; `-X importtime` names every module, also one that was tried and is not there."""
    here = {name for name in FOREIGN if find_spec(name)}
    found: set[str] = set()
    for command in programs.values():
        python = command if command[0] == sys.executable else (sys.executable, *command)
        done = subprocess.run([python[0], "-X", "importtime", *python[1:]], env=environment, check=True, capture_output=True, text=True)
        loaded = {name.partition(".")[0] for name in re.findall(r"\|\s+([\w.]+)$", done.stderr, flags=re.MULTILINE)}
        found |= loaded & here
    note = f"loaded: {', '.join(sorted(found))}" if found else f"none of {', '.join(FOREIGN)}"
    return Finding(bar=FOREIGN_MODULES, subject=Samples(name="modules", values=(float(len(found)),)), note=note)


async def _container(run: Run, data: Path) -> Finding:
    """Units of one find, over a storage that the container made and over one made by hand."""
    ids = [str(number) for number in range(1, _FINDS + 1)]
    settings = Settings.from_environment({"STORAGE_TYPE": "file", "DATA_PATH": str(data)})
    async with open_storage(settings) as made, opened(data) as bare:
        subjects = {
            "container": ready(lambda: _each(made, ids)),
            "bare port": ready(lambda: _each(bare, ids)),
        }
        taken = await interleaved(subjects, run.rounds * _MORE_ROUNDS)
    return Finding(bar=CONTAINER, subject=taken["container"], reference=taken["bare port"], note=f"{_FINDS} finds a round")


async def _each(storage: Storage, ids: Sequence[str]) -> None:
    for ticket_id in ids:
        await find(storage, COMPANY, ticket_id)


async def _facade(run: Run, data: Path) -> Finding:
    """Tickets saved as dicts that are stored already: all of the work but the disk's, which would drown the difference."""
    dicts: list[dict[str, object]] = [orjson.loads(payload) for _, payload in payloads(run.seed, _TICKETS)]
    async with opened(data) as storage:
        facade = DictStorage(storage)

        async def through_facade() -> None:
            for each in dicts:
                await facade.save_ticket(COMPANY, PLATFORM, each)

        async def through_use_case() -> None:
            for each in dicts:
                await save_ticket(storage, COMPANY, PLATFORM, each)

        subjects = {"facade": ready(through_facade), "use case": ready(through_use_case)}
        taken = await interleaved(subjects, run.rounds * _MORE_ROUNDS)
    return Finding(bar=FACADE, subject=taken["facade"], reference=taken["use case"], note=f"{_TICKETS} saves of unchanged tickets a round")
