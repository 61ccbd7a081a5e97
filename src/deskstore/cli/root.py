"""The command `deskstore` itself; the others are imported when they are called."""

from __future__ import annotations

from importlib import import_module
from typing import Final, cast

import click

from deskstore.cli.shared import Group

EXAMPLES: Final = """\b
Examples:
  deskstore demo
  deskstore import tickets.json --company acme --platform freshdesk
  deskstore ticket list --company acme
  deskstore export --company acme -o acme.ndjson
"""
#: command -> its module, and what it is for; written here so that --help imports none of them
COMMANDS: Final = {
    "adapters": ("adapters", "The storages there are, and whether one keeps its promises."),
    "adopt": ("adopting", "Take over what the prototype kept."),
    "backup": ("backups", "Take, list, check and restore backups of companies."),
    "cache": ("caches", "How well the cache serves, and emptying it for a company."),
    "claim": ("claims", "Tickets in the hands of workers, and back into the line."),
    "company": ("companies", "The companies whose records are kept."),
    "completion": ("completion", "Let a shell complete commands and options."),
    "config": ("config", "The settings, and where each came from."),
    "db": ("db", "Make, upgrade and check the schema in PostgreSQL."),
    "demo": ("demo", "Show the main job on made-up data."),
    "doctor": ("doctor", "Say what is not as deskstore left it, and mend it."),
    "export": ("exporting", "Write a company's records to a file."),
    "import": ("importing", "Take records in from files that a helpdesk exported."),
    "kb": ("articles", "Knowledge-base articles."),
    "migrate": ("migrating", "Move companies to PostgreSQL while they are written, and back."),
    "progress": ("progress", "How far the processing of a platform's tickets has come."),
    "status": ("status", "What is kept, and how far its processing has come."),
    "summaries": ("summaries", "What was written of tickets and articles."),
    "ticket": ("tickets", "Tickets."),
}


class LazyGroup(Group):
    """Knows its commands by name, and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return command(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, purpose) for name, (_, purpose) in COMMANDS.items()])


def command(name: str) -> click.Command:
    """One of the commands, imported."""
    return cast(click.Command, import_module(f"deskstore.cli.{COMMANDS[name][0]}").command)


def _print_version(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        from deskstore import __version__

        click.echo(f"deskstore {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version.")
def root() -> None:
    """Keep the helpdesk data of many companies, each sealed off from the others."""
