"""`deskstore summaries`: what was written of tickets and articles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import click

from deskstore.cli.absent import why_nothing
from deskstore.cli.failures import OK, tell
from deskstore.cli.kinds import kind_option
from deskstore.cli.output import moment, print_long_json, print_long_table
from deskstore.cli.shared import Group, company_option, platform_option, shared

if TYPE_CHECKING:
    from deskstore.cli.records import Shown
    from deskstore.domain.identifiers import Kind
    from deskstore.domain.ports import Storage
    from deskstore.domain.summaries import StaleSummary

EXAMPLES: Final = """\b
Examples:
  deskstore summaries stale --company acme
  deskstore summaries stale --company acme --platform zendesk --kind articles --json
"""


@click.group("summaries", cls=Group)
def command() -> None:
    """What was written of tickets and articles."""


@command.command("stale", epilog=EXAMPLES)
@company_option
@platform_option(required=False)
@kind_option("Those of tickets or of articles alone.")
def stale_command(company_id: str, platform: str | None, kind: Kind | None) -> int:
    """List records whose current summary was written of another text than they have now."""

    async def work(storage: Storage) -> int:
        stale = _stale(storage, company_id, platform, kind)
        if shared().as_json:
            await print_long_json("summaries", (_stale_shown(one) async for one in stale))
            return OK
        headings = ["PLATFORM", "KIND", "ID", "LOCALE", "#SUMMARY", "MODEL", "PROMPT", "WRITTEN"]
        if not await print_long_table(headings, (_row(one) async for one in stale)):
            tell(await why_nothing(storage, company_id, platform) or "no summary is stale")
        return OK

    return shared().run(work)


async def _stale(storage: Storage, company_id: str, platform: str | None, kind: Kind | None) -> AsyncIterator[StaleSummary]:
    from deskstore.services.summaries import stale_summaries

    async for one in stale_summaries(storage, company_id, platform):
        if kind in (None, one.key.kind):
            yield one


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
