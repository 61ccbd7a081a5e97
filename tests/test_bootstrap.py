"""Settings are read once, whole, and with every fault named; the storage they ask for is the only one that is loaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deskstore.bootstrap import Layer, LogLevel, Settings, StorageType, masked, open_sides, open_storage
from deskstore.domain.errors import ConfigurationError, StorageUnavailable
from deskstore.services.tickets import save_ticket
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket
from tests.payloads import as_bytes, freshdesk

HEAVY = ("alembic", "asyncpg", "greenlet", "hypothesis", "opentelemetry", "pydantic", "redis", "rich", "sqlalchemy")
#: pydantic is here for the tests of a page on FastAPI, and dependency-injector loads it wherever it finds it
AS_INSTALLED = """
import sys

class Hidden:
    def find_spec(self, name, *_):
        if name in ("pydantic", "pydantic_settings"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
"""


def test_nothing_said_means_files_below_data() -> None:
    settings = Settings.from_environment({})

    assert settings == Settings(storage_type=StorageType.FILE, data_path=Path("data"))


def test_every_variable_is_read() -> None:
    settings = Settings.from_environment(
        {
            "STORAGE_TYPE": "Hybrid",
            "DATA_PATH": "/srv/desk",
            "DATABASE_URL": "postgres://app:secret@db/desk",
            "REDIS_URL": "redis://cache",
            "HYBRID_USE_POSTGRES": "Yes",
            "DESKSTORE_LOG_LEVEL": "debug",
            "HOME": "/root",
        }
    )

    assert settings == Settings(
        storage_type=StorageType.HYBRID,
        data_path=Path("/srv/desk"),
        database_url="postgres://app:secret@db/desk",
        redis_url="redis://cache",
        hybrid_use_postgres=True,
        log_level=LogLevel.DEBUG,
    )


def test_a_path_may_be_given_as_text() -> None:
    assert Settings(data_path="elsewhere") == Settings(data_path=Path("elsewhere"))


def test_an_empty_variable_counts_as_missing() -> None:
    assert Settings.from_environment({"STORAGE_TYPE": "", "DATA_PATH": ""}) == Settings()


def test_all_faults_are_named_at_once_with_what_to_write_instead() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment(
            {
                "STORAGE_TYPE": "postgres",
                "DATABASE_URL": "mysql://app:secret@db",
                "REDIS_URL": "cache:6379",
                "HYBRID_USE_POSTGRES": "perhaps",
                "DESKSTORE_LOG_LEVLE": "info",
            }
        )

    said = str(caught.value)
    assert "STORAGE_TYPE is 'postgres'; choose one of: file, hybrid, postgresql" in said
    assert "DATABASE_URL is not an address that deskstore knows; write it as postgresql://" in said
    assert "REDIS_URL is not an address that deskstore knows; write it as redis://user:password@host:6379/0" in said
    assert "HYBRID_USE_POSTGRES is 'perhaps'; choose one of: true, false" in said
    assert "did you mean DESKSTORE_LOG_LEVEL?" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:secret@db/desk",
        "postgresql://app:se:secret@cret@db/desk",
        "redis://:secret@cache",
        "postgresql://db/desk?user=app&password=secret&sslmode=require",
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    settings = Settings(database_url=url, redis_url=url)

    assert "secret" not in f"{settings!r} {masked(url)} {[*settings.shown()]}"
    assert "***" in repr(settings)


def test_the_first_layer_with_a_value_decides_and_is_named() -> None:
    layers = [
        Layer(name="option", values={"DATA_PATH": "here"}),
        Layer(name="environment", values={"DATA_PATH": "there", "REDIS_URL": "unix://s"}),
    ]

    settings = Settings.from_layers(layers)

    assert settings.data_path == Path("here")
    origins = {variable: origin for variable, _, origin in settings.shown() if origin != "default"}
    assert origins == {"DATA_PATH": "option", "REDIS_URL": "environment"}


async def test_hybrid_without_a_database_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="STORAGE_TYPE is 'hybrid', and DATABASE_URL is missing: write it as postgresql://"):
        async with open_storage(Settings(storage_type=StorageType.HYBRID)):
            pass


async def test_hybrid_joins_the_files_and_the_database(tmp_path: Path, postgres_url: str) -> None:
    settings = Settings(storage_type=StorageType.HYBRID, data_path=tmp_path, database_url=postgres_url)
    company_id = a_new_company()

    async with open_storage(settings) as storage:
        await Desk(storage, company_id).keep(a_ticket())
        assert (await storage.health()).adapter == "hybrid"

    async with open_sides(settings) as (near, far):
        assert await Desk(near, company_id).find(a_ticket().key) is not None
        assert company_id in await far.companies()


async def test_postgresql_without_an_address_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL is missing: write it as postgresql://"):
        async with open_storage(Settings(storage_type=StorageType.POSTGRESQL)):
            pass


async def test_settings_of_postgresql_open_the_storage_they_ask_for(postgres_url: str) -> None:
    settings = Settings.from_environment(
        {
            "STORAGE_TYPE": "postgresql",
            "DATABASE_URL": postgres_url,
            "DESKSTORE_POOLER": "transaction",
            "DESKSTORE_POOL_SIZE": "2",
            "DESKSTORE_TIMEOUT_S": "2.5",
        }
    )

    async with open_storage(settings) as storage:
        health = await storage.health()

    assert health.adapter == "postgresql"
    assert "***" in health.place


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("DESKSTORE_SCHEMA", "a-b"),
        ("DESKSTORE_POOLER", "pgbouncer"),
        ("DESKSTORE_POOL_SIZE", "0"),
        ("DESKSTORE_POOL_SIZE", "many"),
        ("DESKSTORE_TIMEOUT_S", "nan"),
    ],
)
def test_a_setting_of_postgresql_that_says_nothing_is_refused(variable: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{variable} is '{text}'; (choose|write)"):
        Settings.from_environment({variable: text})


async def test_files_are_opened_where_the_settings_say_and_closed_behind_the_block(tmp_path: Path) -> None:
    async with open_storage(Settings(data_path=tmp_path / "data")) as storage:
        await save_ticket(storage, "acme", "freshdesk", freshdesk())

    assert (tmp_path / "data" / "acme").is_dir()
    with pytest.raises(StorageUnavailable):
        await storage.companies()


async def test_without_settings_the_environment_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "there"))

    async with open_storage() as storage:
        health = await storage.health()

    assert health.place == str(tmp_path / "there")


@pytest.mark.parametrize(
    "program",
    [
        "import deskstore; [getattr(deskstore, name) for name in deskstore.__all__]",
        "from deskstore.cli import main; main(['--help'])",
        "from deskstore.cli import main; main(['import', 't.json', '--company', 'acme', '--platform', 'freshdesk'])",
        "from deskstore.cli import main; main(['status']); main(['ticket', 'list', '--company', 'acme'])",
        "from deskstore.cli import main; main(['export', '--company', 'acme', '-o', 'out.ndjson'])",
    ],
)
def test_on_files_nothing_heavy_is_loaded(program: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_bytes(as_bytes(freshdesk()))

    loaded = modules_after(program, tmp_path)

    assert "deskstore" in loaded
    assert sorted(loaded & {*HEAVY}) == []


def test_importing_the_package_loads_next_to_nothing(tmp_path: Path) -> None:
    assert {name for name in modules_after("import deskstore", tmp_path) if name.startswith("deskstore")} == {"deskstore"}


def test_the_help_needs_neither_the_domain_nor_an_event_loop(tmp_path: Path) -> None:
    loaded = modules_after("from deskstore.cli import main; main(['--help'])", tmp_path)

    assert sorted(loaded & {"asyncio", "dependency_injector", "deskstore.bootstrap", "deskstore.domain", "orjson", "sqlite3"}) == []


def modules_after(program: str, folder: Path) -> set[str]:
    """What a fresh interpreter has loaded once the program ran."""
    ran = subprocess.run(
        [sys.executable, "-c", f"{AS_INSTALLED}\n{program}\nprint('LOADED', *sys.modules)"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return {*ran.stdout.splitlines()[-1].split()[1:]}
