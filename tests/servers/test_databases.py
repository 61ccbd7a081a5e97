"""Fresh databases, and what their roles may do."""

import asyncpg
import pytest

from tests.servers.choosing import Server, postgres
from tests.servers.databases import Database, Databases, databases_on


@pytest.fixture(params=["newest", "16"])
def made(request: pytest.FixtureRequest) -> Databases:
    """Databases on each PostgreSQL of this run."""
    found: Databases = request.getfixturevalue({"newest": "databases", "16": "databases_16"}[request.param])
    return found


async def test_a_fresh_database_belongs_to_its_owner_and_the_application_may_connect(made: Databases) -> None:
    async with made.fresh() as database:
        owner = await asyncpg.connect(database.owner_url)
        await owner.execute("create table kept (id int)")
        app = await asyncpg.connect(database.app_url)
        who = await app.fetchrow("select current_user, rolsuper, rolbypassrls, rolcreaterole from pg_roles where rolname = current_user")

        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute("select * from kept")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute("create table mine (id int)")

        await owner.close()
        await app.close()
    assert who is not None
    assert tuple(who) == (database.app_role, False, False, False)


async def test_two_fresh_databases_are_strangers_and_both_gone_afterwards(made: Databases) -> None:
    async with made.fresh() as one, made.fresh() as other:
        await run(one.owner_url, "create table kept (id int)")

        with pytest.raises(asyncpg.UndefinedTableError):
            await run(other.owner_url, "select * from kept")

    for database in (one, other):
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await run(database.admin_url, "select 1")


async def test_a_database_is_dropped_though_somebody_is_connected(made: Databases) -> None:
    async with made.fresh() as database:
        left = await asyncpg.connect(database.app_url)

    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.AdminShutdownError)):
        await left.execute("select 1")
    left.terminate()


async def test_a_database_made_after_a_template_has_what_was_prepared(made: Databases) -> None:
    async def prepare(database: Database) -> None:
        await run(database.owner_url, "create table prepared (id int)")
        await run(database.owner_url, f"grant select on prepared to {database.app_role}")

    template = await made.template(prepare)

    async with made.fresh(template) as database:
        assert await run(database.app_url, "select * from prepared") == "SELECT 0"


@pytest.mark.parametrize("elsewhere", ["postgres", "template1"])
async def test_the_roles_are_nobody_elsewhere(elsewhere: str, made: Databases) -> None:
    for role in (made.owner, made.app):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await run(made.url_of(elsewhere, role), "select 1")


async def test_a_server_that_was_given_is_used_and_left_as_it_was(postgres_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", postgres_server.url)
    before = await kept_by(postgres_server.url)

    with postgres() as given:
        async with databases_on(given) as made, made.fresh() as database:
            who = await run(database.app_url, "select 1")

    assert given.url == postgres_server.url
    assert who == "SELECT 1"
    assert await kept_by(postgres_server.url) == before


async def kept_by(url: str) -> list[str]:
    """The roles and databases of a server."""
    connection = await asyncpg.connect(url)
    found = await connection.fetch("select rolname from pg_roles union all select datname from pg_database order by 1")
    await connection.close()
    return [row[0] for row in found]


async def run(url: str, statement: str) -> str:
    """Run one statement in a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.execute(statement)
    finally:
        await connection.close()
