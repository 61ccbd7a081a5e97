"""When there is a cache: with REDIS_URL before PostgreSQL, and never else."""

import subprocess
import sys
from pathlib import Path

import pytest

from deskstore.adapters.embedded.ports import HOST, free_port
from deskstore.adapters.file import FileStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.redis import CachedStorage
from deskstore.bootstrap import Settings, StorageType, open_storage
from deskstore.domain.errors import ConfigurationError

DATABASE = "postgresql://app_user:pw@127.0.0.1:1/none"
FILES = """
import asyncio, sys
from deskstore.bootstrap import Settings, open_storage

async def main():
    async with open_storage(Settings.from_environment({"REDIS_URL": "redis://127.0.0.1:1/0", "DATA_PATH": sys.argv[1]})) as storage:
        await storage.companies()

asyncio.run(main())
print([name for name in sys.modules if name.partition(".")[0] == "redis"])
"""


async def test_without_redis_the_storage_is_postgresql_itself_and_keeps_its_promises_alone() -> None:
    async with open_storage(Settings(storage_type=StorageType.POSTGRESQL, database_url=DATABASE)) as storage:
        assert type(storage) is PostgresStorage


async def test_with_redis_the_cache_stands_before_it() -> None:
    url = f"redis://{HOST}:{free_port()}/0"

    async with open_storage(Settings(storage_type=StorageType.POSTGRESQL, database_url=DATABASE, redis_url=url)) as storage:
        assert isinstance(storage, CachedStorage)
        assert isinstance(storage.beneath, PostgresStorage)


async def test_files_need_no_cache(tmp_path: Path) -> None:
    async with open_storage(Settings(data_path=tmp_path, redis_url="redis://127.0.0.1:1/0")) as storage:
        assert type(storage) is FileStorage


def test_files_load_nothing_of_redis(tmp_path: Path) -> None:
    said = subprocess.run([sys.executable, "-c", FILES, str(tmp_path)], capture_output=True, text=True, check=True)

    assert said.stdout == "[]\n"


@pytest.mark.parametrize("url", ["redis://host:no-port/0", "redis+cluster://host:6379/3"])
async def test_an_address_that_no_client_can_use_is_refused_by_name(url: str) -> None:
    settings = Settings(storage_type=StorageType.POSTGRESQL, database_url=DATABASE, redis_url=url)

    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        async with open_storage(settings):
            pass
