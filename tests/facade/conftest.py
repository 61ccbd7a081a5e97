"""The facade over every storage there is; their clock is the test's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deskstore.adapters.file import FileStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.ports import Storage
from deskstore.facade import DictStorage
from deskstore.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "file", "postgresql"])
def unused_storage(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Storage:
    """A storage that was not used yet; a synchronous fixture, since only such a one may ask for others by name."""
    match request.param:
        case "memory":
            return MemoryStorage(clock)
        case "file":
            return FileStorage(tmp_path / "data", clock=clock)
        case _:
            return PostgresStorage(request.getfixturevalue("fresh_postgres_url"), clock=clock)


@pytest.fixture
async def storage(unused_storage: Storage) -> AsyncIterator[Storage]:
    yield unused_storage
    await unused_storage.aclose()


@pytest.fixture
def desk(storage: Storage) -> DictStorage:
    return DictStorage(storage)


@pytest.fixture
def data_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where an environment that asks for files has them."""
    monkeypatch.setenv("STORAGE_TYPE", "file")
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "data"))
    return tmp_path / "data"
