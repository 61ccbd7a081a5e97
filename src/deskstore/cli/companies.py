"""`deskstore company`: whose records are kept, and erasing them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from deskstore.cli.failures import FAILED, OK, tell
from deskstore.cli.output import cell, counted, moment, on_terminal, print_json, print_table
from deskstore.cli.shared import Group, named_company, shared

if TYPE_CHECKING:
    from deskstore.domain.erasures import Erasure
    from deskstore.domain.ports import Storage
    from deskstore.services.companies import Receipt

Shown = dict[str, Any]  # Any: JSON
SHORT: Final = 12  #: digits of a hash that a table shows
ERASE_EXAMPLES: Final = """\b
Examples:
  deskstore company erase acme
  deskstore company erase acme --yes --json > receipt.json
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
            tell(f"there is no company {company_id!r}, and none of that name was ever erased here: deskstore company list")
            return FAILED
        _print_receipt(receipt)
        if not was_there:
            tell(f"company {company_id!r} was erased already: this is the receipt of that time")
        return OK

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


def _print_receipt(receipt: Receipt) -> None:
    shown = {"company": receipt.company_id, **_shown(receipt.erasure), "not_reached": [*receipt.not_reached]}
    if shared().as_json:
        print_json(shown)
        return
    print_table(["REMOVED", "#NUMBER"], shown["removed"].items())
    erasure = receipt.erasure
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
