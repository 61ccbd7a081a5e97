"""Bringing a database up to this release as its owner, and telling where it stands; the application itself changes no table."""

from __future__ import annotations

import io
import secrets
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import asyncpg
from alembic import command
from alembic.config import Config
from attrs import frozen
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from deskstore.adapters.postgres import checks, definition, migrations
from deskstore.adapters.postgres.addresses import driven, named
from deskstore.adapters.postgres.checks import Fault
from deskstore.adapters.postgres.errors import translated
from deskstore.adapters.postgres.roles import AppRole, privileges
from deskstore.adapters.postgres.routines import quoted
from deskstore.adapters.postgres.schema import DEFAULT_SCHEMA
from deskstore.adapters.postgres.scripts import text_of
from deskstore.adapters.postgres.sealing import VERSION_TABLE
from deskstore.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

    Driver = asyncpg.Connection[asyncpg.Record]

_CONNECT_S: Final = 10.0
_LOCK_S: Final = 10


@frozen(kw_only=True)
class Upgraded:
    """What became of a database."""

    before: str | None  #: the migration it stood at; None: there was no schema
    after: str
    made_role: bool
    gave_privileges: bool


class Migrations:
    """
    The schema of one database, as its owner works on it.

    Args:
        url: Where the database is, and the owner's login.
        variable: The setting that the address came from, which messages then name.
        schema: Where the tables are, or are to be.
        role: Whom the application logs in as.
    """

    def __init__(self, url: str, *, variable: str, schema: str = DEFAULT_SCHEMA, role: AppRole | None = None) -> None:
        self.variable: Final = variable
        self.schema: Final = schema
        self.role: Final = role or AppRole()
        self._url: Final[URL] = driven(url, variable)

    async def upgrade(self) -> Upgraded:
        """
        Make or bring up to date the schema, the application's role and its privileges, in one transaction; doing so again changes nothing.
        """
        async with self._connection() as (connection, driver):
            await connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_S}s'"))
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))"), {"what": f"deskstore schema {self.schema}"}
            )
            before = await self._revision(driver)
            if before != checks.REVISION:
                await self._migrate(connection, driver)
            made_role = await self._make_role(driver)
            gave = await self._give_privileges(driver)
            await connection.commit()
        return Upgraded(before=before, after=checks.REVISION, made_role=made_role, gave_privileges=gave)

    async def current(self) -> str | None:
        """The migration at which the database stands; None without a schema."""
        async with self._connection() as (_, driver):
            return await checks.revision(driver, self.schema)

    async def check(self) -> Sequence[Fault]:
        """
        Whatever is not as this release makes it; makes the schema once more beside the one that is there, compares, and takes it back.
        """
        async with self._connection() as (connection, driver):
            stands = await checks.revision(driver, self.schema)
            if late := checks.behind(stands, self.schema):
                return [late]
            await connection.execute(text("SELECT 1"))  # begins the transaction that is never committed
            return await differences(driver, self.schema, self.role.name)

    # -- steps -----------------------------------------------------------------------------------------------------------------------------

    async def _revision(self, driver: Driver) -> str | None:
        """Where the database stands; raises ConfigurationError where a newer release has been."""
        found = await checks.revision(driver, self.schema) if await self._has_versions(driver) else None
        if found is not None and found > checks.REVISION:
            raise ConfigurationError(str(checks.behind(found, self.schema)))
        return found

    async def _has_versions(self, driver: Driver) -> bool:
        """Whether migrations were run here; asked beforehand, since a statement that fails would end the transaction."""
        found = await driver.fetchval("SELECT to_regclass($1)::text", f"{quoted(self.schema)}.{VERSION_TABLE}")
        return found is not None

    async def _migrate(self, connection: AsyncConnection, driver: Driver) -> None:
        if not await driver.fetchval("SELECT count(*) FROM pg_catalog.pg_namespace n WHERE n.nspname = $1", self.schema):
            await driver.execute(f"CREATE SCHEMA {quoted(self.schema)}")

        def migrate(synchronous: Connection) -> None:
            config = _config(self.schema, io.StringIO())
            config.attributes["connection"] = synchronous
            command.upgrade(config, "head")

        await connection.run_sync(migrate)

    async def _make_role(self, driver: Driver) -> bool:
        """Make the application's role where there is none; raises ConfigurationError for one that no policy would bind."""
        for fault in await self._faults(driver):
            if fault.kind == "role" and not fault.mend.startswith("CREATE ROLE"):
                raise ConfigurationError(f"{fault.what}: give the application a login of its own, or name another role with --app-role")
        if await driver.fetchval("SELECT count(*) FROM pg_catalog.pg_roles r WHERE r.rolname = $1", self.role.name):
            return False
        if not await driver.fetchval("SELECT r.rolsuper OR r.rolcreaterole FROM pg_catalog.pg_roles r WHERE r.rolname = current_user"):
            made = AppRole(name=self.role.name).creation()
            raise ConfigurationError(
                f"there is no role {self.role.name!r}, and {self._url.username!r} may not make one: have somebody who may run "
                f"`{made} PASSWORD '...'`, then run this again"
            )
        await driver.execute(self.role.creation())
        return True

    async def _give_privileges(self, driver: Driver) -> bool:
        """Set privileges anew where any is missing or too many."""
        wrong = [fault for fault in await self._faults(driver) if fault.kind == "privileges"]
        if wrong:
            to_connect = [fault.mend for fault in wrong if "ON DATABASE" in fault.mend]
            await driver.execute(";".join([*privileges(self.schema, self.role.name), *to_connect]))
        return bool(wrong)

    async def _faults(self, driver: Driver) -> list[Fault]:
        return await checks.faults(driver, self.schema, self.role.name)

    # -- connections -----------------------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[tuple[AsyncConnection, Driver]]:
        """A connection of the owner's, rolled back unless it was committed; and the driver's own beneath it."""

        async def connect() -> Driver:
            return await asyncpg.connect(self._url.render_as_string(hide_password=False), timeout=_CONNECT_S)

        engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
        with self._allowed(), named(self.variable), translated(self._url.render_as_string(hide_password=True)):
            async with engine.connect() as connection:
                raw = await connection.get_raw_connection()
                yield connection, cast("Driver", raw.driver_connection)

    @contextmanager
    def _allowed(self) -> Generator[None, None, None]:
        """Say whom it takes, where the server refused a privilege."""
        try:
            yield
        except ConfigurationError as error:
            if (refused := _refused(error)) is None:
                raise
            raise ConfigurationError(
                f"{self._url.username!r} may not do this ({refused}): let {self.variable} name the owner of the schema or of the database"
            ) from error


