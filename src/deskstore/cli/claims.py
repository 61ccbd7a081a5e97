"""`deskstore claim`: who holds which ticket, taking tickets back, and putting tickets into the line again."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import click
from attrs import Factory, define

from deskstore.cli.absent import why_nothing
from deskstore.cli.failures import OK, tell
from deskstore.cli.output import counted, print_json, print_long_json, print_long_table, print_table
from deskstore.cli.records import processing_shown
from deskstore.cli.shared import Group, company_option, platform_option, shared

if TYPE_CHECKING:
    from deskstore.cli.records import Shown
    from deskstore.domain.ports import Storage
    from deskstore.domain.processing import Processing

HEADINGS: Final = ("PLATFORM", "ID", "PROCESSING", "#ATTEMPTS", "WORKER", "LEASE UNTIL", "SINCE")
FAILED_HEADINGS: Final = ("PLATFORM", "ID", "PROCESSING", "#ATTEMPTS", "SINCE", "ERROR")
ENDED: Final = "ended"  #: what is in processing no more, since the lease is over, and waits for the next worker
SHOWN: Final = 10  #: tickets that are named before something is done to all
BATCH: Final = 200
UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")
LIST_EXAMPLES: Final = """\b
Examples:
  deskstore claim list --company acme
  deskstore claim list --company acme --worker worker-7 --older-than 10m --json
"""
RELEASE_EXAMPLES: Final = """\b
Examples:
  deskstore claim release --company acme --worker worker-7
  deskstore claim release --company acme --worker worker-7 --yes
"""
REQUEUE_EXAMPLES: Final = """\b
Examples:
  deskstore claim requeue --company acme
  deskstore claim requeue --company acme --platform zendesk --older-than 1d --yes
  deskstore claim requeue --company acme --model short-2 --yes
