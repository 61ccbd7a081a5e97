"""`deskstore status`: what is kept, and how far its processing has come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from deskstore.cli.absent import why_nothing
from deskstore.cli.failures import FAILED, OK, tell
from deskstore.cli.output import print_json, print_table
from deskstore.cli.progress import COUNTS, progress_shown
from deskstore.cli.shared import Command, one_company_option, shared

if TYPE_CHECKING:
    from deskstore.cli.records import Shown
    from deskstore.domain.ports import Storage

NOTHING: Final = "nothing is kept there yet: bring records in with `deskstore import`, or see `deskstore demo`"
ALL: Final = "(all)"  #: stands where a total has no name
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
        rows, aside = (await platform_rows(storage, [company_id]), _Aside()) if company_id else await _all_rows(storage)
        if shared().as_json:
            storage_shown = {"adapter": health.adapter, "place": health.place, "companies": health.companies, "cache": health.cache}
            print_json({"storage": storage_shown, "platforms": rows, **totals(rows), "elsewhere": [*aside.elsewhere]})
            return aside.tell_contested()
        click.echo(f"storage: {health.adapter}, {health.place}")
        if health.cache is not None:
            click.echo(f"cache: {health.cache}")
        print_status(rows)
        for line in aside.elsewhere.values():
            tell(line)
        if not rows and not aside:
            tell(NOTHING if company_id is None else await why_nothing(storage, company_id) or NOTHING)
        return aside.tell_contested()

    return shared().run(work)


class _Aside:
    """The companies that are not counted, by name, each with the reason."""

    def __init__(self) -> None:
        self.elsewhere: Final[dict[str, str]] = {}  #: they have left traces here, and live in another storage
        self.contested: Final[dict[str, str]] = {}  #: both sides of a hybrid storage hold one of that name

    def __bool__(self) -> bool:
        return bool(self.elsewhere or self.contested)

    def tell_contested(self) -> int:
        """Name those that somebody has to decide about, and give the exit code."""
        for line in self.contested.values():
            tell(line)
        return FAILED if self.contested else OK


async def _all_rows(storage: Storage) -> tuple[list[Shown], _Aside]:
    """The rows of every company that lives here, and those that are left out."""
    from deskstore.domain.errors import CompanyMoved, MigrationError

    rows: list[Shown] = []
    aside = _Aside()
    for company_id in await storage.companies():
        try:
            rows += await platform_rows(storage, [company_id])
        except CompanyMoved as error:
            aside.elsewhere[company_id] = str(error)
        except MigrationError as error:
            aside.contested[company_id] = str(error)
    return rows, aside


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
    """The rows as a table, with a total under each company that has several platforms, and under several companies."""
    headings = ["COMPANY", "PLATFORM", "#TICKETS", "#ARTICLES", *(f"#{name.upper()}" for name in COUNTS)]
    shown: list[Sequence[object]] = []
    for company_id in dict.fromkeys(row["company"] for row in rows):
        some = [row for row in rows if row["company"] == company_id]
        shown += map(_cells, some)
        if len(some) > 1:
            shown.append(_cells({"company": company_id, "platform": ALL, **total(some)}))
    if len({row["company"] for row in rows}) > 1:
        shown.append(_cells({"company": ALL, "platform": ALL, **total(rows)}))
    print_table(headings, shown)


def totals(rows: list[Shown]) -> Shown:
    """What is kept of each company, and of all that are shown."""
    companies = dict.fromkeys(row["company"] for row in rows)
    of_each = [{"company": one, **total([row for row in rows if row["company"] == one])} for one in companies]
    return {"companies": of_each, "total": total(rows)}


def total(rows: list[Shown]) -> Shown:
    """The counts of some rows together."""
    counts = {name: sum(row["progress"][name] for row in rows) for name in COUNTS}
    tickets, articles = sum(row["tickets"] for row in rows), sum(row["articles"] for row in rows)
    percentage = 100.0 * counts["completed"] / tickets if tickets else 0.0
    changed = max((row["progress"]["last_updated"] for row in rows if row["progress"]["last_updated"]), default=None)
    progress = {"total": tickets, **counts, "percentage": percentage, "last_updated": changed}
    return {"tickets": tickets, "articles": articles, "progress": progress}


def _cells(row: Shown) -> Sequence[object]:
    return [row["company"], row["platform"], row["tickets"], row["articles"], *(row["progress"][name] for name in COUNTS)]
