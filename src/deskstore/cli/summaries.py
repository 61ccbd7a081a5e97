"""`deskstore summaries`: what was written of tickets and articles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from deskstore.cli.absent import why_nothing
from deskstore.cli.failures import OK, tell
from deskstore.cli.kinds import kind_option
from deskstore.cli.output import moment, print_json, print_long_json, print_long_table, print_table
from deskstore.cli.shared import Group, company_option, platform_option, shared

if TYPE_CHECKING:
    from deskstore.cli.records import Shown
    from deskstore.domain.identifiers import Kind
    from deskstore.domain.ports import Storage
    from deskstore.domain.records import Article, Ticket
    from deskstore.domain.summaries import StaleSummary, Summary

EXAMPLES: Final = """\b
Examples:
  deskstore summaries stale --company acme
  deskstore summaries stale --company acme --platform zendesk --kind articles --json
  deskstore summaries stale --company acme --model short-2
"""
HISTORY_EXAMPLES: Final = """\b
Examples:
  deskstore summaries history 42 --company acme --platform freshdesk
  deskstore summaries history 7 --kind articles --locale ko --company acme --platform zendesk --json
"""


@click.group("summaries", cls=Group)
def command() -> None:
    """What was written of tickets and articles."""


@command.command("stale", epilog=EXAMPLES)
@company_option
@platform_option(required=False)
@kind_option("Those of tickets or of articles alone.")
@click.option("--model", metavar="TEXT", help="With those that another model wrote, too.")
@click.option("--prompt-id", metavar="TEXT", help="With those that were written with another prompt, too.")
def stale_command(company_id: str, platform: str | None, kind: Kind | None, model: str | None, prompt_id: str | None) -> int:
    """List records whose current summary was written of another text than they have now."""

    async def work(storage: Storage) -> int:
        from deskstore.services.summaries import stale_summaries

        found = stale_summaries(storage, company_id, platform, model=model, prompt_id=prompt_id)
        stale = (one async for one in found if kind in (None, one.key.kind))
        if shared().as_json:
            await print_long_json("summaries", (_stale_shown(one) async for one in stale))
            return OK
        headings = ["PLATFORM", "KIND", "ID", "LOCALE", "#SUMMARY", "MODEL", "PROMPT", "WRITTEN"]
        if not await print_long_table(headings, (_row(one) async for one in stale)):
            tell(await why_nothing(storage, company_id, platform) or "no summary is stale")
        return OK

    return shared().run(work)


@command.command("history", epilog=HISTORY_EXAMPLES)
@click.argument("record_id", metavar="ID")
@company_option
@platform_option(required=True)
@kind_option("What the record is; a ticket, unless said.", default="tickets")
@click.option("--locale", default="", metavar="TEXT", help="Which language of an article.")
def history_command(record_id: str, company_id: str, platform: str, kind: Kind, locale: str) -> int:
    """List every summary that was written of a ticket or an article, the first one first."""

    async def work(storage: Storage) -> int:
        from deskstore.domain import summaries
        from deskstore.services.summaries import summary_history

        record = await _record(storage, company_id, kind, platform, record_id, locale)
        found = await summary_history(storage, company_id, record.key)
        current = summaries.current(found)
        rows = [_History(one, one is current, one.is_stale(record.fields.text_digest)) for one in found]
        if shared().as_json:
            of = {"kind": kind, "platform": platform, "id": record_id, "locale": locale}
            print_json({**of, "summaries": [_history_shown(row) for row in rows]})
            return OK
        print_table(
            ["#SUMMARY", "STANDING", "MODEL", "PROMPT", "#TOKENS", "WRITTEN", "CONTENT"], map(_history_row, rows), ends_in_text=True
        )
        if not rows:
            tell(f"nothing was written of {record.key}")
        return OK

    return shared().run(work)


class _History(NamedTuple):
    summary: Summary
    is_current: bool
    is_stale: bool


async def _record(storage: Storage, company_id: str, kind: Kind, platform: str, record_id: str, locale: str) -> Ticket | Article:
    from deskstore.services.articles import get_article
    from deskstore.services.tickets import get_ticket

    if kind == "article":
        return await get_article(storage, company_id, platform, record_id, locale)
    if locale:
        raise click.UsageError("--locale is of articles: a ticket has none", click.get_current_context())
    return await get_ticket(storage, company_id, platform, record_id)


def _history_row(row: _History) -> list[object]:
    one = row.summary
    standing = [name for name, holds in (("current", row.is_current), ("pinned", one.pinned), ("stale", row.is_stale)) if holds]
    return [one.number, ", ".join(standing) or None, one.model, one.prompt_id, one.tokens, one.created_at, one.content.decode()]


def _history_shown(row: _History) -> Shown:
    one = row.summary
    return {
        "summary": one.number,
        "current": row.is_current,
        "stale": row.is_stale,
        "pinned": one.pinned,
        "model": one.model,
        "prompt_id": one.prompt_id,
        "parameters": json.loads(one.parameters),
        "tokens": one.tokens,
        "cost": one.cost,
        "written_at": moment(one.created_at),
        "content": json.loads(one.content),
    }


def _row(stale: StaleSummary) -> list[object]:
    key, summary = stale.key, stale.summary
    return [key.platform, key.kind, key.id, key.locale or None, summary.number, summary.model, summary.prompt_id, summary.created_at]


def _stale_shown(stale: StaleSummary) -> Shown:
    key, summary = stale.key, stale.summary
    return {
        "kind": key.kind,
        "platform": key.platform,
        "id": key.id,
        "locale": key.locale,
        "summary": summary.number,
        "model": summary.model,
        "prompt_id": summary.prompt_id,
        "pinned": summary.pinned,
        "written_at": moment(summary.created_at),
    }
