"""A storage refuses a database that would not keep companies apart, or not keep what it acknowledged, and says what to do."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import pytest

from deskstore.adapters.embedded.postgres import PostgresServer
from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.postgres.checks import Entrance, Fault, behind
from deskstore.domain.errors import ConfigurationError
from tests.postgres.preparing import migrations
from tests.servers.databases import Database, databases_on

ANOTHER: Final = "let DATABASE_URL name a login that `deskstore db upgrade` made, or run "
#: what is done as the server's superuser -> what the storage says, and what mends it
UNFIT: Final = {
    "ALTER ROLE {app} SUPERUSER": (
        f"is a superuser, whom no policy binds: {ANOTHER}ALTER ROLE {{app}} NOSUPERUSER;",
        "ALTER ROLE {app} NOSUPERUSER",
    ),
    "ALTER ROLE {app} BYPASSRLS": (
        f"has BYPASSRLS: no policy binds it: {ANOTHER}ALTER ROLE {{app}} NOBYPASSRLS;",
        "ALTER ROLE {app} NOBYPASSRLS",
    ),
    "GRANT {owner} TO {app}": (
        f"is a member of {{owner}}, which owns tables of the schema: {ANOTHER}REVOKE {{owner}} FROM {{app}};",
        "REVOKE {owner} FROM {app}",
    ),
    "ALTER TABLE deskstore.ticket OWNER TO {app}": (
        f"owns tables of the schema, and may unseal them: {ANOTHER}REASSIGN OWNED BY {{app}} TO another_role;",
        "ALTER TABLE deskstore.ticket OWNER TO {owner}; GRANT SELECT, INSERT, UPDATE, DELETE ON deskstore.ticket TO {app}",
    ),
    "ALTER ROLE {app} SET synchronous_commit = off": (
        "synchronous_commit is off: what was acknowledged may be lost in a crash: ALTER ROLE {app} SET synchronous_commit = on;",
        "ALTER ROLE {app} RESET synchronous_commit",
    ),
    "DROP POLICY own ON deskstore.ticket": ("the policy own of deskstore.ticket is missing: CREATE POLICY own ON deskstore.ticket", None),
    "DROP POLICY own_only ON deskstore.ticket": ("the policy own_only of deskstore.ticket is missing", None),
    "ALTER POLICY own ON deskstore.summary USING (true)": (
        "the policy own of deskstore.summary is not as it was made: DROP POLICY own",
        None,
    ),
    "CREATE POLICY more ON deskstore.article USING (true)": (
        "the policy more of deskstore.article is none of deskstore's: DROP POLICY more ON deskstore.article;",
        None,
    ),
    "ALTER TABLE deskstore.outbox DISABLE ROW LEVEL SECURITY": ("row-level security is off for deskstore.outbox: ALTER TABLE", None),
    "ALTER TABLE deskstore.outbox NO FORCE ROW LEVEL SECURITY": ("row-level security does not bind the owner of deskstore.outbox", None),
    "DROP TABLE deskstore.count_delta": ("the table deskstore.count_delta is missing", None),
    "UPDATE deskstore.schema_version SET version_num = '0000'": (
        "is at 0000, and this release needs 0001: run `deskstore db upgrade`",
        None,
    ),
    "UPDATE deskstore.schema_version SET version_num = '0999'": ("a newer release made the schema 'deskstore' (0999", None),
    "DROP SCHEMA deskstore CASCADE": ("the database has no deskstore schema 'deskstore': run `deskstore db upgrade` as its owner", None),
}


@asynccontextmanager
async def opened(url: str, **options: object) -> AsyncGenerator[PostgresStorage]:
    storage = PostgresStorage(url, **options)  # type: ignore[arg-type]  # each test gives one that fits
    try:
        yield storage
    finally:
        await storage.aclose()


async def run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_database_that_is_as_it_was_made_lets_the_application_in(fresh_database: Database) -> None:
    async with opened(fresh_database.app_url) as storage:
        assert await storage.companies() == []


@pytest.mark.parametrize("statement", UNFIT)
async def test_what_is_unfit_is_refused_with_what_to_do(fresh_database: Database, statement: str) -> None:
    names = {"app": fresh_database.app_role, "owner": urlsplit(fresh_database.owner_url).username}
    line, undo = UNFIT[statement]
    await run(fresh_database.admin_url, statement.format(**names))
    try:
        async with opened(fresh_database.app_url) as storage:
            for _ in range(2):
                with pytest.raises(ConfigurationError) as caught:
                    await storage.companies()

                assert line.format(**names) in str(caught.value)
                assert "\n" not in str(caught.value)
    finally:
        if undo:
            await run(fresh_database.admin_url, undo.format(**names))


@pytest.mark.parametrize("who", ["admin_url", "owner_url"])
async def test_nobody_but_the_application_role_is_let_in(fresh_database: Database, who: str) -> None:
    async with opened(getattr(fresh_database, who)) as storage:
        with pytest.raises(ConfigurationError, match=r"superuser|owns tables"):
            await storage.companies()


async def test_what_is_mended_is_let_in_by_the_same_storage(fresh_database: Database) -> None:
    await run(fresh_database.admin_url, "ALTER TABLE deskstore.ticket NO FORCE ROW LEVEL SECURITY")
    async with opened(fresh_database.app_url) as storage:
        with pytest.raises(ConfigurationError) as caught:
            await storage.companies()

        await run(fresh_database.owner_url, str(caught.value).partition("deskstore.ticket: ")[2])

        assert await storage.companies() == []


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
async def test_a_server_that_forgets_is_let_in_only_where_that_is_allowed(setting: str) -> None:
    with PostgresServer(settings={setting: "off"}) as server:
        async with databases_on(server) as databases, databases.fresh() as database:
            await migrations(database).upgrade()
            async with opened(database.app_url) as storage:
                with pytest.raises(ConfigurationError, match=rf"{setting} is off: .*: ALTER SYSTEM SET {setting} = on"):
                    await storage.companies()
            async with opened(database.app_url, admit=Entrance("deskstore", may_lose_commits=True)) as storage:
                assert await storage.companies() == []


async def test_the_look_costs_one_trip_of_the_first_connection_alone(fresh_database: Database) -> None:
    looks: list[str] = []

    class Watched(Entrance):
        async def __call__(self, driver: asyncpg.Connection[asyncpg.Record]) -> None:
            driver.add_query_logger(lambda record: looks.append(record.query))
            await super().__call__(driver)

    async with opened(fresh_database.app_url, admit=Watched("deskstore")) as storage:
        await storage.companies()
        await storage.companies()

    assert sum("version_num" in look for look in looks) == 1


def test_a_release_with_known_holes_is_only_warned_of() -> None:
    assert Fault(kind="release", what="old").is_warning
    assert not Fault(kind="sealing", what="open").is_warning


async def test_a_warning_goes_to_the_log(caplog: pytest.LogCaptureFixture, fresh_database: Database) -> None:
    class Old(Entrance):
        async def _look(self, driver: asyncpg.Connection[asyncpg.Record]) -> list[Fault]:
            return [*await super()._look(driver), Fault(kind="release", what="PostgreSQL 15.3 has known holes")]

    with caplog.at_level(logging.WARNING, "deskstore"):
        async with opened(fresh_database.app_url, admit=Old("deskstore")) as storage:
            await storage.companies()

    assert [record.getMessage() for record in caplog.records] == ["PostgreSQL 15.3 has known holes"]


@pytest.mark.parametrize(("found", "word"), [(None, "has no deskstore schema"), ("0000", "this release needs"), ("1", "newer")])
def test_another_schema_than_this_releases_says_so(found: str | None, word: str) -> None:
    assert word in str(behind(found, "deskstore"))
    assert behind("0001", "deskstore") is None
