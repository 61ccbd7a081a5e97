"""`deskstore import`: records from exported files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import click
from click.decorators import FC

from deskstore.cli.failures import FAILED, OK, REJECTED, tell
from deskstore.cli.kinds import kind_option
from deskstore.cli.output import counted, print_json, print_table
from deskstore.cli.progress_bar import progress_bar
from deskstore.cli.shared import Command, company_option, platform_option, shared

if TYPE_CHECKING:
    from deskstore.cli.records import Shown
    from deskstore.domain.identifiers import Kind
    from deskstore.domain.ports import Storage
    from deskstore.services.importing import ImportReport

OUTCOMES: Final = ("created", "updated", "unchanged", "stale", "suppressed", "rejected")
EXAMPLES: Final = """\b
Examples:
  deskstore import tickets.json --company acme --platform freshdesk
  deskstore import articles.ndjson.gz --company acme --platform helpcenter --kind articles --locale ko
  deskstore import page-*.json --company acme --platform zendesk --dry-run
  deskstore import tickets.rejects.ndjson --company acme --platform freshdesk
"""
_FIELDS: Final = {
    "id": "id",
    "subject": "subject",
    "status": "status",
    "priority": "priority",
    "requester": "requester",
    "created": "time of creation",
    "updated": "time of the last change",
    "locale": "locale",
}


def _field_options(function: FC) -> FC:
    for name, meaning in reversed(_FIELDS.items()):
        function = click.option(f"--{name}-field", metavar="NAME", help=f"The field that holds the {meaning}; dots lead inside.")(function)
    return function


@click.command("import", cls=Command, epilog=EXAMPLES)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@company_option
@platform_option(required=False)
@kind_option("What the records are; the first one's keys tell it otherwise.")
@click.option("--locale", metavar="TEXT", help="The language of articles that do not say it.")
@_field_options
@click.option("--dry-run", is_flag=True, help="Only say what would become of the records.")
@click.option("--rejects", metavar="FILE", help="Where rejected records go, numbered if it is taken [default: NAME.rejects.ndjson here].")
@click.option("--restart", is_flag=True, help="Begin anew, whatever was interrupted.")
def command(
    files: tuple[str, ...],
    company_id: str,
    platform: str | None,
    kind: Kind | None,
    locale: str | None,
    dry_run: bool,
    rejects: str | None,
    restart: bool,
    **fields: str | None,
) -> int:
    """
    Take records in from files that a helpdesk exported.

    JSON documents, arrays, pages and NDJSON, plain or compressed with gzip or zstd; - is the standard input. Whatever was interrupted goes
    on where it stopped when the same command is run again; importing a file twice changes nothing.
    """
    rejected = Path(rejects) if rejects else Path(f"{_stem(files[0])}.rejects.ndjson")
    shared().output = str(rejected)
    shared().if_interrupted = "interrupted: what was kept stays; run the same command again and it goes on from there"

    async def work(storage: Storage) -> int:
        from deskstore.formats.platforms import Options
        from deskstore.services.importing import ImportProgress, import_records

        with progress_bar("importing", _size_bytes(files), unit="bytes") as advance:

            def show(progress: ImportProgress) -> None:
                advance(progress.read_bytes)

            report = await import_records(
                storage,
                company_id,
                platform,
                [_source(name) for name in files],
                kind=kind,
                locale=locale,
                options=Options(**fields),
                rejects=rejected,
                on_progress=show,
                restart=restart,
                dry_run=dry_run,
            )
        code = closing(report, company_id, rejected, dry_run=dry_run)
        if platform and (doubt := _doubt(platform, report.likely)):
            tell(doubt)
        return code

    return shared().run(work)


def closing(report: ImportReport, company_id: str, rejects: Path, *, dry_run: bool) -> int:
    """Print what became of the records, and give the exit code."""
    if shared().as_json:
        print_json(report_shown(report, company_id, dry_run=dry_run))
    else:
        told = [name for name in OUTCOMES if name != "suppressed" or report.suppressed]  # hardly any import has to do with it
        print_table([f"#{name.upper()}" for name in told], [[getattr(report, name) for name in told]])
    for line in remarks(report, rejects, dry_run=dry_run):
        tell(line)
    if report.damaged:
        return FAILED
    return REJECTED if report.rejected else OK


def remarks(report: ImportReport, rejects: Path, *, dry_run: bool) -> Sequence[str]:
    """What else is to be said, a line each."""
    said = [f"{name}: {form}{f', {report.kind}s' if report.kind else ''}" for name, form in report.detected.items()]
    if report.began_anew:
        said.append("an import of these files was interrupted, but the files changed since then: starting over")
    if report.resumed_at:
        said.append(f"resumed after record {report.resumed_at:,}, where it was interrupted")
    said += [f"rejected: {reject.place}: {reject.reason}" for reject in report.rejects]
    if not report.rejects_file and report.rejected > len(report.rejects):
        said.append(f"{report.rejected - len(report.rejects):,} more would be rejected: the import writes all of them to {rejects}")
    if report.suppressed:
        who = "of requesters who were erased, and whose tickets are kept out"
        said.append(
            f"{counted(report.suppressed, 'record is', 'records are')} {who}: deskstore company erase-requester --lift lets them in"
        )
    if report.rejects_file:
        file = report.rejects_file
        if file != rejects:
            said.append(f"{rejects} holds what was rejected before, and stays as it is: these are in {file}")
        number = counted(report.rejected, f"rejected record is in {file}: mend it", f"rejected records are in {file}: mend them")
        said.append(f"{number} there and import that file")
    if dry_run:
        said.append("nothing was kept: this was a dry run")
    return said


def report_shown(report: ImportReport, company_id: str, *, dry_run: bool) -> Shown:
    """The report as JSON."""
    return {
        "company": company_id,
        "kind": report.kind,
        "records": report.records,
        **{name: getattr(report, name) for name in OUTCOMES},
        "damaged": report.damaged,
        "resumed_at": report.resumed_at,
        "dry_run": dry_run,
        "detected": {name: str(form) for name, form in report.detected.items()},
        "rejects_file": str(report.rejects_file) if report.rejects_file else None,
        "rejects": [{"file": one.place.file, "line": one.place.line, "reason": one.reason} for one in report.rejects],
    }


def _doubt(platform: str, likely: str | None) -> str | None:
    """What speaks against the platform that was named."""
    if known := _nearly(platform):
        return f"{platform!r} is not a platform whose fields deskstore knows, so they were read as anybody's: did you mean {known!r}?"
    if likely and likely != platform and _is_known(platform):
        return f"these look like records of {likely}, and were read as records of {platform}: if that was not meant, import them again"
    return None


def _is_known(platform: str) -> bool:
    from deskstore.formats.platforms import PLATFORMS

    return platform in PLATFORMS


def _nearly(platform: str) -> str | None:
    """The platform that was probably meant, where a name is nearly one of those whose fields are known."""
    import difflib  # who lists starts without it

    from deskstore.formats.platforms import PLATFORMS

    close = difflib.get_close_matches(platform.lower(), PLATFORMS, n=1, cutoff=0.8)
    return close[0] if close and platform not in PLATFORMS else None


def _source(name: str) -> Path | IO[bytes]:
    return sys.stdin.buffer if name == "-" else Path(name)


def _stem(name: str) -> str:
    """A file's name without what says how it is written."""
    stem = "standard-input" if name == "-" else Path(name).name
    for suffix in (".gz", ".zst", ".json", ".ndjson", ".jsonl"):
        stem = stem.removesuffix(suffix)
    return stem


def _size_bytes(files: Sequence[str]) -> int | None:
    if not all(Path(name).is_file() for name in files):
        return None  # the standard input, a pipe, or what opening will complain about
    return sum(Path(name).stat().st_size for name in files)
