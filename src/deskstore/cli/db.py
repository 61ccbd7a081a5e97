"""`deskstore db`: the schema in PostgreSQL, as the owner of its tables works on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import click
from click.decorators import FC

from deskstore.cli.failures import FAILED, OK, tell
from deskstore.cli.output import counted, print_json, print_table
from deskstore.cli.shared import Group, shared

if TYPE_CHECKING:
    from deskstore.adapters.postgres.checks import Fault
    from deskstore.adapters.postgres.migrating import Migrations, Upgraded

EXAMPLES: Final = """\b
Examples:
  DESKSTORE_OWNER_URL=postgresql://owner:secret@host/name deskstore db upgrade
  deskstore db check --app-role desk
  deskstore db sql > schema.sql
"""


@click.group("db", cls=Group, epilog=EXAMPLES)
def command() -> None:
    """
    Make, upgrade and check the schema in PostgreSQL.

    These commands work as the owner of the tables, whose login is DESKSTORE_OWNER_URL, or DATABASE_URL where that is not set. The
    application itself logs in as another role, which owns nothing.
    """


def _whose(function: FC) -> FC:
    """The options that say who owns the tables, and who uses them."""
    owner = click.option(
        "--owner-url", metavar="URL", expose_value=False, callback=_note_owner, help="The owner's login (DESKSTORE_OWNER_URL)."
    )
    role = click.option(
        "--app-role",
        metavar="NAME",
        help="Whom the application logs in as: the user in DATABASE_URL beside an owner's login, else app_user.",
    )
    return owner(role(function))


def _note_owner(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value and not context.resilient_parsing:
        shared().chosen["DESKSTORE_OWNER_URL"] = value


@command.command("upgrade")
@_whose
def upgrade_command(app_role: str | None) -> int:
    """
    Make the schema, or bring it up to date, with the application's role and its privileges.

    All of it happens in one transaction, while the application may be at work. Doing so again changes nothing.
    """

    async def work(migrations: Migrations) -> int:
        upgraded = await migrations.upgrade()
        if shared().as_json:
            print_json(_upgraded_shown(migrations, upgraded))
        else:
            print_table(["SCHEMA", "WAS AT", "IS AT", "ROLE"], [(migrations.schema, upgraded.before, upgraded.after, migrations.role.name)])
        if upgraded.made_role and migrations.role.password is None:
            tell(
                f"the role {app_role} was made and has no password yet: "
                f"set one as somebody who may, with ALTER ROLE {app_role} PASSWORD '...'"
            )
        return OK

    return _run(work, app_role)


@command.command("current")
@_whose
def current_command(app_role: str | None) -> int:
    """Say at which migration the database stands, and which one this release needs."""

    async def work(migrations: Migrations) -> int:
        from deskstore.adapters.postgres.checks import REVISION, behind

        stands = await migrations.current()
        if shared().as_json:
            print_json({"schema": migrations.schema, "revision": stands, "needed": REVISION})
        else:
            print_table(["SCHEMA", "IS AT", "NEEDS"], [(migrations.schema, stands, REVISION)])
        late = behind(stands, migrations.schema)
        if late:
            tell(str(late))
        return FAILED if late else OK

    return _run(work, app_role)


@command.command("check")
@_whose
def check_command(app_role: str | None) -> int:
    """
    Compare the database with what this release makes, and name whatever differs.

    Looks at tables, keys, indexes, functions, triggers, policies, the application's role and its privileges. Changes nothing.
    """

    async def work(migrations: Migrations) -> int:
        faults = await migrations.check()
        if shared().as_json:
            print_json({"schema": migrations.schema, "faults": [_fault_shown(fault) for fault in faults]})
        elif faults:
            print_table(["CONCERNS", "FAULT", "SQL THAT MENDS IT"], [(fault.kind, fault.what, fault.mend or None) for fault in faults])
        failed = [fault for fault in faults if not fault.is_warning]
        tell(counted(len(failed), "fault", "faults") if failed else "nothing is wrong")
        return FAILED if failed else OK

    return _run(work, app_role)


@command.command("sql")
@_whose
def sql_command(app_role: str | None) -> int:
    """Print what makes the schema in an empty database, for whoever may run it; connects to nothing."""
    from deskstore.bootstrap import schema_script

    script = schema_script(shared().settings(), app_role=app_role)
    if shared().as_json:
        print_json({"sql": script})
    else:
        click.echo(script, nl=False)
    return OK


def _run(work: Callable[[Migrations], Awaitable[int]], app_role: str | None) -> int:
    """Work as the owner, and give the exit code."""
    import asyncio

    from deskstore.bootstrap import migrations
    from deskstore.cli.logs import log

    settings = shared().settings()
    log(settings, is_verbose=shared().is_verbose)

    async def worked() -> int:
        return await work(migrations(settings, app_role=app_role))

    return asyncio.run(worked())


def _upgraded_shown(migrations: Migrations, upgraded: Upgraded) -> dict[str, object]:
    return {
        "schema": migrations.schema,
        "before": upgraded.before,
        "after": upgraded.after,
        "app_role": migrations.role.name,
        "made_role": upgraded.made_role,
        "gave_privileges": upgraded.gave_privileges,
    }


def _fault_shown(fault: Fault) -> dict[str, object]:
    return {"concerns": fault.kind, "what": fault.what, "sql": fault.mend or None, "warning": fault.is_warning}
