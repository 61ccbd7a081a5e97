"""Databases for tests: each fresh, on one server, with an owner and an application that may do no more than they must."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from attrs import field, frozen

from tests.servers.choosing import GivenServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tests.servers.choosing import Server

EMPTY: Final = "template0"


@frozen(kw_only=True)
class Role:
    """Somebody who may log in."""

    name: str
    password: str = field(factory=lambda: secrets.token_hex(16), repr=False)


@frozen(kw_only=True)
class Database:
    """One database, as each of its users reaches it."""

    name: str
    admin_url: str  #: the server's superuser, for what only tests do
    owner_url: str  #: owns the database, and is nobody elsewhere
    app_url: str  #: the application: no superuser, bound by row-level security
    app_role: str


class Databases:
    """
    Makes databases on one server, and drops them.

    Both roles exist once a server. They can connect to these databases only, to which nobody else can.
    """

    def __init__(self, url: str, admin: asyncpg.Connection, *, owner: Role, app: Role) -> None:
        self._url = url
        self._admin = admin
        self._turn = asyncio.Lock()  # a connection does one thing at a time
        self._templates: list[str] = []
        self.owner = owner
        self.app = app

    async def run(self, statement: str) -> None:
        """Run one statement as the server's superuser, of a server that may have been killed and started since."""
        async with self._turn:
            if self._admin.is_closed():
                self._admin = await asyncpg.connect(self._url)
            await self._admin.execute(statement)

    @asynccontextmanager
    async def fresh(self, template: str = EMPTY) -> AsyncGenerator[Database]:
        """A database that is empty, or made after a template; dropped afterwards, whoever is still connected."""
        name = await self._create(template)
        try:
            yield self._named(name)
        finally:
            await self.run(f'drop database "{name}" with (force)')

    async def lasting(self) -> Database:
        """A database that is empty, and goes with its server."""
        return self._named(await self._create(EMPTY))

    async def template(self, prepare: Callable[[Database], Awaitable[None]]) -> str:
        """The name of a database that others can be made after: prepared once, then closed to everybody, and dropped with the last."""
        name = await self._create(EMPTY)
        self._templates.append(name)
        await prepare(self._named(name))
        await self.run(f'alter database "{name}" with allow_connections false')
        return name

    async def aclose(self) -> None:
        """Drop what is left, and close the connection."""
        try:
            for name in self._templates:
                await self.run(f'drop database "{name}" with (force)')
            await self.run(f"drop role {self.owner.name}, {self.app.name}")
        finally:
            await self._admin.close()

    async def leave(self) -> None:
        """Close the connection, and leave everything to the end of the server."""
        await self._admin.close()

    def url_of(self, database: str, role: Role) -> str:
        """Where a role finds a database."""
        parts = urlsplit(self._url)
        place = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{role.name}:{role.password}@{place}", path=f"/{database}"))

    def _named(self, name: str) -> Database:
        return Database(
            name=name,
            admin_url=urlunsplit(urlsplit(self._url)._replace(path=f"/{name}")),
            owner_url=self.url_of(name, self.owner),
            app_url=self.url_of(name, self.app),
            app_role=self.app.name,
        )

    async def _create(self, template: str) -> str:
        name = f"desk_{secrets.token_hex(6)}"
        await self.run(f'create database "{name}" owner "{self.owner.name}" template "{template}" strategy file_copy')
        await self.run(f'revoke all on database "{name}" from public')
        await self.run(f'grant connect on database "{name}" to "{self.app.name}"')
        return name


@asynccontextmanager
async def databases_on(server: Server, *, goes_too: bool = False) -> AsyncGenerator[Databases]:
    """
    Databases on a server, and their two roles for as long as this lasts, or for as long as the server where that goes as well.

    On a server that was given the roles have names that nobody else uses; on one of our own the application is `app_user`.
    """
    given = isinstance(server, GivenServer)
    suffix = f"_{secrets.token_hex(4)}" if given else ""
    owner, app = Role(name=f"desk_owner{suffix}"), Role(name=f"app_user{suffix}")
    made = Databases(server.url, await asyncpg.connect(server.url), owner=owner, app=app)
    for role in (owner, app):
        await made.run(f"create role {role.name} login nosuperuser nobypassrls password '{role.password}'")
    if not given:
        await made.run("revoke connect on database postgres, template1 from public")
    try:
        yield made
    finally:
        await (made.leave() if goes_too else made.aclose())
