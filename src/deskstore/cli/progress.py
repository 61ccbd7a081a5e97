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
  deskstore progress --company acme --platform freshdesk --watch
  deskstore progress --company acme --platform freshdesk --until-done --json
"""


@click.command("progress", cls=Command, epilog=EXAMPLES)
@company_option
@platform_option(required=True)
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C: live on a terminal, else a line for each change.")
@click.option("--until-done", is_flag=True, help="Watch until nothing is pending or in processing.")
@click.option("--interval", type=click.FloatRange(0.01, 3_600), default=1.0, show_default=True, metavar="SECONDS", help="Between looks.")
def command(company_id: str, platform: str, watch: bool, until_done: bool, interval: float) -> int:
    """Show how many tickets of a platform are in which status of their processing."""
    shared().if_interrupted = "interrupted: only this view ends, and whoever works on tickets goes on"

    async def work(storage: Storage) -> int:
        if watch or until_done:
            from deskstore.cli.watching import watched

            return await watched(storage, company_id, platform, interval_s=interval, until_done=until_done)
        return await _show(storage, company_id, platform)

    return shared().run(work)


async def _show(storage: Storage, company_id: str, platform: str) -> int:
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


def progress_shown(progress: Progress) -> Shown:
    """The counts as JSON."""
    return {
        "total": progress.total,
        **{name: getattr(progress, name) for name in COUNTS},
        "percentage": progress.percentage,
        "last_updated": moment(progress.last_updated),
    }
