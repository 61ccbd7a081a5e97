"""`deskstore db`: what it prints, what it says, and how it ends."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from deskstore.adapters.embedded.ports import free_port
from tests.pages import ROOT
from tests.postgres.commands import Shell
from tests.servers.databases import Database, Databases

PAGE: Final = (ROOT / "docs" / "reference" / "json.md").read_text(encoding="utf-8")


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    async with databases.fresh() as made:
        yield made


@pytest.fixture
def shell(database: Database, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    made = Shell(monkeypatch, capfd.readouterr)
    made.set(DESKSTORE_OWNER_URL=database.owner_url)
    return made


def run(url: str, statement: str) -> list[Any]:  # Any: values of every type
    async def ran() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return [*await connection.fetch(statement)]
        finally:
            await connection.close()

    return asyncio.run(ran())


def written_down(name: str) -> Any:  # Any: JSON
    found = re.search(rf"^## deskstore {name}\n.*?^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return json.loads(found[1])


def with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.username}:{password}@{parts.hostname}:{parts.port}"))


def test_an_empty_database_is_ready_after_one_command(shell: Shell, database: Database) -> None:
    role = ("--app-role", database.app_role)
    empty = shell("db", "current", "--json")
    upgraded = shell("db", "upgrade", *role, "--json")
    current = shell("db", "current", "--json")
    checked = shell("db", "check", *role, "--json")

    assert (empty.code, empty.json["revision"]) == (1, None)
    assert "run `deskstore db upgrade` as its owner" in empty.err
    assert upgraded.code == 0
    assert upgraded.json == {**written_down("db upgrade"), "app_role": database.app_role, "made_role": False}
    assert (current.code, current.json) == (0, written_down("db current"))
    assert (checked.code, checked.json["faults"], checked.err) == (0, [], "deskstore: nothing is wrong\n")


def test_a_check_names_what_differs_with_the_sql_that_mends_it(shell: Shell, database: Database) -> None:
    role = ("--app-role", database.app_role)
    shell("db", "upgrade", *role)
    run(database.owner_url, "ALTER TABLE deskstore.ticket NO FORCE ROW LEVEL SECURITY")

    checked = shell("db", "check", *role, "--json")
    shown = shell("db", "check", *role)
    for fault in checked.json["faults"]:
        if fault["sql"]:
            run(database.owner_url, fault["sql"])

    assert (checked.code, checked.json) == (1, written_down("db check"))
    assert checked.err == shown.err == "deskstore: 2 faults\n"
    assert "ALTER TABLE deskstore.ticket FORCE ROW LEVEL SECURITY" in shown.out
    assert shell("db", "check", *role).code == 0


def test_the_script_for_somebody_else_makes_the_same(shell: Shell, database: Database) -> None:
    role = ("--app-role", database.app_role)
    printed = shell("db", "sql", *role)

    script = printed.out.replace(f"CREATE ROLE {database.app_role} ", "-- ")
    asyncio.run(execute(database.owner_url, script))

    assert (printed.code, printed.err) == (0, "")
    assert shell("db", "sql", *role, "--json").json["sql"] == printed.out
    assert shell("db", "check", *role).code == 0
    assert shell("db", "upgrade", *role, "--json").json["gave_privileges"] is False


async def execute(url: str, script: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(script)
    finally:
        await connection.close()


def test_the_application_role_is_made_with_the_password_of_its_own_address(shell: Shell, database: Database) -> None:
    name = f"{database.name}_app"
    app_url = with_password(database.app_url, "p").replace(f"//{database.app_role}:p@", f"//{name}:s%40cret%3A@")
    shell.set(DESKSTORE_OWNER_URL=database.admin_url, DATABASE_URL=app_url)
    try:
        made = shell("db", "upgrade", "--json")

        assert (made.code, made.json["app_role"], made.json["made_role"], made.err) == (0, name, True, "")
        assert run(app_url, "SELECT current_user") == [(name,)]
        assert [row[0] for row in run(app_url, "SELECT version_num FROM deskstore.schema_version")] == ["0001"]
    finally:
        run(database.admin_url, f'DROP OWNED BY "{name}"')
        run(database.admin_url, f'DROP ROLE "{name}"')


def test_a_name_that_is_none_is_refused(shell: Shell) -> None:
    ran = shell("db", "upgrade", "--app-role", "app user; drop")

    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "choose one of 1 to 63 letters, digits and underscores with --app-role" in ran.err


def test_a_role_without_a_password_is_told_of(shell: Shell, database: Database) -> None:
    name = f"{database.name}_app"
    shell.set(DESKSTORE_OWNER_URL=database.admin_url)
    try:
        made = shell("db", "upgrade", "--app-role", name)

        assert made.code == 0
        assert f"the role {name} was made and has no password yet" in made.err
    finally:
        run(database.admin_url, f'DROP OWNED BY "{name}"')
        run(database.admin_url, f'DROP ROLE "{name}"')


def test_an_owner_who_may_make_no_role_is_told_whom_to_ask(shell: Shell, database: Database) -> None:
    refused = shell("db", "upgrade", "--app-role", "somebody_else")

    assert refused.code == 2
    assert "there is no role 'somebody_else', and 'desk_owner" in refused.err
    assert "CREATE ROLE somebody_else LOGIN" in refused.err
    assert run(database.owner_url, "SELECT FROM pg_namespace WHERE nspname = 'deskstore'") == []


@pytest.mark.parametrize("command", ["upgrade", "current", "check"])
def test_whatever_is_wrong_with_the_way_there_is_one_line_and_an_exit_code(shell: Shell, database: Database, command: str) -> None:
    faults = {
        with_password(database.owner_url, "wrong"): (
            2,
            "refuses the login: check the user, the password and the database's name in DESKSTORE_OWNER_URL",
        ),
        database.owner_url.replace(database.name, "no_such"): (2, "in DESKSTORE_OWNER_URL"),
        f"postgresql://a:b@127.0.0.1:{free_port()}/c": (4, "refuses the connection: is it running where DESKSTORE_OWNER_URL says?"),
        "mysql://a:b@localhost/c": (2, "DESKSTORE_OWNER_URL is not an address that deskstore knows; write it as postgresql://"),
        "postgresql://a:b@localhost:port/c": (2, "DESKSTORE_OWNER_URL is not an address: write it as postgresql://"),
    }
    for url, (code, line) in faults.items():
        shell.set(DESKSTORE_OWNER_URL=url)

        ran = shell("db", command, "--app-role", database.app_role)

        assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1), ran
        assert line in ran.err


def test_without_an_owner_the_login_that_was_taken_instead_is_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], database: Database
) -> None:
    shell = Shell(monkeypatch, capfd.readouterr)
    shell.set(DATABASE_URL=with_password(database.owner_url, "wrong"))

    ran = shell("db", "upgrade")

    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert ran.err.endswith("and the database's name in DATABASE_URL (DESKSTORE_OWNER_URL is missing)\n")


def test_without_an_address_the_variable_is_named(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    ran = Shell(monkeypatch, capfd.readouterr)("db", "upgrade")

    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "DESKSTORE_OWNER_URL is missing, and DATABASE_URL too" in ran.err


def test_the_application_role_may_upgrade_nothing(shell: Shell, database: Database) -> None:
    shell.set(DESKSTORE_OWNER_URL=database.app_url)

    ran = shell("db", "upgrade", "--app-role", "another")

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "may not do this (permission denied for database" in ran.err
    assert "let DESKSTORE_OWNER_URL name the owner" in ran.err


def test_a_schema_of_a_newer_release_is_left_alone(shell: Shell, database: Database) -> None:
    role = ("--app-role", database.app_role)
    shell("db", "upgrade", *role)
    run(database.owner_url, "UPDATE deskstore.schema_version SET version_num = '9999'")

    for command in ("upgrade", "current", "check"):
        ran = shell("db", command, *role)

        assert ran.code == (2 if command == "upgrade" else 1)
        assert "a newer release made the schema 'deskstore' (9999; this one knows 0001): use that release" in ran.out + ran.err
    assert [row[0] for row in run(database.owner_url, "SELECT version_num FROM deskstore.schema_version")] == ["9999"]


def test_a_role_that_no_policy_binds_is_refused(shell: Shell, database: Database) -> None:
    owner = urlsplit(database.owner_url).username or ""

    refused = shell("db", "upgrade", "--app-role", owner)

    line = f"the role {owner} owns tables of the schema, and may unseal them: give the application a login of its own"
    assert (refused.code, refused.err) == (2, f"deskstore: {line}, or name another role with --app-role\n")
