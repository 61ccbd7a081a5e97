"""How every test runs: without our environment variables, and with a seed that can be given again."""

import logging
import os
import random
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.servers.choosing import Server
    from tests.servers.databases import Database, Databases

OURS = ("DATABASE_URL", "DATA_PATH", "HYBRID_USE_POSTGRES", "REDIS_URL", "STORAGE_TYPE")

for name in [name for name in os.environ if name in OURS or name.startswith("DESKSTORE_")]:
    del os.environ[name]

# a shell starts what it runs in the background deaf to Ctrl-C, and every program that a test starts would inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# most tests wait for a disk to sync, and none of them judges by it: what a power cut leaves is worked out from recorded operations
MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of the system's, in which each run makes one of its own
ROOM_BYTES = 2 * 2**30

INTERRUPTED: list[bool] = []  #: holds something once Ctrl-C was pressed

# a busy machine is no bug, so no example has a deadline
settings.register_profile("fast", deadline=None, print_blob=True, max_examples=50)
settings.register_profile("full", deadline=None, print_blob=True, max_examples=2_000)
settings.load_profile("fast")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed before Hypothesis looks for one, so that a run that failed can be repeated; and a directory in memory."""
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(2**32))
    if config.option.basetemp is None and MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
        config.option.basetemp = tempfile.mkdtemp(prefix="deskstore-tests-", dir=MEMORY)
        config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))


def pytest_report_header(config: pytest.Config) -> str:
    return f"random examples: repeat them with --hypothesis-seed={config.option.hypothesis_seed}"


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """The seed of this run, for tests that draw at random without Hypothesis."""
    return int(pytestconfig.option.hypothesis_seed)


@pytest.fixture(scope="session")
def postgres_server() -> "Iterator[Server]":
    """The PostgreSQL of this run: the one TEST_DATABASE_URL names, else the newest one here, started when the first test asks for it."""
    from tests.servers.choosing import postgres

    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server_16() -> "Iterator[Server]":
    """A PostgreSQL 16 beside it."""
    from tests.servers.choosing import postgres

    with postgres(16) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> "Iterator[Server]":
    """The Redis of this run: the one TEST_REDIS_URL names, else one of our own; tests keep apart by the keys they use."""
    from tests.servers.choosing import redis

    with redis() as server:
        yield server


@pytest.fixture(scope="session")
async def databases(postgres_server: "Server") -> "AsyncIterator[Databases]":
    """Makes fresh databases on the PostgreSQL of this run."""
    from tests.servers.databases import databases_on

    async with databases_on(postgres_server) as made:
        yield made


@pytest.fixture(scope="session")
async def databases_16(postgres_server_16: "Server") -> "AsyncIterator[Databases]":
    """Makes fresh databases on PostgreSQL 16."""
    from tests.servers.databases import databases_on

    async with databases_on(postgres_server_16) as made:
        yield made


@pytest.fixture(scope="session")
async def prepared_postgres(databases: "Databases") -> str:
    """The name of a database with deskstore's tables that others are made after."""
    from tests.postgres.preparing import prepare

    return await databases.template(prepare)


@pytest.fixture
async def fresh_database(databases: "Databases", prepared_postgres: str) -> "AsyncIterator[Database]":
    """A database with deskstore's tables for one test alone."""
    async with databases.fresh(prepared_postgres) as made:
        yield made


@pytest.fixture
def fresh_postgres_url(fresh_database: "Database") -> str:
    """The same, as the application reaches it."""
    return fresh_database.app_url


@pytest.fixture(scope="session")
async def postgres_url(databases: "Databases") -> "AsyncIterator[str]":
    """A database with deskstore's tables, as the application reaches it; shared, so that each test works in companies of its own."""
    from tests.postgres.preparing import prepare

    async with databases.fresh() as database:
        await prepare(database)
        yield database.app_url


@pytest.fixture(scope="session")
async def shared_postgres_url(databases: "Databases") -> "AsyncIterator[str]":
    """Another one, for companies that are in other storages as well; a storage alone would be refused there."""
    from tests.postgres.preparing import prepare

    async with databases.fresh() as database:
        await prepare(database)
        yield database.app_url


@pytest.fixture(autouse=True)
def logger_as_it_was() -> Iterator[None]:
    """A command line sets up the logger of its process; here many tests share one process."""
    logger = logging.getLogger("deskstore")
    handlers, level, propagates = [*logger.handlers], logger.level, logger.propagate
    yield
    logger.handlers, logger.propagate = handlers, propagates
    logger.setLevel(level)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Name the seed once more where something failed: a quiet run has no header."""
    if exitstatus:
        terminalreporter.write_line(pytest_report_header(config))


def pytest_keyboard_interrupt() -> None:
    INTERRUPTED.append(True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End with 130 after Ctrl-C, as in any shell; pytest's own 2 also stands for a collection that failed."""
    if INTERRUPTED:
        session.exitstatus = 130
