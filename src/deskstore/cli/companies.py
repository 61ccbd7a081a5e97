"""`deskstore company`: whose records are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from deskstore.cli.failures import OK
from deskstore.cli.output import print_json, print_table
from deskstore.cli.shared import Group, shared

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage


@click.group("company", cls=Group)
def command() -> None:
    """The companies whose records are kept."""


@command.command("list")
def list_command() -> int:
    """List the companies whose records are kept."""

    async def work(storage: Storage) -> int:
        from deskstore.services.companies import list_companies

        companies = await list_companies(storage)
        if shared().as_json:
            print_json({"companies": [*companies]})
        else:
            print_table(["COMPANY"], [(company_id,) for company_id in companies])
        return OK

    return shared().run(work)
