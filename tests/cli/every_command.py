"""Every command there is, with the words that call it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from deskstore.cli.root import COMMANDS, command


def commands() -> Iterator[tuple[str, click.Command]]:
    """Each command that does something: those of a group, or the one itself."""
    for name in COMMANDS:
        one = command(name)
        if isinstance(one, click.Group):
            yield from ((f"{name} {below}", found) for below, found in one.commands.items())
        else:
            yield name, one


def required(one: click.Command) -> Iterator[list[str]]:
    """The words that a command cannot do without, a parameter each."""
    for parameter in one.params:
        if isinstance(parameter.type, click.Choice) and parameter.required:
            yield [str(parameter.type.choices[0])]
        elif isinstance(parameter, click.Argument):
            yield ["x"]  # a file, a folder, an id
        elif parameter.required:
            yield [parameter.opts[-1], "x"]
