"""
A process that forks while a storage is open: `python -m tests.file.forking FOLDER` ends with the status of the child, 0 if all is well.
"""

from __future__ import annotations

import asyncio
import os
import sys
import warnings
from collections.abc import Coroutine, Iterator
from pathlib import Path

import pytest

from deskstore.adapters.file import FileStorage
from deskstore.domain.errors import StorageUnavailable
from deskstore.domain.identifiers import Key
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket


def main(folder: Path) -> int:
    """Fork with a storage open, use it in both processes, and give the child's exit code."""
    storage = FileStorage(folder)
    desk = Desk(storage, "acme")
    stored = asyncio.run(desk.kept(a_ticket()))

    child = os.fork()
    if not child:
        os._exit(_in_child(desk, stored.key))

    _, status = os.waitpid(child, 0)
    asyncio.run(desk.keep(a_ticket("3")))
    assert len(asyncio.run(desk.everything()).tickets) == 2
    asyncio.run(storage.aclose())
    return os.waitstatus_to_exitcode(status)


def _in_child(desk: Desk, key: Key) -> int:
    try:
        asyncio.run(_is_refused(desk, key))
    except BaseException as error:  # noqa: BLE001 - a child that went on would do the parent's work, too
        print(repr(error), flush=True)  # noqa: T201 - the parent of both reads it
        return 1
    return 0


async def _is_refused(desk: Desk, key: Key) -> None:
    for call in _calls(desk, key):
        with pytest.raises(StorageUnavailable, match="fork"):
            await asyncio.wait_for(call, 5)
    await asyncio.wait_for(desk.storage.aclose(), 5)


def _calls(desk: Desk, key: Key) -> Iterator[Coroutine[object, object, object]]:
    yield desk.find(key)
    yield desk.keep(a_ticket("2"))
    yield desk.claim()
    yield desk.storage.companies()
    yield desk.storage.health()
    yield desk.storage.erase(desk.company_id)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # Python 3.12 warns of a fork beside threads, which is what is tried here
    sys.exit(main(Path(sys.argv[1])))
