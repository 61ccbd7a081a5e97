"""`deskstore ticket`: list tickets, get one, and say how far it has come."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Unpack

import click

from deskstore.cli.failures import FAILED, OK, tell
from deskstore.cli.listing import Asked, list_options, print_page
from deskstore.cli.output import cell, on_terminal, print_json, print_table
from deskstore.cli.records import processing_shown, ticket_shown
from deskstore.cli.shared import Group, company_option, platform_option, shared
from deskstore.domain.identifiers import TICKET

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage
    from deskstore.domain.processing import Processing

STATUSES: Final = ("pending", "processing", "completed", "failed")
LIST_EXAMPLES: Final = """\b
Examples:
  deskstore ticket list --company acme --platform freshdesk --status 2
  deskstore ticket list --company acme --processing failed --json
"""
GET_EXAMPLES: Final = """\b
Examples:
  deskstore ticket get 42 --company acme --platform freshdesk
  deskstore ticket get 42 --company acme --platform freshdesk --envelope
"""
SET_EXAMPLES: Final = """\b
Examples:
  deskstore ticket set-status 42 completed --company acme --platform freshdesk
  deskstore ticket set-status 42 pending --company acme --platform freshdesk --json
"""


@click.group("ticket", cls=Group)
def command() -> None:
    """Tickets."""


@command.command("list", epilog=LIST_EXAMPLES)
@click.option("--processing", type=click.Choice(STATUSES), help="Those whose processing has come so far.")
@list_options(TICKET)
def list_command(processing: str | None, **asked: Unpack[Asked]) -> int:
    """List tickets, those created last first."""

    async def work(storage: Storage) -> int:
        from deskstore.domain.processing import ProcessingStatus
        from deskstore.services.processing import find_processing
        from deskstore.services.tickets import list_tickets

        page = await list_tickets(storage, **asked, processing=ProcessingStatus(processing) if processing else None)
        found = await find_processing(storage, asked["company_id"], [ticket.key for ticket in page.items])
        headings = ["PLATFORM", "ID", "STATUS", "PROCESSING", "CREATED", "SUBJECT"]
        rows = [
            (one.platform, one.ticket_id, one.fields.status, found[one.key].status, one.fields.created_at, one.fields.subject)
            for one in page.items
        ]
        shown = {"tickets": [ticket_shown(ticket, found.get(ticket.key)) for ticket in page.items]}
        return await print_page(storage, asked, shown, page.next, headings, rows)

    return shared().run(work)


@command.command("get", epilog=GET_EXAMPLES)
@click.argument("ticket_id", metavar="ID")
@company_option
@platform_option(required=True)
@click.option("--envelope", is_flag=True, help="What deskstore knows of it, instead of the payload.")
def get_command(ticket_id: str, company_id: str, platform: str, envelope: bool) -> int:
    """Print a ticket's payload, byte for byte as the platform sent it."""

    async def work(storage: Storage) -> int:
        from deskstore.services.processing import find_processing
        from deskstore.services.tickets import get_ticket

        ticket = await get_ticket(storage, company_id, platform, ticket_id)
        if envelope or shared().as_json:
            found = await find_processing(storage, company_id, [ticket.key])
            print_json(ticket_shown(ticket, found.get(ticket.key)))
        else:
            print_payload(ticket.payload)
        return OK

    return shared().run(work)


@command.command("set-status", epilog=SET_EXAMPLES)
@click.argument("ticket_id", metavar="ID")
@click.argument("status", type=click.Choice(STATUSES), metavar="|".join(STATUSES))
@company_option
@platform_option(required=True)
def set_status_command(ticket_id: str, status: str, company_id: str, platform: str) -> int:
    """Set how far the processing of a ticket has come that no worker holds; the status it has already changes nothing."""
    shared().if_interrupted = "interrupted: the status may be set or not; run the same command again"

    async def work(storage: Storage) -> int:
        from deskstore.domain.errors import ClaimLost
        from deskstore.services.processing import get_processing, update_processing_status

        try:
            processing = await update_processing_status(storage, company_id, platform, ticket_id, status)
        except ClaimLost:
            tell(_held(await get_processing(storage, company_id, platform, ticket_id)))
            return FAILED
        _print_processing(processing)
        return OK

    return shared().run(work)


def _held(processing: Processing) -> str:
    claim = processing.claim
    if claim is None:
        return f"{processing.key} was held by a worker a moment ago: run the same command again"
    by = f"{processing.key} is held by worker {claim.worker!r} until {cell(claim.lease_until)} UTC"
    return f"{by}, and nobody else may set its status: wait until the worker is done, or the lease over"


def _print_processing(processing: Processing) -> None:
    key = processing.key
    if shared().as_json:
        print_json({"platform": key.platform, "id": key.id, "processing": processing_shown(processing)})
    else:
        print_table(["PLATFORM", "ID", "PROCESSING", "CHANGED"], [(key.platform, key.id, processing.status, processing.changed_at)])


def print_payload(payload: bytes) -> None:
    """The exact bytes, and on a terminal the end of the line."""
    click.echo(payload, nl=on_terminal(sys.stdout))
