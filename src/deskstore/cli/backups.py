"""`deskstore backup`: files that hold all of a company."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from deskstore.cli.companies import agree
from deskstore.cli.exporting import refuse_no_place
from deskstore.cli.failures import FAILED, OK, tell
from deskstore.cli.output import counted, moment, print_json, print_table
from deskstore.cli.progress_bar import progress_bar
from deskstore.cli.shared import Command, Group, company_option, shared

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage
    from deskstore.services.backup import Backup, ListedBackup, Loss, Restored, RestoreMode

Shown = dict[str, Any]  # Any: JSON
CREATE_EXAMPLES: Final = """\b
Examples:
  deskstore backup create --company acme -o acme.tar
  deskstore backup create --company acme -o "acme-$(date +%F).tar"
"""
CHECK_EXAMPLES: Final = """\b
Examples:
  deskstore backup check acme.tar
  deskstore backup check backups/*.tar --json
"""
RESTORE_EXAMPLES: Final = """\b
Examples:
  deskstore backup restore acme.tar --company acme
  deskstore backup restore acme.tar --company staging --of acme
  deskstore backup restore acme.tar --company acme --merge
  deskstore backup restore acme.tar --company acme --replace --keep before.tar
  deskstore backup restore --undo --company acme
"""


@click.group("backup", cls=Group)
def command() -> None:
    """Take, list, check and restore backups of companies."""


@command.command("create", cls=Command, epilog=CREATE_EXAMPLES)
@company_option
@click.option("-o", "--output", required=True, metavar="FILE", help="Where to; a file that is there already is never overwritten.")
def create_command(company_id: str, output: str) -> int:
    """Write all that is kept of a company to one file, while it is in use."""
    refuse_no_place(output)
    shared().output = output
    shared().if_interrupted = f"interrupted: {output} was not written; run the same command again"

    async def work(storage: Storage) -> int:
        from deskstore.services.backup import create_backup

        with progress_bar("backing up", None, unit="things") as advance:
            backup = await create_backup(storage, company_id, Path(output), on_progress=advance)
        _print_backup(backup)
        tell(f"all of company {company_id!r} as it was at {moment(backup.ended_at)} is in {output}, read back and found whole")
        return _closing(backup)

    return shared().run(work)


@command.command("forget", cls=Command)
@company_option
@click.option("--dry-run", is_flag=True, help="Only name the backups that have begun and not ended.")
def forget_command(company_id: str, dry_run: bool) -> int:
    """Let a company note nothing more for backups that were killed; one that still runs fails."""

    async def work(storage: Storage) -> int:
        from deskstore.services.backup import forget_backups, running_backups

        found = await (running_backups if dry_run else forget_backups)(storage, company_id)
        if shared().as_json:
            shown = [{"name": one.name, "began_at": one.began_at and moment(one.began_at)} for one in found]
            print_json({"company": company_id, "forgotten": shown, "dry_run": dry_run})
        else:
            print_table(["BEGAN", "NAME"], [(one.began_at, one.name) for one in found])
        if not found:
            tell(f"no backup of company {company_id!r} has begun and not ended")
        elif dry_run:
            tell("nothing was changed: this was a dry run")
        return OK

    return shared().run(work)


@command.command("list", cls=Command)
@click.argument("folder", metavar="DIR")
def list_command(folder: str) -> int:
    """List the backups in a folder by what their two ends say; no storage is needed."""
    import asyncio

    from deskstore.services.backup import list_backups

    listed = asyncio.run(list_backups(Path(folder)))
    if shared().as_json:
        print_json({"backups": [_listed_shown(one) for one in listed]})
    else:
        headings = ["FILE", "COMPANY", "TAKEN", "#TICKETS", "#ARTICLES", "#BYTES", "FAULT"]
        print_table(headings, [_row(one) for one in listed])
    return FAILED if any(one.fault for one in listed) else OK


@command.command("check", cls=Command, epilog=CHECK_EXAMPLES)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
def check_command(files: tuple[str, ...]) -> int:
    """See that backups are whole and that no byte of them was changed; no storage is needed."""
    import asyncio

    found = [asyncio.run(_checked(Path(file))) for file in files]
    if shared().as_json:
        print_json({"backups": [_listed_shown(one) for one in found]})
    else:
        print_table(["FILE", "COMPANY", "TAKEN", "#TICKETS", "#ARTICLES", "#BYTES", "FAULT"], [_row(one) for one in found])
    return FAILED if any(one.fault for one in found) else OK


@command.command("restore", cls=Command, epilog=RESTORE_EXAMPLES)
@click.argument("file", metavar="[FILE]", required=False)
@company_option
@click.option("--of", metavar="NAME", help="The company that the backup is of, where that is another one.")
@click.option("--merge", "is_merge", is_flag=True, help="Take in what the company lacks; remove nothing.")
@click.option("--replace", "is_replace", is_flag=True, help="Back up what the company holds, erase it, and restore.")
@click.option("--keep", metavar="FILE", help="With --replace: where what the company holds is backed up to.")
@click.option("--undo", "is_undo", is_flag=True, help="Remove what an interrupted restore left behind.")
@click.option("--yes", "is_agreed", is_flag=True, help="Replace or undo without asking.")
def restore_command(
    file: str | None, company_id: str, of: str | None, is_merge: bool, is_replace: bool, keep: str | None, is_undo: bool, is_agreed: bool
) -> int:
    """Put into a company what a backup holds: into an empty one, unless it is said what to do with the records that are there."""
    mode = _mode(is_merge=is_merge, is_replace=is_replace, keep=keep)
    if is_undo:
        return _undo(company_id, is_agreed=is_agreed, is_alone=not (file or of or is_merge or is_replace or keep))
    if file is None:
        raise click.UsageError("Missing argument 'FILE'")
    shared().if_interrupted = "interrupted: the company is closed to writers; run the same command again, or undo it with --undo"
    if mode == "merge":
        shared().if_interrupted = "interrupted: what was taken in is kept; run the same command again"

    async def work(storage: Storage) -> int:
        from deskstore.services.backup import restore_backup

        if mode == "replace" and not is_agreed:
            agree(company_id, f"all that company {company_id!r} holds would be replaced by what {file} holds")
        with progress_bar("restoring", None, unit="things") as advance:
            done = await restore_backup(
                storage, company_id, Path(file), mode=mode, of=of, keep=Path(keep) if keep else None, on_progress=advance
            )
        _print_restored(done)
        return _closing(done.backup)

    return shared().run(work)


def _mode(*, is_merge: bool, is_replace: bool, keep: str | None) -> RestoreMode:
    if is_merge and is_replace:
        raise click.UsageError("--merge keeps what the company has, --replace does not: give one of them")
    if is_replace != (keep is not None):
        raise click.UsageError("--replace and --keep FILE go together: what the company holds is backed up before it is replaced")
    return "merge" if is_merge else "replace" if is_replace else "empty"


def _undo(company_id: str, *, is_agreed: bool, is_alone: bool) -> int:
    if not is_alone:
        raise click.UsageError("--undo goes with no other option and no file: it removes what an interrupted restore left behind")
    if not is_agreed:
        agree(company_id, f"what an interrupted restore put into company {company_id!r} would be removed")

    async def work(storage: Storage) -> int:
        from deskstore.services.backup import undo_restore

        await undo_restore(storage, company_id)
        if shared().as_json:
            print_json({"company": company_id, "undone": True})
        tell(f"company {company_id!r} holds nothing any more: restore a backup, or begin anew")
        return OK

    return shared().run(work)


async def _checked(path: Path) -> ListedBackup:
    from deskstore.domain.errors import DamagedBackup
    from deskstore.services.backup import ListedBackup, check_backup

    try:
        size = path.stat().st_size  # noqa: ASYNC240 - of a file that is about to be read
        with progress_bar(f"checking {path}", size, unit="bytes") as advance:
            return ListedBackup(path=path, backup=await check_backup(path, on_progress=advance), fault=None)
    except DamagedBackup as error:
        return ListedBackup(path=path, backup=None, fault=error.reason)


def _closing(backup: Backup) -> int:
    """Say what the backup lacks, and give the exit code."""
    _tell_losses(backup)
    return FAILED if backup.damaged else OK


def _tell_losses(backup: Backup) -> None:
    for loss in backup.damaged:
        tell(f"not in {backup.path}, since it was damaged: {loss}")


def _print_backup(backup: Backup) -> None:
    if shared().as_json:
        print_json(_shown(backup))
    else:
        print_table(["PART", "#THINGS"], backup.counts.items())


def _print_restored(done: Restored) -> None:
    merged = done.merged
    if shared().as_json:
        print_json(_restored_shown(done))
    elif merged is not None:
        print_table(["TAKEN IN", "UPDATED", "UNCHANGED", "STALE", "SUPPRESSED"], [_merged_row(done)])
    if merged is None:
        tell(f"company {done.company_id!r} holds exactly what {done.backup.path} does: {counted(done.things, 'thing', 'things')} written")
    if done.kept is not None:
        tell(f"what it held before is in {done.kept.path}")
        _tell_losses(done.kept)


def _merged_row(done: Restored) -> tuple[int, ...]:
    merged = done.merged
    return () if merged is None else (done.things, merged.updated, merged.unchanged, merged.stale, merged.suppressed)


def _restored_shown(done: Restored) -> Shown:
    merged = done.merged
    became = merged and {
        "updated": merged.updated,
        "unchanged": merged.unchanged,
        "stale": merged.stale,
        "suppressed": merged.suppressed,
    }
    return {
        "company": done.company_id,
        "things": done.things,
        "merged": became,
        "kept": done.kept and _shown(done.kept),
        "backup": _shown(done.backup),
    }


def _row(one: ListedBackup) -> tuple[object, ...]:
    backup = one.backup
    if backup is None:
        return (one.path, None, None, None, None, None, one.fault)
    return (one.path, backup.company_id, backup.ended_at, backup.counts["ticket"], backup.counts["article"], backup.size_bytes, None)


def _listed_shown(one: ListedBackup) -> Shown:
    return {"file": str(one.path), "fault": one.fault, "backup": one.backup and _shown(one.backup)}


def _shown(backup: Backup) -> Shown:
    return {
        "file": str(backup.path),
        "company": backup.company_id,
        "store": backup.store,
        "began_at": moment(backup.began_at),
        "ended_at": moment(backup.ended_at),
        "size_bytes": backup.size_bytes,
        "counts": dict(backup.counts),
        "content_digest": backup.content_digest,
        "replica_digest": backup.replica_digest,
        "damaged": [_loss_shown(one) for one in backup.damaged],
    }


def _loss_shown(loss: Loss) -> Shown:
    return {
        "part": loss.part,
        "platform": loss.platform,
        "id": loss.id,
        "locale": loss.locale,
        "number": loss.number,
        "place": loss.place,
        "reason": loss.reason,
    }
