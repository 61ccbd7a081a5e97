"""`deskstore migrate`: moving companies from files to PostgreSQL while they are written, and back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from deskstore.cli.companies import agree
from deskstore.cli.failures import FAILED, OK, REJECTED, tell
from deskstore.cli.output import print_json, print_table
from deskstore.cli.progress_bar import progress_bar
from deskstore.cli.shared import Command, Group, one_company_option, shared

if TYPE_CHECKING:
    from click.decorators import FC

    from deskstore.domain.comparing import Difference
    from deskstore.domain.filling import Batch, Reject
    from deskstore.domain.mirror import Thing
    from deskstore.domain.ports import Storage
    from deskstore.services.migrating import MigrationStatus, StartReport, SwapReport, VerifyReport
    from deskstore.services.migrating.audit import Note

Shown = dict[str, Any]  # Any: JSON
Step = Callable[["Storage", "Storage", str], Awaitable[tuple[Shown, int]]]
PLACES: Final = ("postgresql", "files")
DEPTHS: Final = ("digests", "rehash", "content")
AUDIT: Final = ".migrations.ndjson"  #: below DATA_PATH; no name of a company begins with a dot
MOST_SHOWN: Final = 20  #: rejected things and differences on a screen
EXAMPLES: Final = """\b
Examples:
  deskstore migrate start --company acme
  deskstore migrate verify --company acme --depth content
  deskstore migrate cutover --company acme
  deskstore migrate rollback --company acme
  deskstore migrate finish --company acme
