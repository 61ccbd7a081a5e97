"""What `ticket list` and `kb list` have in common: filters, pages and the way from one to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypedDict

import click
from click.decorators import FC

from deskstore.cli.absent import why_nothing
from deskstore.cli.failures import OK, tell
from deskstore.cli.output import print_json, print_table
from deskstore.cli.shared import company_option, platform_option, shared

if TYPE_CHECKING:
    from deskstore.cli.records import Shown
    from deskstore.domain.identifiers import Kind
    from deskstore.domain.ports import Storage

PAGE: Final = 20


class Asked(TypedDict):
    """What a list was asked for, by the names that list_tickets() and list_articles() have for it."""

    company_id: str
    platform: str | None
    status: str | None
    created_from: datetime | None
    created_to: datetime | None
    limit: int
    after: str | None


class _PageSize(click.IntRange):
    name = "number from 1 to 1,000"


class _Moment(click.ParamType[datetime]):
    name = "time"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            typed = datetime.fromisoformat(value) if isinstance(value, str) else value
            return (typed if typed.tzinfo else typed.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time: write it as 2026-11-20 or 2026-11-20T09:00:00Z", param, ctx)


def list_options(kind: Kind) -> Callable[[FC], FC]:
    """--company, --platform, --status, --created-from, --created-to, --limit and --after."""

    def options(function: FC) -> FC:
        for option in (
            click.option("--after", metavar="CURSOR", callback=_cursor_of(kind), help="Go on behind an earlier page."),
            click.option("--limit", type=_PageSize(1, 1_000), default=PAGE, show_default=True, help="How many."),
            click.option("--created-to", type=_Moment(), metavar="TIME", help="Those created before this moment (UTC)."),
            click.option("--created-from", type=_Moment(), metavar="TIME", help="Those created at this moment (UTC) or later."),
            click.option("--status", metavar="TEXT", help="Those with this status, as the platform writes it (Freshdesk: 2, 3, 4, 5)."),
            platform_option(required=False),
            company_option,
        ):
            function = option(function)
        return function

    return options


def _cursor_of(kind: Kind) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    def checked(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        if value is None or context.resilient_parsing:
            return value
        from deskstore.domain.errors import InvalidRecord
        from deskstore.domain.paging import position

        try:
            position(kind, value)
        except InvalidRecord as error:
            raise click.BadParameter(
                f"{value[:40]!a} is not a cursor of this list: give the one that its last page named", context, parameter
            ) from error
        return value

    return checked


async def print_page(
    storage: Storage,
    asked: Asked,
    shown: Mapping[str, Sequence[Shown]],
    following: str | None,
    headings: Sequence[str],
    rows: Sequence[Sequence[object]],
) -> int:
    """Print a page, say how to go on or why it is empty, and give the exit code."""
    if shared().as_json:
        print_json({**shown, "next": following})
        return OK
    print_table(headings, rows, ends_in_text=True)
    if following is not None:
        tell(f"there are more: add --after {following}")
    elif not rows and (reason := await why_nothing(storage, asked["company_id"], asked["platform"])):
        tell(reason)
    return OK
