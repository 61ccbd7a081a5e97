"""What a company may see and change when SQL itself is tried, on every PostgreSQL of this machine that deskstore supports."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import AsyncIterator, Iterator
from importlib import resources
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from deskstore.adapters import postgres
from deskstore.adapters.postgres import PostgresStorage, routines
from deskstore.adapters.postgres.pool import Limits
from deskstore.adapters.postgres.schema import sealed_tables, tables
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_checkpoint, a_ticket
from tests.postgres.crowds import work_in_many_companies
from tests.postgres.preparing import MAJORS, databases_of, prepare
from tests.postgres.probes import SEALED, connected
from tests.servers.databases import Database, Databases

COMPANIES: Final = 8
STEPS: Final = 60  #: of each company; `chaos` takes 5,000
BIND: Final = "SELECT set_config('app.current_company_id', $1, true)"


@pytest.fixture(scope="module", params=MAJORS)
async def database(request: pytest.FixtureRequest, databases: Databases, databases_16: Databases) -> AsyncIterator[Database]:
    async with databases_of(request.param, databases, databases_16) as made, made.fresh() as one:
        await prepare(one)
        yield one


@pytest.fixture
async def storage(database: Database) -> AsyncIterator[PostgresStorage]:
    made = PostgresStorage(database.app_url, limits=Limits(connections=8))
    yield made
    await made.aclose()


@pytest.fixture
async def application(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """The application's role, with SQL of its own."""
    async with connected(database.app_url) as connection:
        yield connection


async def everything_of(connection: asyncpg.Connection, company_id: str) -> list[object]:
    """Every row of a company, as its own transaction sees it."""
    async with connection.transaction():
        await connection.execute(BIND, company_id)
        return [sorted(map(str, await connection.fetch(f"SELECT * FROM deskstore.{name}"))) for name in SEALED]  # noqa: S608 - names of ours


# -- without a company ---------------------------------------------------------------------------------------------------------------------


async def test_without_a_company_a_used_connection_is_as_a_fresh_one(storage: PostgresStorage, database: Database) -> None:
    company = a_new_company()
    await Desk(storage, company).fill("ours")
    said: list[list[str]] = []

    for is_used in (False, True):
        async with connected(database.app_url) as connection:
            if is_used:
                await everything_of(connection, company)
            said.append([await _tried(connection, statement) for statement in _statements(company)])

    fresh, used = said
    assert fresh == used
    assert fresh[: len(SEALED)] == ["SELECT 0"] * len(SEALED)
    assert all("violates row-level security" in one or one.endswith(" 0") for one in fresh), fresh


def _statements(company: str) -> Iterator[str]:
    name = company.replace("'", "''")
    yield from (f"SELECT * FROM deskstore.{table}" for table in SEALED)  # noqa: S608 - names of ours
    yield from (f"DELETE FROM deskstore.{table}" for table in SEALED)  # noqa: S608 - names of ours
    yield from (f"UPDATE deskstore.{table} SET company_id = company_id" for table in SEALED)  # noqa: S608 - names of ours
    yield f"INSERT INTO deskstore.company VALUES ('{name}x')"  # noqa: S608 - a name of ours
    yield f"INSERT INTO deskstore.checkpoint VALUES ('{name}', 'p', 's', 'c', 1)"  # noqa: S608 - a name of ours
    yield "DELETE FROM deskstore.company"


async def _tried(connection: asyncpg.Connection, statement: str) -> str:
    try:
        return await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError as error:
        return str(error)


# -- of another company --------------------------------------------------------------------------------------------------------------------

