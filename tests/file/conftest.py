"""A file storage below a directory of its own, and companies in it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from deskstore.adapters.file import FileStorage
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk

Settle = Callable[[Desk], Awaitable[Desk]]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Where the companies lie: DATA_PATH."""
    return tmp_path / "data"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def new_storage(base: Path, clock: ManualClock) -> AsyncIterator[Callable[[], FileStorage]]:
    """Makes a storage at each call, all of them on the same files."""
    made: list[FileStorage] = []

    def make() -> FileStorage:
        made.append(FileStorage(base, clock=clock))
        return made[-1]

    yield make
    for storage in made:
        await storage.aclose()


@pytest.fixture
def storage(new_storage: Callable[[], FileStorage]) -> FileStorage:
    return new_storage()


@pytest.fixture
def desk(storage: FileStorage) -> Desk:
    return Desk(storage, "acme")


@pytest.fixture
def settle(new_storage: Callable[[], FileStorage]) -> Settle:
    """Closes the storage of a desk, so that every file is written and no journal is left, and opens the same company in another one."""

    async def reopen(desk: Desk) -> Desk:
        await desk.storage.aclose()
        return Desk(new_storage(), desk.company_id)

    return reopen


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory with a file in it, where nothing of any company belongs."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "42.json").write_bytes(b'{"not":"yours"}')
    return place
