"""What `ticket list` and `kb list` have in common: filters, pages and the way from one to the next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import click
from click.decorators import FC

from deskstore.cli.failures import tell

PAGE: Final = 20
TIMES: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


def list_options(function: FC) -> FC:
    """--status, --created-from, --created-to, --limit and --after."""
    for option in (
        click.option("--after", metavar="CURSOR", help="Go on behind an earlier page."),
        click.option("--limit", type=click.IntRange(1, 1_000), default=PAGE, show_default=True, help="How many."),
        click.option("--created-to", type=click.DateTime(TIMES), metavar="TIME", help="Those created before this moment (UTC)."),
        click.option("--created-from", type=click.DateTime(TIMES), metavar="TIME", help="Those created at this moment (UTC) or later."),
        click.option("--status", metavar="TEXT", help="Those with this status, as the platform writes it (Freshdesk: 2, 3, 4, 5)."),
    ):
        function = option(function)
    return function


def in_utc(value: datetime | None) -> datetime | None:
    """A time as it was typed, which means UTC."""
    return None if value is None else value.replace(tzinfo=UTC)


def tell_next(cursor: str | None) -> None:
    """Say on stderr how to go on, where there is more."""
    if cursor is not None:
        tell(f"there are more: add --after {cursor}")
