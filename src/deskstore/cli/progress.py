"""`deskstore progress`: how far the processing of a platform's tickets has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from deskstore.cli.absent import why_nothing
from deskstore.cli.failures import OK, tell
from deskstore.cli.output import moment, print_json, print_table
from deskstore.cli.shared import Command, company_option, platform_option, shared

if TYPE_CHECKING:
    from deskstore.cli.records import Shown
    from deskstore.domain.ports import Storage
    from deskstore.domain.processing import Progress

COUNTS: Final = ("pending", "processing", "completed", "failed")
EXAMPLES: Final = """\b
Examples:
  deskstore progress --company acme --platform freshdesk
"""


@click.command("progress", cls=Command, epilog=EXAMPLES)
@company_option
@platform_option(required=True)
def command(company_id: str, platform: str) -> int:
    """Show how many tickets of a platform are in which status of their processing."""

    async def work(storage: Storage) -> int:
        from deskstore.services.processing import get_processing_progress

        progress = await get_processing_progress(storage, company_id, platform)
        if shared().as_json:
            print_json({"company": company_id, "platform": platform, **progress_shown(progress)})
            return OK
        headings = ["#TOTAL", *(f"#{name.upper()}" for name in COUNTS), "#DONE", "CHANGED"]
        counts = [getattr(progress, name) for name in COUNTS]
        print_table(headings, [[progress.total, *counts, f"{progress.percentage:.1f} %", progress.last_updated]])
        if not progress.total and (reason := await why_nothing(storage, company_id, platform)):
            tell(reason)
        return OK

    return shared().run(work)


def progress_shown(progress: Progress) -> Shown:
    """The counts as JSON."""
    return {
        "total": progress.total,
        **{name: getattr(progress, name) for name in COUNTS},
        "percentage": progress.percentage,
        "last_updated": moment(progress.last_updated),
    }
