"""`deskstore export`: a company's records as lines of JSON."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from deskstore.cli.absent import why_nothing
from deskstore.cli.failures import FAILED, OK, tell
from deskstore.cli.kinds import kind_option
from deskstore.cli.output import counted, print_json
from deskstore.cli.progress_bar import progress_bar
from deskstore.cli.shared import Command, company_option, platform_option, shared

if TYPE_CHECKING:
    from deskstore.domain.identifiers import Kind
    from deskstore.domain.ports import Storage
    from deskstore.services.exporting import ExportReport

EXAMPLES: Final = """\b
Examples:
  deskstore export --company acme --platform freshdesk -o tickets.ndjson
  deskstore export --company acme --kind articles -o articles.ndjson.gz
  deskstore export --company acme --envelope -o - | deskstore import - --company copy
"""


@click.command("export", cls=Command, epilog=EXAMPLES)
@company_option
@platform_option(required=False)
@kind_option("What to write.", default="tickets")
@click.option("--envelope", is_flag=True, help="Write what deskstore knows of each record too; an import then gives it the same id.")
@click.option("-o", "--output", required=True, metavar="FILE", help="Where to; - is the standard output.")
def command(company_id: str, platform: str | None, kind: Kind, envelope: bool, output: str) -> int:
    """Write a company's records to a file: NDJSON, one payload a line, untouched."""
    if not (is_stream := _is_stream(output)):
        refuse_no_place(output)
    shared().output = "the standard output" if output == "-" else output
    shared().if_interrupted = f"interrupted: {output} was not written; run the same command again"
    if is_stream:
        shared().if_interrupted = "interrupted: what was written ends in the middle; run the same command again"

    async def work(storage: Storage) -> int:
        from deskstore.services.companies import get_platform_stats
        from deskstore.services.exporting import export_records

        if reason := await why_nothing(storage, company_id, platform):
            tell(f"{reason}; {output} was not written")
            return FAILED
        stats = [one for one in await get_platform_stats(storage, company_id) if platform in (None, one.platform)]
        kept = {"ticket": sum(one.tickets for one in stats), "article": sum(one.articles for one in stats)}
        to = sys.stdout.buffer if output == "-" else Path(output)
        with progress_bar("exporting", kept[kind], unit="records") as advance:
            report = await export_records(storage, company_id, to, kind=kind, platform=platform, envelope=envelope, on_progress=advance)
        return closing(report, kind, output, left_out=sum(kept.values()) - kept[kind])

    return shared().run(work)


def closing(report: ExportReport, kind: Kind, output: str, *, left_out: int) -> int:
    """Say what was written and what was not, and give the exit code."""
    damaged = [str(error) for error in report.damaged]
    if shared().as_json and output != "-":
        print_json({"records": report.records, "kind": kind, "damaged": damaged, "output": output})
    tell(f"{counted(report.records, kind, f'{kind}s')} written to {'the standard output' if output == '-' else output}")
    if left_out:
        other = "article" if kind == "ticket" else "ticket"
        tell(f"{counted(left_out, f'{other} is', f'{other}s are')} kept too: export with --kind {other}s")
    for fault in damaged:
        tell(f"left out: {fault}")
    return FAILED if damaged else OK


def _is_stream(output: str) -> bool:
    """Whether it is written as it comes: the standard output, a pipe, a device."""
    to = Path(output)
    return output == "-" or (to.exists() and not to.is_file() and not to.is_dir())


def refuse_no_place(output: str) -> None:
    """Raise UsageError where no such file can be made, before records are read."""
    if Path(output).is_dir():
        raise click.UsageError(f"{output} is a directory: name a file in it")
    file = Path(output).resolve()  # where a link leads
    if not file.parent.is_dir():
        raise click.UsageError(f"{_parent(output)} is not a directory: make it first, or name another place for {file.name}")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise click.UsageError(f"{_parent(output)} cannot be written to: name another place for {file.name}")


def _parent(output: str) -> Path:
    """The folder that a file is to be in, as the caller would name it."""
    file = Path(output)
    return file.resolve().parent if file.is_symlink() else file.parent
