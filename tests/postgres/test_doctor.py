"""`deskstore doctor` on PostgreSQL: a line for each subject, and the SQL that mends each fault."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from deskstore.adapters.embedded.ports import free_port
from tests.postgres.commands import Shell
from tests.servers.databases import Database


@pytest.fixture
def database(fresh_database: Database) -> Database:
    """One for each test, which changes it."""
    return fresh_database


@pytest.fixture
def shell(database: Database, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    made = Shell(monkeypatch, capfd.readouterr)
    made.set(STORAGE_TYPE="postgresql", DATABASE_URL=database.app_url)
    return made


def run(url: str, statement: str) -> None:
    async def ran() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(ran())


def test_of_a_database_as_it_was_made_the_doctor_has_nothing_to_say(shell: Shell) -> None:
    ran = shell("doctor", "--json")

    assert (ran.code, ran.err) == (0, "deskstore: nothing is wrong\n")
    assert [check["name"] for check in ran.json["checks"] if check["ok"]] == [
        "server",
        "schema",
        "the role is bound by policies",
        "what is acknowledged is durable",
        "the server's release",
        "companies are sealed off",
        "nothing leads around the policies",
        "changes are counted",
        "privileges",
    ]
    assert ran.json["checks"][1]["detail"] == "deskstore, at 0001"


def test_faults_that_keep_a_storage_from_opening_are_told_with_the_sql_that_mends_them(shell: Shell, database: Database) -> None:
    run(database.owner_url, "ALTER TABLE deskstore.ticket NO FORCE ROW LEVEL SECURITY")
    run(database.owner_url, f"GRANT TRUNCATE ON deskstore.ticket TO {database.app_role}")
    refused = shell("company", "list")

    ran = shell("doctor")
    for line in ran.err.splitlines()[:-1]:
        run(database.owner_url, line.rpartition(": ")[2])

    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "the database is not fit for deskstore: row-level security does not bind the owner of deskstore.ticket" in refused.err
    assert ran.code == 1
    assert ran.err.splitlines() == [
        (
            "deskstore: sealing: row-level security does not bind the owner of deskstore.ticket: "
            "ALTER TABLE deskstore.ticket FORCE ROW LEVEL SECURITY;"
        ),
        (
            f"deskstore: privileges: the role {database.app_role} may TRUNCATE deskstore.ticket, and must not: "
            f"REVOKE TRUNCATE ON deskstore.ticket FROM {database.app_role};"
        ),
        "deskstore: 2 checks failed",
    ]
    assert shell("doctor").code == 0


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        (
            "DROP SCHEMA deskstore CASCADE",
            "schema: the database has no deskstore schema 'deskstore': run `deskstore db upgrade` as its owner",
        ),
        ("UPDATE deskstore.schema_version SET version_num = '0000'", "is at 0000, and this release needs 0001: run `deskstore db upgrade`"),
        ("UPDATE deskstore.schema_version SET version_num = '9'", "a newer release made the schema 'deskstore' (9; this one knows 0001)"),
        ("DROP TABLE deskstore.company CASCADE", "the table deskstore.company is missing"),
        ("REVOKE USAGE ON SCHEMA deskstore FROM {app}", "may not use the schema deskstore: GRANT USAGE ON SCHEMA deskstore TO"),
    ],
)
def test_a_schema_that_is_not_there_or_not_ours_is_one_line(shell: Shell, database: Database, statement: str, line: str) -> None:
    run(database.owner_url, statement.format(app=database.app_role))

    for command in ("doctor", "status"):
        ran = shell(command)

        assert ran.code == (1 if command == "doctor" else 2), ran
        assert command != "status" or ran.err.count("\n") == 1
    assert line in shell("doctor").err


def test_a_database_that_is_not_reached_is_one_line_and_4(shell: Shell) -> None:
    shell.set(DATABASE_URL=f"postgresql://a:b@127.0.0.1:{free_port()}/c")

    for command in ("doctor", "status"):
        ran = shell(command)

        assert (ran.code, ran.out, ran.err.count("\n")) == (4, "", 1)
        assert "refuses the connection: is it running where DATABASE_URL says?" in ran.err


def test_a_wrong_password_is_one_line_and_2(shell: Shell, database: Database) -> None:
    shell.set(DATABASE_URL=database.app_url.replace(":", ":wrong", 2).replace(":wrong//", "://", 1))

    for command in ("doctor", "status"):
        ran = shell(command)

        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert "refuses the login" in ran.err


@pytest.mark.parametrize("option", ["--repair", "--accept-edits", "--release-claims"])
def test_there_is_nothing_to_mend_by_hand(shell: Shell, option: str) -> None:
    assert shell("doctor", option).code == 0
