"""What every command shares: the options that may stand anywhere, the settings they lead to, and an open storage."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import click
from click.decorators import FC

if TYPE_CHECKING:
    from deskstore.bootstrap import Settings
    from deskstore.domain.ports import Storage

STORAGES: Final = ("file", "hybrid", "postgresql")


class _Storages(click.Choice[str]):
    """Our storages, by which shells complete and --help goes, and those of packages, which are looked for when a name is none of ours."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in STORAGES:
            return value
        from deskstore.adapters.installed import installed

        known = sorted({one.name for one in installed()} - {*STORAGES})
        return click.Choice([*STORAGES, *known]).convert(value, param, ctx)


class Shared:
    """What was said with the options that every command has."""

    def __init__(self) -> None:  # a plain class: --help and --version would load attrs for this one alone
        self.as_json = False
        self.is_verbose = False
        self.chosen: Final[dict[str, str]] = {}  #: variables that an option overrides
        self.if_interrupted = "interrupted: nothing was changed"  #: what to say after Ctrl-C; commands that change something say more
        self.output = "the output"  #: what the command writes beside the storage

    def settings(self) -> Settings:
        """The settings, options before the environment."""
        from deskstore.bootstrap import Layer, Settings

        return Settings.from_layers([Layer(name="option", values=self.chosen), Layer(name="environment", values=os.environ)])

    def run(self, work: Callable[[Storage], Awaitable[int]]) -> int:
        """Open the storage, do the work, close it, and give the exit code."""
        import asyncio

        from deskstore.bootstrap import open_storage
        from deskstore.cli.logs import log

        settings = self.settings()
        log(settings, is_verbose=self.is_verbose)

        async def opened() -> int:
            async with open_storage(settings) as storage:
                return await work(storage)

        return asyncio.run(opened())


def shared() -> Shared:
    """The options of the command that is running."""
    return click.get_current_context().find_root().ensure_object(Shared)


# -- options that every command has --------------------------------------------------------------------------------------------------------


def _note(context: click.Context, parameter: click.Parameter, value: Any) -> None:  # Any: each option has a type of its own
    said = context.find_root().ensure_object(Shared)
    if parameter.name == "json" and value:
        said.as_json = True
    elif parameter.name == "verbose" and value:
        said.is_verbose = True
    elif parameter.name == "data_path" and value:
        said.chosen["DATA_PATH"] = value
    elif parameter.name == "storage" and value:
        said.chosen["STORAGE_TYPE"] = value


def _shared_options() -> Sequence[click.Option]:
    return [
        click.Option(["--data-path"], metavar="DIR", expose_value=False, callback=_note, help="Where the files are (DATA_PATH)."),
        click.Option(["--storage"], type=_Storages(STORAGES), expose_value=False, callback=_note, help="What keeps them (STORAGE_TYPE)."),
        click.Option(["--json"], is_flag=True, expose_value=False, callback=_note, help="Print one JSON document."),
        click.Option(
            ["--verbose"], is_flag=True, expose_value=False, callback=_note, help="Log everything, and show where an error arose."
        ),
    ]


class Command(click.Command):
    """A command that takes the shared options wherever they stand."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # Any: what click passes on is its own affair
        super().__init__(*arguments, **named)
        self.params = [*self.params, *_shared_options()]


class Group(click.Group):
    """A command with commands below it, which takes the shared options too."""

    command_class = Command

    def __init__(self, *arguments: Any, **named: Any) -> None:  # Any: what click passes on is its own affair
        super().__init__(*arguments, **named)
        self.params = [*self.params, *_shared_options()]

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; for a name that is none, the error says which there are."""
        known = self.list_commands(ctx)
        if args[0] not in known and not ctx.resilient_parsing:
            import difflib  # only a misspelt name needs it

            close = difflib.get_close_matches(args[0], known, n=1)
            advice = f"Did you mean {close[0]!r}?" if close else f"Choose one of: {', '.join(known)}"
            raise click.UsageError(f"No such command {args[0]!r}. {advice}", ctx)
        return super().resolve_command(ctx, args)


def company_option(function: FC) -> FC:
    """--company, which every command needs that reads or writes records."""
    return click.option("--company", "company_id", required=True, metavar="NAME", callback=named_company, help="Whose records.")(function)


def one_company_option(function: FC) -> FC:
    """--company, for commands that mean all of them without it."""
    return click.option("--company", "company_id", metavar="NAME", callback=named_company, help="This company alone.")(function)


def some_companies_option(function: FC) -> FC:
    """--company, once for each company that is meant."""
    text = "This company alone; may be given several times."
    return click.option("--company", "companies", multiple=True, metavar="NAME", callback=_companies, help=text)(function)


def platform_option(*, required: bool) -> Callable[[FC], FC]:
    """--platform, as needed."""
    text = "Where the records come from: freshdesk, zendesk, intercom, jira, or any other name."
    return click.option("--platform", required=required, metavar="NAME", callback=_platform, help=text)


def named_company(context: click.Context, _: click.Parameter, value: str | None) -> str | None:
    """Raises InvalidIdentifier, before a file is read or a storage opened."""
    from deskstore.domain import identifiers

    return None if value is None or context.resilient_parsing else identifiers.company_id(value)


def _companies(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    return tuple(checked for value in values if (checked := named_company(context, parameter, value)))


def _platform(context: click.Context, _: click.Parameter, value: str | None) -> str | None:
    from deskstore.domain import identifiers

    return None if value is None or context.resilient_parsing else identifiers.platform(value)