def script(schema: str, role: AppRole) -> str:
    """All that `upgrade` does to an empty database, for whoever may do it; the role's password is left to be set."""
    written = io.StringIO()
    command.upgrade(_config(schema, written), "head", sql=True)
    made = f"-- leave this out where the role exists\n{AppRole(name=role.name).creation()};\n\n"
    granted = "".join(f"{statement};\n" for statement in privileges(schema, role.name))
    return f"BEGIN;\n\nCREATE SCHEMA {quoted(schema)};\n\n{written.getvalue().strip()}\n\n{made}{granted}\nCOMMIT;\n"


async def differences(driver: Driver, schema: str, role: str) -> list[Fault]:
    """Whatever is not as this release makes it; makes a second schema, so that the transaction must be rolled back."""
    known = await driver.fetchval(f"SELECT count(*) FROM {quoted(schema)}.store")  # noqa: S608 - a name of ours
    several = [] if known == 1 else [Fault(kind="schema", what=f"the table store holds {known} ids, and must hold one")]
    return [*await checks.faults(driver, schema, role), *several, *await _drift(driver, schema)]


async def facts(driver: Driver, schema: str) -> dict[str, list[str]]:
    """What a schema consists of: each thing with what there is to say of it, whatever the schema is called."""
    found: dict[str, list[str]] = {}
    for what, fact in await driver.fetch(text_of("sql", "facts.sql"), schema):
        found.setdefault(what, []).append(fact)
    return found


async def _drift(driver: Driver, schema: str) -> list[Fault]:
    """Where a schema differs from what this release makes."""
    beside = f"deskstore_{secrets.token_hex(8)}"
    await driver.execute(f"CREATE SCHEMA {quoted(beside)}")
    await driver.execute(";".join(definition.statements(beside)))
    stands, wanted = [await facts(driver, one) for one in (schema, beside)]
    return [Fault(kind="drift", what=line) for line in _differences(stands, wanted)]


def _differences(stands: Mapping[str, list[str]], wanted: Mapping[str, list[str]]) -> Iterator[str]:
    for what in sorted({*stands, *wanted}):
        if what not in wanted:
            yield f"the {what} is none of this release's"
        elif what not in stands:
            yield f"the {what} is missing"
        elif stands[what] != wanted[what]:
            yield f"the {what} is not as this release makes it"


def _refused(error: BaseException | None) -> str | None:
    """What the server said, where it refused a privilege."""
    while error is not None and not isinstance(error, asyncpg.InsufficientPrivilegeError):
        error = error.__cause__
    return str(error).splitlines()[0] if error else None


def _config(schema: str, written: io.StringIO) -> Config:
    """What alembic is told; the database's address is none of it."""
    config = Config(output_buffer=written)
    config.set_main_option("script_location", str(Path(migrations.__path__[0])).replace("%", "%%"))
    config.attributes["schema"] = schema
    return config
