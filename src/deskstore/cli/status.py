"""`deskstore status`: what is kept, and how far its processing has come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from deskstore.cli.absent import why_nothing
from deskstore.cli.failures import OK, tell
from deskstore.cli.output import print_json, print_table
from deskstore.cli.progress import COUNTS, progress_shown
from deskstore.cli.shared import Command, one_company_option, shared

if TYPE_CHECKING:
    from deskstore.cli.records import Shown
    from deskstore.domain.ports import Storage

NOTHING: Final = "nothing is kept there yet: bring records in with `deskstore import`, or see `deskstore demo`"
EXAMPLES: Final = """\b
Examples:
  deskstore status
  deskstore status --company acme --json
"""


@click.command("status", cls=Command, epilog=EXAMPLES)
@one_company_option
def command(company_id: str | None) -> int:
    """Show what is kept of each company and platform, and how far its processing has come."""

    async def work(storage: Storage) -> int:
        health = await storage.health()
        rows = await platform_rows(storage, [company_id] if company_id else await storage.companies())
        if shared().as_json:
            print_json({"storage": {"adapter": health.adapter, "place": health.place, "companies": health.companies}, "platforms": rows})
            return OK
        click.echo(f"storage: {health.adapter}, {health.place}")
        print_status(rows)
        if not rows:
            tell(NOTHING if company_id is None else await why_nothing(storage, company_id) or NOTHING)
        return OK

    return shared().run(work)


async def platform_rows(storage: Storage, companies: Sequence[str]) -> list[Shown]:
    """One row a platform of each company."""
    from deskstore.services.companies import get_platform_stats
    from deskstore.services.processing import get_processing_progress

    rows: list[Shown] = []
    for company_id in companies:
        for stats in await get_platform_stats(storage, company_id):
            progress = await get_processing_progress(storage, company_id, stats.platform)
            kept = {"tickets": stats.tickets, "articles": stats.articles}
            rows.append({"company": company_id, "platform": stats.platform, **kept, "progress": progress_shown(progress)})
    return rows


def print_status(rows: list[Shown]) -> None:
    """The rows as a table."""
    headings = ["COMPANY", "PLATFORM", "#TICKETS", "#ARTICLES", *(f"#{name.upper()}" for name in COUNTS)]
    print_table(
        headings,
        [[row["company"], row["platform"], row["tickets"], row["articles"], *(row["progress"][name] for name in COUNTS)] for row in rows],
    )