#: statements that aim at the rows of $1 from a transaction of another company
AIMED: Final = (
    "INSERT INTO deskstore.checkpoint VALUES ($1, 'zendesk', 'more', 'c', 1)",
    "INSERT INTO deskstore.checkpoint VALUES ($1, 'zendesk', 'tickets', 'c', 1) ON CONFLICT DO NOTHING",
    (
        "INSERT INTO deskstore.checkpoint VALUES ($1, 'zendesk', 'tickets', 'c', 1)"
        " ON CONFLICT (company_id, platform, stream) DO UPDATE SET cursor = excluded.cursor"
    ),
    "UPDATE deskstore.checkpoint SET company_id = $1",
    "UPDATE deskstore.checkpoint SET cursor = 'taken' WHERE company_id = $1",
    "UPDATE deskstore.ticket SET company_id = company_id WHERE company_id = $1",
    "DELETE FROM deskstore.ticket WHERE company_id = $1",
    "DELETE FROM deskstore.company WHERE company_id = $1",
    "DELETE FROM deskstore.company_state WHERE company_id = $1",
    "INSERT INTO deskstore.outbox VALUES ($1, 'c', 'ticket', 'ticket', 'p', 'i', '', 0, 1)",
    "INSERT INTO deskstore.count_delta VALUES ($1, gen_random_uuid(), 'ticket', 'p', 'pending', 1, 0)",
    "DELETE FROM deskstore.suppression WHERE company_id = $1",
    "INSERT INTO deskstore.suppression VALUES ($1, 'p', 'd', 's', 0, 0, 0, 1)",
    "UPDATE deskstore.erasure SET counts = '{}' WHERE company_hash = sha256(convert_to($1, 'UTF8'))",
    "DELETE FROM deskstore.erasure WHERE company_hash = sha256(convert_to($1, 'UTF8'))",
    "INSERT INTO deskstore.erasure VALUES (sha256(convert_to($1, 'UTF8')), 9, 0, '{}')",
    (
        "MERGE INTO deskstore.checkpoint c USING (SELECT $1::text AS company_id) k ON c.company_id = k.company_id"
        " WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (k.company_id, 'p', 's', 'c', 1)"
    ),
    "WITH gone AS (DELETE FROM deskstore.summary WHERE company_id = $1 RETURNING *) SELECT count(*) FROM gone",
    "SELECT deskstore.register($1)",
    "SELECT deskstore.raise_floor($1, 9223372036854775807)",
)


@pytest.mark.parametrize("statement", AIMED)
async def test_nothing_that_aims_at_another_company_changes_it(
    storage: PostgresStorage, application: asyncpg.Connection, statement: str
) -> None:
    ours, theirs = [(await Desk(storage, a_new_company()).fill(text)).company_id for text in ("ours", "theirs")]
    before = await everything_of(application, theirs)

    try:
        async with application.transaction():
            await application.execute(BIND, ours)
            await application.fetch(statement, theirs)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.UniqueViolationError):
        pass

    assert await everything_of(application, theirs) == before
    assert theirs in await storage.companies()


async def test_copy_out_shows_the_companys_own_rows_and_copy_in_is_refused(
    storage: PostgresStorage, application: asyncpg.Connection
) -> None:
    ours = await Desk(storage, a_new_company()).fill("ours")
    await Desk(storage, a_new_company()).fill("theirs")
    out = io.BytesIO()

    async with application.transaction():
        await application.execute(BIND, ours.company_id)
        await application.copy_from_query("SELECT subject FROM deskstore.ticket", output=out)
    with pytest.raises(asyncpg.FeatureNotSupportedError):
        await application.copy_records_to_table("company", records=[("x",)], schema_name="deskstore")

    assert set(out.getvalue().decode().split()) == {"ours"}


@pytest.mark.parametrize(
    "statement", ["TRUNCATE deskstore.ticket", "ALTER TABLE deskstore.ticket DISABLE ROW LEVEL SECURITY", "SET ROLE {owner}"]
)
async def test_the_application_cannot_lift_its_own_bounds(database: Database, application: asyncpg.Connection, statement: str) -> None:
    owner = re.search(r"//([^:]+):", database.owner_url)
    assert owner

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await application.execute(statement.format(owner=owner[1]))


# -- many companies, few connections -------------------------------------------------------------------------------------------------------


async def test_a_thousand_transactions_of_alternating_companies_on_one_connection_see_no_foreign_row(database: Database) -> None:
    storage = PostgresStorage(database.app_url, limits=Limits(connections=1))
    try:
        desks = [await Desk(storage, a_new_company()).fill(f"company {number}") for number in range(4)]
        foreign = 0
        for number in range(1_000):
            desk, text = desks[number % 4], f"company {number % 4}"
            if number % 5 == 0:
                await desk.keep_checkpoint(a_checkpoint(text))
                found = [one.cursor] if (one := await desk.checkpoint()) else []
            else:
                async with desk.unit() as uow:
                    found = [
                        str(one.data["description"]) for one in (await uow.tickets.find_many([a_ticket(i).key for i in "123"])).values()
                    ]
            foreign += sum(one != text for one in found)
            assert found
    finally:
        await storage.aclose()
    assert foreign == 0