"""

Change = Callable[["Sequence[Processing]"], "Awaitable[Sequence[Processing]]"]
"""Does something to some tickets, and gives those to which it was done."""


class _Duration(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        if found := _DURATION.fullmatch(value):
            return timedelta(seconds=int(found[1]) * UNITS[found[2]])
        self.fail(f"{value!r} is not a time span: write it as 90s, 10m, 2h or 7d", param, ctx)


worker_option: Final = click.option("--worker", metavar="NAME", help="Those of this worker alone.")
older_than_option: Final = click.option(
    "--older-than", type=_Duration(), metavar="TIME", help="Those for so long at least: 90s, 10m, 2h, 7d."
)
yes_option: Final = click.option(
    "--yes", "is_agreed", is_flag=True, help="Do it; without this nothing is changed, and what would be is said."
)


@click.group("claim", cls=Group)
def command() -> None:
    """Tickets in the hands of workers, and back into the line."""


@command.command("list", epilog=LIST_EXAMPLES)
@company_option
@platform_option(required=False)
@worker_option
@older_than_option
def list_command(company_id: str, platform: str | None, worker: str | None, older_than: timedelta | None) -> int:
    """List tickets in processing, who holds each, and until when."""

    async def work(storage: Storage) -> int:
        from deskstore.services.requeuing import list_claims

        found = list_claims(storage, company_id, platform, worker=worker, until=_until(storage, older_than))
        if shared().as_json:
            await print_long_json("claims", (_shown(one, storage.clock()) async for one in found))
        elif not await print_long_table(HEADINGS, (_row(one, storage.clock()) async for one in found)):
            tell(await why_nothing(storage, company_id, platform) or "nobody holds such a ticket")
        return OK

    return shared().run(work)


@command.command("release", epilog=RELEASE_EXAMPLES)
@company_option
@platform_option(required=False)
@worker_option
@older_than_option
@yes_option
def release_command(company_id: str, platform: str | None, worker: str | None, older_than: timedelta | None, is_agreed: bool) -> int:
    """Take tickets back from their workers, who save nothing more for them; without --yes only say which."""
    shared().if_interrupted = _if_interrupted(is_agreed)

    async def work(storage: Storage) -> int:
        from deskstore.services.requeuing import list_claims, take_back

        found = list_claims(storage, company_id, platform, worker=worker, until=_until(storage, older_than))
        done = await _carry_out(found, lambda some: take_back(storage, company_id, some), is_agreed)
        return await _report(storage, company_id, platform, done, HEADINGS, [_row(one, storage.clock()) for one in done.first])

    return shared().run(work)


@command.command("requeue", epilog=REQUEUE_EXAMPLES)
@company_option
@platform_option(required=False)
@click.option("--stale", is_flag=True, help="Those done with whose summary is of another text by now, instead of those that failed.")
@click.option("--model", metavar="TEXT", help="With those whose summary another model wrote, too.")
@click.option("--prompt-id", metavar="TEXT", help="With those whose summary was written with another prompt, too.")
@older_than_option
@yes_option
def requeue_command(
    company_id: str,
    platform: str | None,
    stale: bool,
    model: str | None,
    prompt_id: str | None,
    older_than: timedelta | None,
    is_agreed: bool,
) -> int:
    """Make tickets pending again that failed, or whose summary is stale; without --yes only say which."""
    shared().if_interrupted = _if_interrupted(is_agreed)

    async def work(storage: Storage) -> int:
        from deskstore.services.requeuing import failed_tickets, outdated_tickets, requeue

        until = _until(storage, older_than)
        if stale or model or prompt_id:
            found = outdated_tickets(storage, company_id, platform, model=model, prompt_id=prompt_id, until=until)
        else:
            found = failed_tickets(storage, company_id, platform, until=until)
        done = await _carry_out(found, lambda some: requeue(storage, company_id, [one.key for one in some]), is_agreed)
        return await _report(storage, company_id, platform, done, FAILED_HEADINGS, [_failed_row(one) for one in done.first])

    return shared().run(work)


# -- finding first, and doing if that is meant ---------------------------------------------------------------------------------------------


@define(kw_only=True)
class _Done:
    """What was found, and to how much of it something was done."""

    is_dry: bool
    matched: int = 0
    changed: int = 0
    first: list[Processing] = Factory(list["Processing"])


async def _carry_out(found: AsyncIterator[Processing], change: Change, is_agreed: bool) -> _Done:
    done, batch = _Done(is_dry=not is_agreed), list["Processing"]()
    async for one in found:
        done.matched += 1
        if len(done.first) < SHOWN:
            done.first.append(one)
        if is_agreed:
            batch.append(one)
        if len(batch) == BATCH:
            done.changed += len(await change(batch))
            batch = []
    if batch:
        done.changed += len(await change(batch))
    return done


async def _report(
    storage: Storage, company_id: str, platform: str | None, done: _Done, headings: Sequence[str], rows: Sequence[Sequence[object]]
) -> int:
    if shared().as_json:
        first = [_shown(one, storage.clock()) for one in done.first]
        left = 0 if done.is_dry else done.matched - done.changed
        print_json({"dry_run": done.is_dry, "matched": done.matched, "changed": done.changed, "left": left, "first": first})
        return OK
    print_table(headings, rows, ends_in_text=True)
    tell(await why_nothing(storage, company_id, platform) or "there is no such ticket" if not done.matched else _told(done))
    return OK


def _told(done: _Done) -> str:
    cut = f" (the first {SHOWN} are shown)" if done.matched > SHOWN else ""
    if done.is_dry:
        return f"{counted(done.matched, 'ticket', 'tickets')} would be pending again{cut}: add --yes to do it; nothing was changed"
    left = done.matched - done.changed
    but = f"; {counted(left, 'ticket', 'tickets')} went on meanwhile, and stayed as they were" if left else ""
    return f"{counted(done.changed, 'ticket is', 'tickets are')} pending again{cut}{but}"


def _until(storage: Storage, older_than: timedelta | None) -> datetime | None:
    return None if older_than is None else storage.clock() - older_than


def _if_interrupted(is_agreed: bool) -> str:
    changed = "what is pending again stays so; run the same command again for the rest"
    return f"interrupted: {changed if is_agreed else 'nothing was changed'}"


# -- how they look -------------------------------------------------------------------------------------------------------------------------


def _row(one: Processing, now: datetime) -> tuple[object, ...]:
    worker, until = (one.claim.worker, one.claim.lease_until) if one.claim else (None, None)
    standing = ENDED if _has_ended(one, now) else one.status
    return (one.key.platform, one.key.id, standing, one.attempts, worker, until, one.changed_at)


def _failed_row(one: Processing) -> tuple[object, ...]:
    return (one.key.platform, one.key.id, one.status, one.attempts, one.changed_at, one.error)


def _shown(one: Processing, now: datetime) -> Shown:
    shown = processing_shown(one)
    return {"platform": one.key.platform, "id": one.key.id, "lease_ended": _has_ended(one, now), "processing": shown}


def _has_ended(one: Processing, now: datetime) -> bool:
    return one.claim is not None and one.claim.lease_until <= now
