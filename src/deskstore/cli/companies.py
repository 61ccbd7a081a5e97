"""`deskstore company`: whose records are kept, and erasing them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from deskstore.cli.failures import FAILED, OK, tell
from deskstore.cli.output import cell, counted, moment, on_terminal, print_json, print_table
from deskstore.cli.shared import Group, company_option, named_company, platform_option, shared

if TYPE_CHECKING:
    from deskstore.domain.erasures import Erasure
    from deskstore.domain.ports import Storage
    from deskstore.services.companies import Receipt
    from deskstore.services.erasing import RequesterReceipt

Shown = dict[str, Any]  # Any: JSON
SHORT: Final = 12  #: digits of a hash that a table shows
ERASE_EXAMPLES: Final = """\b
Examples:
  deskstore company erase acme
  deskstore company erase acme --yes --json > receipt.json
"""


REQUESTER_EXAMPLES: Final = """\b
Examples:
  deskstore company erase-requester 77 --company acme --platform freshdesk --dry-run
  deskstore company erase-requester 77 --company acme --platform freshdesk
  deskstore company erase-requester 77 --company acme --platform freshdesk --lift
"""


@click.group("company", cls=Group)
def command() -> None:
    """The companies whose records are kept."""


@command.command("list")
def list_command() -> int:
    """List the companies whose records are kept."""

    async def work(storage: Storage) -> int:
        from deskstore.services.companies import list_companies

        companies = await list_companies(storage)
        if shared().as_json:
            print_json({"companies": [*companies]})
        else:
            print_table(["COMPANY"], [(company_id,) for company_id in companies])
        return OK

    return shared().run(work)


@command.command("erase", epilog=ERASE_EXAMPLES)
@click.argument("company_id", metavar="COMPANY", callback=named_company)
@click.option("--yes", "is_agreed", is_flag=True, help="Erase without asking.")
def erase_command(company_id: str, is_agreed: bool) -> int:
    """Remove a company with all that is kept of it, and print the receipt; nothing brings it back."""
    shared().if_interrupted = "interrupted: the company may be half erased, and nobody can use it then; run the same command again"

    async def work(storage: Storage) -> int:
        from deskstore.services.companies import erase_company, list_companies

        was_there = company_id in await list_companies(storage)
        if was_there and not is_agreed:
            await _agree_to_erase(storage, company_id)
        receipt = await erase_company(storage, company_id)
        if receipt is None:
            return _unknown(company_id)
        _print_receipt(receipt)
        if not was_there:
            tell(f"company {company_id!r} was erased already: this is the receipt of that time")
        return OK

    return shared().run(work)


@command.command("erase-requester", epilog=REQUESTER_EXAMPLES)
@click.argument("requester", metavar="REQUESTER")
@company_option
@platform_option(required=True)
@click.option("--dry-run", is_flag=True, help="Only say how much would be removed.")
@click.option("--lift", is_flag=True, help="Let the requester's tickets in again.")
@click.option("--yes", "is_agreed", is_flag=True, help="Erase without asking.")
def erase_requester_command(requester: str, company_id: str, platform: str, dry_run: bool, lift: bool, is_agreed: bool) -> int:
    """
    Remove all tickets of a requester with their summaries, and keep such tickets out of every import from then on.

    REQUESTER is what the tickets' field of that name holds: an id or an address, as the platform has it (ticket get --envelope shows it).
    """
    if lift and (dry_run or is_agreed):
        raise click.UsageError("--lift goes with neither --dry-run nor --yes: it removes nothing")
    shared().if_interrupted = (
        "interrupted: what was removed is gone, and the rest is kept out; run the same command again and it goes on from there"
    )

    async def work(storage: Storage) -> int:
        from deskstore.services.erasing import erase_requester

        if lift:
            return await _lift(storage, company_id, platform, requester)
        if not (dry_run or is_agreed):
            await _agree_to_erase_requester(storage, company_id, platform, requester)
        receipt = await erase_requester(storage, company_id, platform, requester, dry_run=dry_run)
        if receipt is None:
            return _unknown(company_id)
        _print_requester_receipt(receipt, dry_run=dry_run)
        return FAILED if receipt.not_examined else OK

    return shared().run(work)


@command.command("erasures")
def erasures_command() -> int:
    """List what stays of erased companies: when, how much it was, and the hash of each name."""

    async def work(storage: Storage) -> int:
        from deskstore.services.companies import list_erasures

        found = await list_erasures(storage)
        if shared().as_json:
            print_json({"erasures": [_shown(one) for one in found]})
        else:
            headings = ["ERASED", "HASH", "#EPOCH", "#TICKETS", "#ARTICLES", "#SUMMARIES"]
            print_table(headings, [_row(one) for one in found])
        return OK

    return shared().run(work)


async def _lift(storage: Storage, company_id: str, platform: str, requester: str) -> int:
    from deskstore.services.erasing import lift_suppression

    was_kept_out = await lift_suppression(storage, company_id, platform, requester)
    if shared().as_json:
        print_json({"company": company_id, "platform": platform, "lifted": was_kept_out})
    elif was_kept_out:
        click.echo("lifted: the requester's tickets are let in again; what was removed comes back with the next import that has it")
    if not was_kept_out:
        tell(f"no tickets of that requester are kept out of company {company_id!r} on {platform!r}")
    return OK if was_kept_out else FAILED


async def _agree_to_erase_requester(storage: Storage, company_id: str, platform: str, requester: str) -> None:
    from deskstore.services.erasing import erase_requester

    foreseen = await erase_requester(storage, company_id, platform, requester, dry_run=True)
    if foreseen is None:
        return
    much = f"{counted(foreseen.tickets, 'ticket', 'tickets')} and {counted(foreseen.summaries, 'summary', 'summaries')}"
    agree(company_id, f"{much} of that requester in company {company_id!r} would be erased, and no import brings them back")


async def _agree_to_erase(storage: Storage, company_id: str) -> None:
    from deskstore.services.companies import get_platform_stats

    stats = await get_platform_stats(storage, company_id)
    tickets, articles = sum(one.tickets for one in stats), sum(one.articles for one in stats)
    much = f"{counted(tickets, 'ticket', 'tickets')} and {counted(articles, 'article', 'articles')}"
    agree(company_id, f"company {company_id!r} with {much} would be erased, and nothing brings it back")


def agree(company_id: str, what: str) -> None:
    """Ask for the company's name; raises UsageError when nobody can answer, or the answer is another one."""
    if not on_terminal(sys.stdin):
        raise click.UsageError(f"{what}: add --yes if that is meant")
    if click.prompt(f"deskstore: {what}. Type the company's name to go on", err=True) != company_id:
        raise click.UsageError(f"{what}, and that is not its name: nothing was erased")


