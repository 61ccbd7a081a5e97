"""What a demo says, each sentence checked before it is said."""

from __future__ import annotations

import click
from attrs import Factory, define

from deskstore.cli.shared import shared


@define
class Checks:
    """What the demo says, and whether it is true."""

    passed: dict[str, bool] = Factory(dict[str, bool])

    def add(self, what: str, is_true: bool) -> None:
        """Say it, with what a look at the storage gave."""
        self.passed[what] = is_true
        if not shared().as_json:
            click.echo(f"{click.style('ok  ', fg='green') if is_true else click.style('FAIL', fg='red')}  {what}")
