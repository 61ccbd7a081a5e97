"""Folders that servers can reach."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deskstore.adapters.embedded import places


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """An empty folder that an account without rights can reach; pytest's own are ours alone."""
    folder = Path(tempfile.mkdtemp(prefix="deskstore-tests-"))
    folder.chmod(places.SEARCHABLE)
    yield folder
    shutil.rmtree(folder)