"""


@click.group("migrate", cls=Group, epilog=EXAMPLES)
def command() -> None:
    """Move companies to PostgreSQL while they are written, and back."""


def _which(function: FC) -> FC:
    """Which companies, and where to."""
    function = click.option("--all", "is_all", is_flag=True, help="Every company of the side that they come from.")(function)
    function = click.option(
        "--to", "place", type=click.Choice(PLACES), default="postgresql", show_default=True, help="Where the companies are to live."
    )(function)
    return one_company_option(function)


@command.command("plan", cls=Command)
@_which
def plan_command(company_id: str | None, place: str, is_all: bool) -> int:
    """Say what would move and what is in its way; changes nothing."""

    async def step(source: Storage, target: Storage, one: str) -> tuple[Shown, int]:
        from deskstore.services.migrating import plan_migration

        plan = await plan_migration(source, target, one)
        is_free = not (plan.obstacles or plan.damaged)
        shown = {"things": dict(plan.things), "size_bytes": plan.size_bytes, "obstacles": [*plan.obstacles]}
        return {**shown, "damaged": [_reject(reject) for reject in plan.damaged]}, OK if is_free else FAILED

    return _each(company_id, place, is_all, step)


@command.command("start", cls=Command)
@_which
@click.option("--backup", "folder", metavar="DIR", help="Where a backup of each company is put first.")
@click.option("--no-backup", "is_unsaved", is_flag=True, help="Take no backup first.")
@click.option("--replace-target", is_flag=True, help="Erase what the other side holds of that name.")
@click.option("--rate", type=float, metavar="N", help="Copy so many things a second at most.")
@click.option("--pause-file", metavar="FILE", help="Wait as long as this file is there.")
def start_command(
    company_id: str | None,
    place: str,
    is_all: bool,
    folder: str | None,
    is_unsaved: bool,
    replace_target: bool,
    rate: float | None,
    pause_file: str | None,
) -> int:
    """Let the other side follow, and copy everything to it; called again it goes on where it stopped."""
    if (folder is None) != is_unsaved:
        raise click.UsageError("a backup comes first: say where with --backup DIR, or do without it with --no-backup")
    shared().if_interrupted = "interrupted: what was copied is kept; run the same command again, and it goes on there"

    async def step(source: Storage, target: Storage, one: str) -> tuple[Shown, int]:
        from deskstore.services.migrating import Pace, start_migration

        pace = Pace(most_per_s=rate, is_paused=Path(pause_file).exists if pause_file else None)
        with progress_bar(f"copying {one}", None, unit="things") as advance:
            report = await start_migration(
                source,
                target,
                one,
                backup=_backup(source, folder),
                replace_target=replace_target,
                pace=pace,
                progress=_adding(advance),
                note=_note(),
            )
        return _started(report), OK if report.is_complete else REJECTED

    return _each(company_id, place, is_all, step)


@command.command("status", cls=Command)
@_which
def status_command(company_id: str | None, place: str, is_all: bool) -> int:
    """Say where companies live, and how far a migration has come."""

    async def step(source: Storage, target: Storage, one: str) -> tuple[Shown, int]:
        from deskstore.services.migrating import migration_status

        return _status(await migration_status(source, target, one), place), OK

    return _each(company_id, place, is_all, step)


@command.command("verify", cls=Command)
@_which
@click.option("--depth", type=click.Choice(DEPTHS), default="rehash", show_default=True, help="How closely both sides are compared.")
@click.option("--only-changes", is_flag=True, help="Compare what changed since a verified mirror was compared.")
@click.option("--accept", multiple=True, metavar="KIND/PLATFORM/ID", help="A record that may be missing, as it cannot be copied.")
def verify_command(company_id: str | None, place: str, is_all: bool, depth: str, only_changes: bool, accept: Sequence[str]) -> int:
    """Compare all that both sides hold, and name each difference."""
    accepted = [_named(text) for text in accept]

    async def step(source: Storage, target: Storage, one: str) -> tuple[Shown, int]:
        from deskstore.domain.comparing import Depth
        from deskstore.services.migrating import verify_migration

        report = await verify_migration(source, target, one, depth=Depth(depth), only_changes=only_changes, accept=accepted, note=_note())
        return _verified(report), OK if report.is_verified else FAILED

    return _each(company_id, place, is_all, step)


@command.command("repair", cls=Command)
@_which
def repair_command(company_id: str | None, place: str, is_all: bool) -> int:
    """Make the mirror hold what the primary holds, wherever the two differ."""

    async def step(source: Storage, target: Storage, one: str) -> tuple[Shown, int]:
        from deskstore.services.migrating import repair_migration

        report = await repair_migration(source, target, one, note=_note())
        shown = {"healed": report.was_healed, "mended": report.mended, "left": report.left}
        return {**shown, "differences": [_difference(found) for found in report.differences]}, FAILED if report.left else OK

    return _each(company_id, place, is_all, step)


@command.command("cutover", cls=Command)
@_which
def cutover_command(company_id: str | None, place: str, is_all: bool) -> int:
    """Let the other side take the writes from now on, and this one follow."""

    async def step(source: Storage, target: Storage, one: str) -> tuple[Shown, int]:
        from deskstore.services.migrating import cut_over

        return _swapped(await cut_over(source, target, one, note=_note()), place), OK

    return _each(company_id, place, is_all, step)


@command.command("rollback", cls=Command)
@_which
def rollback_command(company_id: str | None, place: str, is_all: bool) -> int:
    """Let the side that companies came from take the writes again, with all that was written since."""

    async def step(source: Storage, target: Storage, one: str) -> tuple[Shown, int]:
        from deskstore.services.migrating import roll_back

        return _swapped(await roll_back(source, target, one, note=_note()), place), OK

    return _each(company_id, place, is_all, step)


@command.command("finish", cls=Command)
@_which
@click.option("--delete", "is_deleted", is_flag=True, help="Erase the side that is let go of.")
@click.option("--without-mirror", is_flag=True, help="The other side is lost: do not ask it.")
@click.option("--yes", "is_agreed", is_flag=True, help="Erase without asking.")
def finish_command(company_id: str | None, place: str, is_all: bool, is_deleted: bool, without_mirror: bool, is_agreed: bool) -> int:
    """Let companies live where they live now, and let go of the other side."""
    if is_deleted and not is_agreed:
        if company_id is None:
            raise click.UsageError("--delete with --all would erase one side of every company: add --yes if that is meant")
        agree(company_id, f"the side of company {company_id!r} that is not its primary would be erased")

    async def step(source: Storage, target: Storage, one: str) -> tuple[Shown, int]:
        from deskstore.services.migrating import finish_migration

        report = await finish_migration(source, target, one, delete=is_deleted, without_mirror=without_mirror, note=_note())
        stays_in = _place(report.lives_in, place)
        if report.lives_in == "source":
            tell(f"company {one!r} stays in {stays_in}, and was not moved to {place}: to move it, begin with `deskstore migrate start`")
        return {"lives_in": stays_in, "deleted": report.was_deleted}, OK

    return _each(company_id, place, is_all, step)


# -- one company after the other -----------------------------------------------------------------------------------------------------------


def _each(company_id: str | None, place: str, is_all: bool, step: Step) -> int:
    """Take a step with each company that is meant, and print what came of it; the exit code is the highest one."""
    if (company_id is None) != is_all:
        raise click.UsageError("say which company with --company NAME, or all of them with --all")
    import asyncio

    from deskstore.bootstrap import open_sides
    from deskstore.cli.logs import log

    settings = shared().settings()
    log(settings, is_verbose=shared().is_verbose)

    async def work() -> int:
        async with open_sides(settings) as (files, database):
            source, target = (files, database) if place == "postgresql" else (database, files)
            companies = [company_id] if company_id is not None else [*await source.companies()]
            taken = [(one, *await step(source, target, one)) for one in companies]
        _print([({"company": one, **shown}) for one, shown, _ in taken])
        return max((code for *_, code in taken), default=OK)

    return asyncio.run(work())


def _print(shown: Sequence[Shown]) -> None:
    if shared().as_json:
        print_json({"companies": [*shown]})
        return
    names = [name for name, value in shown[0].items() if not isinstance(value, dict | list)] if shown else ["company"]
    print_table([name.replace("_", " ").upper() for name in names], [[one[name] for name in names] for one in shown])
    for one in shown:
        named = [found for name in ("rejects", "damaged", "differences") for found in one.get(name, [])]
        for told in [*one.get("obstacles", []), *map(_line, named)][:MOST_SHOWN]:
            tell(f"{one['company']}: {told}")


def _line(told: Shown) -> str:
    name = " ".join(str(told[part]) for part in ("part", "platform", "id", "locale", "number") if told[part])
    return ": ".join(filter(None, (name, told.get("kind"), told["reason"])))


# -- what is shown of each -----------------------------------------------------------------------------------------------------------------


def _place(lives_in: str, place: str) -> str | None:
    """The side as it is called here."""
    there, here = (place, "files" if place == "postgresql" else "postgresql")
    return {"target": there, "source": here}.get(lives_in)


def _started(report: StartReport) -> Shown:
    return {
        "resumed": report.was_resumed,
        "things": report.things,
        "kept": report.kept,
        "size_bytes": report.size_bytes,
        "seconds": round(report.seconds, 3),
        "rejected": len(report.rejects),
        "rejects": [_reject(one) for one in report.rejects],
    }


def _status(status: MigrationStatus, place: str) -> Shown:
    return {
        "lives_in": _place(status.lives_in, place),
        "mirror": status.mirror.value,
        "epoch": status.epoch,
        "debts": status.debts,
        "held_up": status.is_held_up,
        "filled": None if status.is_other_side_down else status.is_filled,
        "other_side_down": status.is_other_side_down,
    }


def _verified(report: VerifyReport) -> Shown:
    return {
        "verified": report.is_verified,
        "different": report.different,
        "accepted": report.accepted,
        "seconds": round(report.seconds, 3),
        "counts": {part: {"primary": ours, "mirror": theirs} for part, (ours, theirs) in report.counts.items()},
        "differences": [_difference(one) for one in report.differences],
    }


def _swapped(report: SwapReport, place: str) -> Shown:
    return {
        "lives_in": _place(report.lives_in, place),
        "done_before": report.was_there,
        "epoch": report.epoch,
        "held_up_s": round(report.held_up_s, 4),
    }


def _thing(thing: Thing) -> Shown:
    return {"part": thing.part, "platform": thing.platform, "id": thing.id, "locale": thing.locale, "number": thing.number}


def _reject(reject: Reject) -> Shown:
    return {**_thing(reject.thing), "reason": reject.reason}


def _difference(one: Difference) -> Shown:
    versions = {"primary_version": one.primary_version, "mirror_version": one.mirror_version}
    return {**_thing(one.thing), "kind": one.kind.value, **versions, "reason": one.reason}


# -- what the steps are given --------------------------------------------------------------------------------------------------------------


def _note() -> Note:
    from deskstore.services.migrating.audit import AuditFile, log

    path = shared().settings().data_path
    return AuditFile(path / AUDIT) if path.is_dir() else log


def _backup(source: Storage, folder: str | None) -> Callable[[str], Awaitable[object]] | None:
    if folder is None:
        return None
    if Path(folder).is_file():
        raise click.UsageError(f"{folder} is a file: --backup names the folder that backups are put into")
    Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)

    async def take(company_id: str) -> object:
        from deskstore.adapters.file.names import encode
        from deskstore.services.backup import create_backup

        path = Path(folder) / f"{encode(company_id)}-{source.clock():%Y%m%dT%H%M%S}.tar"
        backup = await create_backup(source, company_id, path)
        tell(f"company {company_id!r} is backed up in {path}")
        return backup

    return take


def _adding(advance: Callable[[int], None]) -> Callable[[Batch], None]:
    """Tells a progress bar of batches."""
    done = 0

    def add(batch: Batch) -> None:
        nonlocal done
        done += batch.things
        advance(done)

    return add


def _named(text: str) -> Thing:
    """The record that a word names: its kind, platform and id, and an article's locale, with slashes between."""
    from deskstore.domain.mirror import Thing

    kind, platform, ticket_id, *locale = [*text.split("/", 3), "", ""][:4]
    if kind not in ("ticket", "article") or not platform or not ticket_id:
        raise click.UsageError(f"--accept {text!r}: write it as ticket/PLATFORM/ID, or article/PLATFORM/ID/LOCALE")
    return Thing("ticket" if kind == "ticket" else "article", kind, platform, ticket_id, locale[0])
