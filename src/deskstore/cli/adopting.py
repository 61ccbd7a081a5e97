"""`deskstore adopt`: take over the tree that the prototype wrote, or the database that it kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from deskstore.cli.failures import FAILED, OK, REJECTED, tell
from deskstore.cli.output import cell, counted, print_json, print_table
from deskstore.cli.progress_bar import progress_bar
from deskstore.cli.shared import Command, shared, some_companies_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deskstore.cli.records import Shown
    from deskstore.domain.ports import Storage
    from deskstore.services.adopting import AdoptReport, Remark


class Words(NamedTuple):
    """How what is taken over is called."""

    one: str
    place: str
    advice: str


OUTCOMES: Final = ("created", "updated", "unchanged", "stale", "suppressed", "not_placed")
OF_FILES: Final = Words("file", "the tree", "name the directory that the prototype wrote, which has one for each company")
OF_ROWS: Final = Words("row", "the old database", "name the database that the prototype kept, which has a table tickets")
EXAMPLES: Final = """\b
Examples:
  deskstore adopt backend/data --dry-run
  deskstore adopt backend/data
  deskstore adopt backend/data --company acme --json
  deskstore adopt --from-postgres postgresql://owner:secret@host/old --dry-run
"""


@click.command("adopt", cls=Command, epilog=EXAMPLES)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path), required=False)
@click.option("--from-postgres", "url", metavar="URL", help="A database of the prototype's, instead of files.")
@some_companies_option
@click.option("--dry-run", is_flag=True, help="Only say what would become of the files.")
def command(directory: Path | None, url: str | None, companies: tuple[str, ...], dry_run: bool) -> int:
    """
    Take over what the prototype kept.

    DIR has a directory for each company, in it one for each platform, in it tickets, knowledge_base, summaries and progress. Nothing in it
    is changed, and what cannot be placed is named. Adopting a tree twice changes nothing. A database is read as the owner of its tables.
    """
    if directory is None and url is None:
        raise click.UsageError("Missing argument 'DIR': name the directory of the files, or the database with --from-postgres")
    if directory is not None and url is not None:
        raise click.UsageError("DIR and --from-postgres exclude one another: adopt one after the other")
    shared().if_interrupted = "interrupted: what was adopted stays; run the same command again, and the rest follows"

    async def work(storage: Storage) -> int:
        report = await _adopted(storage, directory, url, companies, dry_run=dry_run)
        return closing(report, OF_FILES if url is None else OF_ROWS, dry_run=dry_run)

    return shared().run(work)


async def _adopted(storage: Storage, directory: Path | None, url: str | None, companies: tuple[str, ...], *, dry_run: bool) -> AdoptReport:
    from deskstore.services.adopting import adopt, adopt_database

    with progress_bar("adopting", None, unit="files" if url is None else "rows") as advance:
        if url is None:
            return await adopt(storage, directory or Path(), companies=companies, dry_run=dry_run, on_progress=advance)

        from deskstore.bootstrap import open_naive_database

        async with open_naive_database(url) as old:
            return await adopt_database(storage, old, companies=companies, dry_run=dry_run, on_progress=advance)


def closing(report: AdoptReport, words: Words, *, dry_run: bool) -> int:
    """Print what became of the files or rows, and give the exit code."""
    if shared().as_json:
        print_json(report_shown(report, dry_run=dry_run))
    else:
        told = [name for name in OUTCOMES if name != "suppressed" or any(row.suppressed for row in report.rows)]
        headings = ["COMPANY", "PLATFORM", "KIND", *(f"#{name.upper().replace('_', ' ')}" for name in told)]
        rows = [[row.company_id, row.platform or None, row.kind, *(getattr(row, name) for name in told)] for row in report.rows]
        print_table(headings, rows)
    for line in remarks(report, words, dry_run=dry_run):
        tell(cell(line))  # a file may have been named for an id with control characters
    if report.damaged:
        return FAILED
    return REJECTED if report.not_placed else OK


def remarks(report: AdoptReport, words: Words, *, dry_run: bool) -> Iterator[str]:
    """What else is to be said, a line each."""
    for remark in report.remarks:
        yield f"{_files(remark)}: {remark.text}"
    for one in report.differences:
        yield f"{one.file}: says {one.name} {one.recorded}, and {words.place} has {one.counted:,}"
    for left in report.not_placed:
        yield f"not placed: {left.file}: {left.reason}"
    if report.not_placed:
        number = counted(len(report.not_placed), f"{words.one} was not placed, and lies", f"{words.one}s were not placed, and lie")
        yield f"{number} in {words.place} as before: keep it until each of them is accounted for"
    if not any(getattr(row, name) for row in report.rows for name in OUTCOMES[:-1]):
        yield f"nothing was adopted: {words.advice}"
    if dry_run:
        yield "nothing was kept: this was a dry run"


def report_shown(report: AdoptReport, *, dry_run: bool) -> Shown:
    """The report as JSON."""
    return {
        "dry_run": dry_run,
        "rows": [
            {
                "company": row.company_id,
                "platform": row.platform or None,
                "kind": row.kind,
                **{name: getattr(row, name) for name in OUTCOMES},
            }
            for row in report.rows
        ],
        "not_placed": [{"file": one.file, "reason": one.reason} for one in report.not_placed],
        "remarks": [{"company": one.company_id, "remark": one.text, "files": [*one.files]} for one in report.remarks],
        "differences": [
            {"file": one.file, "name": one.name, "recorded": one.recorded, "counted": one.counted} for one in report.differences
        ],
        "damaged": report.damaged,
    }


def _files(remark: Remark) -> str:
    others = len(remark.files) - 1
    return f"{remark.files[0]} and {others:,} more" if others else remark.files[0]