def _unknown(company_id: str) -> int:
    tell(f"there is no company {company_id!r}: deskstore company list")
    return FAILED


def _print_requester_receipt(receipt: RequesterReceipt, *, dry_run: bool) -> None:
    if shared().as_json:
        print_json(_requester_shown(receipt, dry_run=dry_run))
    else:
        print_table(
            ["WOULD BE REMOVED" if dry_run else "REMOVED", "#NUMBER"], [("tickets", receipt.tickets), ("summaries", receipt.summaries)]
        )
        if receipt.digest is not None:
            click.echo(f"\nkept out since {cell(receipt.kept_out_since)} UTC; what stays of the requester: {receipt.digest}")
        print_not_reached(receipt.not_reached)
    for key in receipt.not_examined:
        tell(f"{key} is damaged, so that nobody knows whose it is: deskstore doctor, then run the same command again")
    if not receipt.tickets:
        tell("no ticket of that requester is kept: if there should be one, see what it is called with `deskstore ticket get --envelope`")
    if dry_run:
        tell("nothing was removed: this was a dry run")


def _requester_shown(receipt: RequesterReceipt, *, dry_run: bool) -> Shown:
    return {
        "company": receipt.company_id,
        "platform": receipt.platform,
        "digest": receipt.digest,
        "kept_out_since": moment(receipt.kept_out_since),
        "removed": {"tickets": receipt.tickets, "summaries": receipt.summaries},
        "not_examined": [{"platform": key.platform, "id": key.id} for key in receipt.not_examined],
        "not_reached": [*receipt.not_reached],
        "dry_run": dry_run,
    }


def _print_receipt(receipt: Receipt) -> None:
    erasure = receipt.erasure
    shown = _shown(erasure)
    if shared().as_json:
        print_json({"company": receipt.company_id, **shown, "not_reached": [*receipt.not_reached]})
        return
    print_table(["REMOVED", "#NUMBER"], shown["removed"].items())
    click.echo(f"\nerased {cell(erasure.erased_at)} UTC, in epoch {erasure.epoch}; SHA-256 of the name: {erasure.company_hash}")
    print_not_reached(receipt.not_reached)


def print_not_reached(places: Sequence[str]) -> None:
    """What may still hold what was erased, a line each."""
    click.echo("not reached, see to them yourself:")
    for place in places:
        click.echo(f"- {place}")


def _shown(erasure: Erasure) -> Shown:
    from attrs import asdict  # for who erases alone

    return {
        "hash": erasure.company_hash,
        "epoch": erasure.epoch,
        "erased_at": moment(erasure.erased_at),
        "removed": asdict(erasure.removed),
    }


def _row(erasure: Erasure) -> tuple[object, ...]:
    removed = erasure.removed
    return (erasure.erased_at, erasure.company_hash[:SHORT], erasure.epoch, removed.tickets, removed.articles, removed.summaries)
