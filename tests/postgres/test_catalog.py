"""Each way to unseal a database, or to work with it carelessly, is caught by a test, by `db check` or by `doctor`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest
from attrs import frozen

from deskstore.adapters.postgres.checks import Fault, faults
from deskstore.adapters.postgres.migrating import differences
from tests.postgres.probes import (
    Careless,
    Open,
    Probe,
    Watched,
    a_connection_that_goes_back_remembers_no_company,
    a_deletion_is_not_undone_by_an_older_copy_on_its_way,
    a_writer_that_waited_sees_what_happened_meanwhile,
    connected,
    every_statement_names_its_company,
)
from tests.servers.databases import Database, Databases

if TYPE_CHECKING:
    from deskstore.adapters.postgres.pool import Driver

PARTITION: Final = (
    "CREATE TABLE deskstore.parts (company_id text) PARTITION BY HASH (company_id);"
    "ALTER TABLE deskstore.parts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
    "CREATE TABLE deskstore.part PARTITION OF deskstore.parts FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
)
PROBES: Final = (
    a_connection_that_goes_back_remembers_no_company,
    every_statement_names_its_company,
    a_deletion_is_not_undone_by_an_older_copy_on_its_way,
    a_writer_that_waited_sees_what_happened_meanwhile,
)


@frozen(kw_only=True)
class Mutant:
    """Functions or a storage that somebody broke, and the probe that must notice."""

    probe: Probe
    sql: str = ""
    function: str = ""  #: whose text is changed
    edits: Sequence[tuple[str, str]] = ()
    open_storage: Open = Watched


#: what somebody did to a database -> what is complained of
UNSEALED: Final[Mapping[str, str]] = {
    "DROP POLICY own ON deskstore.ticket": "the policy own of deskstore.ticket is missing",
    "DROP POLICY own_only ON deskstore.checkpoint": "the policy own_only of deskstore.checkpoint is missing",
    "ALTER POLICY own_only ON deskstore.ticket USING (true)": "the policy own_only of deskstore.ticket is not as it was made",
    "ALTER POLICY own ON deskstore.summary WITH CHECK (true)": "the policy own of deskstore.summary is not as it was made",
    "ALTER POLICY own ON deskstore.summary TO {app}": "the policy own of deskstore.summary is not as it was made",
    "DROP POLICY own_only_deleted ON deskstore.company": "the policy own_only_deleted of deskstore.company is missing",
    "CREATE POLICY all_rows ON deskstore.ticket USING (true)": "the policy all_rows of deskstore.ticket is none of deskstore's",
    "ALTER TABLE deskstore.ticket NO FORCE ROW LEVEL SECURITY": "row-level security does not bind the owner of deskstore.ticket",
    "ALTER TABLE deskstore.ticket_state DISABLE ROW LEVEL SECURITY": "row-level security is off for deskstore.ticket_state",
    "CREATE TABLE deskstore.extra (company_id text PRIMARY KEY)": "row-level security is off for deskstore.extra",
    PARTITION: "row-level security is off for deskstore.part",
    "GRANT TRUNCATE ON deskstore.ticket TO {app}": "the role {app} may TRUNCATE deskstore.ticket, and must not",
    "GRANT UPDATE ON deskstore.erasure TO {app}": "the role {app} may UPDATE deskstore.erasure, and must not",
    "GRANT UPDATE ON deskstore.store TO {app}": "the role {app} may UPDATE deskstore.store, and must not",
    "GRANT SELECT ON deskstore.ticket TO PUBLIC": "everybody has privileges on deskstore.ticket",
    "REVOKE INSERT ON deskstore.ticket FROM {app}": "the role {app} may not INSERT deskstore.ticket",
    "REVOKE USAGE ON SCHEMA deskstore FROM {app}": "the role {app} may not use the schema deskstore",
    "GRANT CREATE ON SCHEMA deskstore TO {app}": "the role {app} may create things in the schema deskstore",
    "GRANT EXECUTE ON FUNCTION deskstore.register(text) TO PUBLIC": "everybody may call deskstore.register(company text)",
    "REVOKE EXECUTE ON FUNCTION deskstore.register(text) FROM {app}": "the role {app} may not call deskstore.register(company text)",
    "ALTER FUNCTION deskstore.find_state(text) SECURITY DEFINER": (
        "the function deskstore.find_state(company text) runs with the rights of its owner"
    ),
    "ALTER FUNCTION deskstore.enter STABLE": "the function deskstore.enter(company text, known bigint) is not VOLATILE",
    "CREATE VIEW deskstore.all_tickets AS SELECT * FROM deskstore.ticket": "deskstore.all_tickets is a view",
    "CREATE MATERIALIZED VIEW deskstore.kept AS SELECT * FROM deskstore.ticket": "deskstore.kept is a materialized view",
    "CREATE UNIQUE INDEX shared ON deskstore.ticket (platform, ticket_id)": (
        "the key shared of deskstore.ticket does not begin with company_id"
    ),
    "ALTER TABLE deskstore.ticket_state ADD FOREIGN KEY (company_id, platform, ticket_id) REFERENCES deskstore.ticket": (
        "the foreign key ticket_state_company_id_platform_ticket_id_fkey of deskstore.ticket_state looks past row-level security"
    ),
    "CREATE SEQUENCE deskstore.numbers; GRANT USAGE ON SEQUENCE deskstore.numbers TO {app}": (
        "the role {app} may use the sequence deskstore.numbers"
    ),
    "ALTER TABLE deskstore.ticket OWNER TO {app}": "the role {app} owns tables of the schema",
    "GRANT {owner} TO {app}": "the role {app} is a member of {owner}",
    "ALTER ROLE {app} BYPASSRLS": "the role {app} has BYPASSRLS",
    "ALTER ROLE {app} SUPERUSER": "the role {app} is a superuser",
    "ALTER TABLE deskstore.ticket_state DISABLE TRIGGER count_inserted": (
        "the trigger count_inserted of deskstore.ticket_state is switched off"
    ),
}
#: what somebody changed -> what is named by `db check`
DRIFTED: Final[Mapping[str, str]] = {
    "DROP INDEX deskstore.ticket_page": "the index ticket_page is missing",
    "CREATE INDEX more ON deskstore.ticket (company_id, subject)": "the index more is none of this release's",
    "ALTER TABLE deskstore.ticket ADD COLUMN extra text": "the column ticket.extra is none of this release's",
    "ALTER TABLE deskstore.ticket ALTER COLUMN subject SET NOT NULL": "the column ticket.subject is not as this release makes it",
    "ALTER TABLE deskstore.ticket DROP CONSTRAINT ticket_names_a_company": "the constraint ticket_names_a_company on ticket is missing",
    "DROP TRIGGER count_updated ON deskstore.ticket_state": "the trigger count_updated on ticket_state is missing",
    "CREATE OR REPLACE FUNCTION deskstore.register(company text) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'": (
        "the function register(company text) is not as this release makes it"
    ),
    "INSERT INTO deskstore.store VALUES ('another')": "the table store holds 2 ids, and must hold one",
}
REMEMBERED: Final = ("set_config('app.current_company_id', company, true)", "set_config('app.current_company_id', company, false)")
TOGETHER: Final = (
    ("PERFORM pg_advisory_xact_lock_shared(deskstore.company_lock(company));", ""),
    (
        "FROM deskstore.store o LEFT JOIN",
        (
            "FROM (SELECT pg_advisory_xact_lock_shared(deskstore.company_lock(company)) OFFSET 0) locked"
            " CROSS JOIN deskstore.store o LEFT JOIN"
        ),
    ),
)
MUTANTS: Final[Mapping[str, Mutant]] = {
    "the company outlives a commit": Mutant(probe=a_connection_that_goes_back_remembers_no_company, function="bind", edits=[REMEMBERED]),
    "the company outlives a read": Mutant(probe=a_connection_that_goes_back_remembers_no_company, function="enter", edits=[REMEMBERED]),
    "connections go back as they are": Mutant(probe=a_connection_that_goes_back_remembers_no_company, open_storage=Careless),
    "a read names no company": Mutant(
        probe=every_statement_names_its_company, function="find_tickets", edits=[("r.company_id = company AND", "")]
    ),
    "a page names no company": Mutant(
        probe=every_statement_names_its_company, function="page_of_tickets", edits=[("'l.company_id = $1'", "'true'")]
    ),
    "a deletion names no company": Mutant(
        probe=every_statement_names_its_company, function="remove_records", edits=[("m.company_id = company AND", "")]
    ),
    "the state is read in the statement that locks": Mutant(
        probe=a_writer_that_waited_sees_what_happened_meanwhile, function="bind", edits=TOGETHER
    ),
    "an older copy passes a deletion": Mutant(
        probe=a_deletion_is_not_undone_by_an_older_copy_on_its_way,
        function="bind",
        edits=[("PERFORM pg_advisory_xact_lock(deskstore.copies_lock(company));", "")],
    ),
    "a deletion passes an older copy": Mutant(
        probe=a_deletion_is_not_undone_by_an_older_copy_on_its_way,
        function="bind",
        edits=[("PERFORM pg_advisory_xact_lock_shared(deskstore.copies_lock(company));", "")],
    ),
    "binding is STABLE": Mutant(probe=a_writer_that_waited_sees_what_happened_meanwhile, sql="ALTER FUNCTION deskstore.bind STABLE"),
}


@pytest.fixture
def database(fresh_database: Database) -> Database:
    """One for each test, which changes it."""
    return fresh_database


@pytest.fixture(scope="module")
async def shared_database(databases: Databases, prepared_postgres: str) -> AsyncIterator[Database]:
    """One for all that is taken back."""
    async with databases.fresh(prepared_postgres) as made:
        yield made


@pytest.fixture
async def admin(shared_database: Database) -> AsyncIterator[Driver]:
    """The server's superuser, in a transaction that is never committed."""
    async with connected(shared_database.admin_url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        yield connection
        await transaction.rollback()


async def complaints(admin: Driver, database: Database) -> list[Fault]:
    return await differences(admin, "deskstore", database.app_role)


def filled(text: str, database: Database) -> str:
    return text.format(app=database.app_role, owner=urlsplit(database.owner_url).username)


async def test_of_a_database_as_it_was_made_nothing_is_complained(shared_database: Database, admin: Driver) -> None:
    assert await complaints(admin, shared_database) == []


@pytest.mark.parametrize("statement", UNSEALED)
async def test_whatever_unseals_a_database_is_named_and_can_be_mended(shared_database: Database, admin: Driver, statement: str) -> None:
    await admin.execute(filled(statement, shared_database))

    found = await faults(admin, "deskstore", shared_database.app_role)
    for fault in found:
        await admin.execute(fault.mend.replace("another_role", str(urlsplit(shared_database.owner_url).username)))

    assert any(filled(UNSEALED[statement], shared_database) in fault.what for fault in found), found
    left = await faults(admin, "deskstore", shared_database.app_role)
    assert [fault for fault in left if fault.kind != "privileges"] == []


@pytest.mark.parametrize("statement", DRIFTED)
async def test_whatever_is_not_as_it_was_made_is_named(shared_database: Database, admin: Driver, statement: str) -> None:
    await admin.execute(statement)

    found = await complaints(admin, shared_database)

    assert DRIFTED[statement] in [fault.what for fault in found]


@pytest.mark.parametrize("probe", PROBES)
async def test_what_must_hold_holds(database: Database, probe: Probe) -> None:
    await probe(database, Watched)

    assert probe in {mutant.probe for mutant in MUTANTS.values()}


@pytest.mark.parametrize("name", MUTANTS)
async def test_whoever_works_carelessly_is_caught(database: Database, name: str) -> None:
    mutant = MUTANTS[name]
    await mutate(database, mutant)

    with pytest.raises(AssertionError):
        await mutant.probe(database, mutant.open_storage)


async def mutate(database: Database, mutant: Mutant) -> None:
    async with connected(database.admin_url) as admin:
        if mutant.sql:
            await admin.execute(mutant.sql)
        if mutant.function:
            text = await admin.fetchval("SELECT pg_get_functiondef(('deskstore.' || $1)::regproc)", mutant.function)
            for old, new in mutant.edits:
                assert old in text, "the function is not what the mutant was made for"
                text = text.replace(old, new)
            await admin.execute(text)