async def test_companies_at_work_at_the_same_time_never_meet_a_foreign_row(storage: PostgresStorage, seed: int) -> None:
    foreign = await work_in_many_companies(storage, companies=COMPANIES, steps=STEPS, seed=seed)

    assert foreign == []


# -- the sources ---------------------------------------------------------------------------------------------------------------------------

SOURCES: Final = Path(postgres.__path__[0])
#: what would outlive a transaction on a connection that others get next
FORBIDDEN: Final = (
    r"\bset\s+(session\s+)?app\.",
    r"set_config\s*\([^)]*,\s*false\s*\)",
    r"\bwith\s+hold\b",
    r"\blisten\s+\w",
    r"\bcreate\s+(local\s+)?temp",
    r"\bsecurity\s+definer\b",
    r"pg_advisory_lock\b",
    r"\bset\s+(?!local\b|config)\w+\s*(=|to)\s*\$",
)


def texts() -> Iterator[tuple[str, str]]:
    """Every text of the adapter that is SQL: its files, and the strings in its modules."""
    for path in sorted(SOURCES.rglob("*.sql")):
        yield str(path.relative_to(SOURCES)), "\n".join(line.partition("--")[0] for line in path.read_text("utf-8").splitlines())
    for path in sorted(SOURCES.rglob("*.py")):
        yield str(path.relative_to(SOURCES)), "\n".join(_strings(path))


def _strings(path: Path) -> Iterator[str]:
    with tokenize.open(path) as opened:
        for token in tokenize.generate_tokens(opened.readline):
            if token.type == tokenize.STRING and not token.string.startswith('"""'):
                yield token.string


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_no_statement_of_ours_outlives_its_transaction(pattern: str) -> None:
    found = [name for name, text in texts() if re.search(pattern, text, re.IGNORECASE)]

    assert found == []


def test_the_look_at_the_sources_would_find_what_it_looks_for() -> None:
    bad = (
        "SET app.x = 1; set_config('a', b, false); DECLARE c CURSOR WITH HOLD; LISTEN x; CREATE TEMP TABLE; SECURITY DEFINER; "
        "pg_advisory_lock(1); SET x = $1"
    )

    assert [pattern for pattern in FORBIDDEN if not re.search(pattern, bad, re.IGNORECASE)] == []
    assert len(list(texts())) > 20


def test_every_statement_of_a_function_names_the_company_of_every_table_it_reads() -> None:
    sealed = {table.name for table in sealed_tables(tables())}
    unnamed = [
        f"{match['table']} {match['alias']} in {statement.split('(')[0][-60:]}"
        for statement in routines.statements()
        if "FUNCTION" in statement
        for match in re.finditer(r"(?:FROM|JOIN|UPDATE|USING) deskstore\.(?P<table>\w+) (?:AS )?(?P<alias>[a-z])\b", statement)
        if match["table"] in sealed and not re.search(rf"\b{match['alias']}\.company_id = (company|\$1)", statement)
    ]

    assert unnamed == []


def test_no_value_is_ever_written_into_the_text_of_a_statement() -> None:
    """What modules put into SQL is names and numbers of theirs; values are bound, but for the company's hex in the message that begins."""
    held = {
        str(path.relative_to(SOURCES)): re.findall(r"\{([^{}!:]+)[!:}]", line)
        for path in sorted(SOURCES.rglob("*.py"))
        for line in path.read_text("utf-8").splitlines()
        if "S608" in line or "BEGIN; SELECT" in line
    }

    for names in held.values():
        assert all(
            re.search(r"schema|quoted|_numbered|hex\(\)|given|versions|table|created|_equal|beside|named", name) for name in names
        ), held
    assert resources.files(postgres).joinpath("sql", "entering.sql").is_file()
