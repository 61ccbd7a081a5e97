"""`deskstore config`: the settings, and where each came from."""

from __future__ import annotations

import click

from deskstore.cli.failures import OK
from deskstore.cli.output import print_json, print_table
from deskstore.cli.shared import Group, shared


@click.group("config", cls=Group)
def command() -> None:
    """The settings, and where each came from."""


@command.command("show")
def show_command() -> int:
    """Show every setting, where it came from, and no password."""
    rows = [*shared().settings().shown()]
    if shared().as_json:
        print_json({"settings": [{"variable": variable, "value": value, "origin": origin} for variable, value, origin in rows]})
    else:
        print_table(["VARIABLE", "VALUE", "FROM"], [(variable, value or None, origin) for variable, value, origin in rows])
    return OK
