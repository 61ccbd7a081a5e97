"""The facade over every storage there is; their clock is the test's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deskstore.adapters.file import FileStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.ports import Storage
from deskstore.facade import DictStorage
from deskstore.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "file"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Storage]:
    opened = MemoryStorage(clock) if request.param == "memory" else FileStorage(tmp_path / "data", clock=clock)
    yield opened
    await opened.aclose()


@pytest.fixture
def desk(storage: Storage) -> DictStorage:
    return DictStorage(storage)


@pytest.fixture
def data_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where an environment that asks for files has them."""
    monkeypatch.setenv("STORAGE_TYPE", "file")
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "data"))
    return tmp_path / "data"
