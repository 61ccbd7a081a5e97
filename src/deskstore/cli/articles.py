"""`deskstore kb`: list knowledge-base articles, and get one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Unpack

import click

from deskstore.cli.failures import FAILED, OK, tell
from deskstore.cli.listing import Asked, list_options, print_page
from deskstore.cli.output import print_json
from deskstore.cli.records import article_shown
from deskstore.cli.shared import Group, company_option, platform_option, shared
from deskstore.cli.tickets import print_payload
from deskstore.domain.identifiers import ARTICLE

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage

LIST_EXAMPLES: Final = """\b
Examples:
  deskstore kb list --company acme --platform zendesk
  deskstore kb list --company acme --json
"""
GET_EXAMPLES: Final = """\b
Examples:
  deskstore kb get 42 --locale ko --company acme --platform zendesk
  deskstore kb get 42 --company acme --platform freshdesk --envelope
"""


@click.group("kb", cls=Group)
def command() -> None:
    """Knowledge-base articles."""


@command.command("list", epilog=LIST_EXAMPLES)
@list_options(ARTICLE)
def list_command(**asked: Unpack[Asked]) -> int:
    """List articles, those created last first."""

    async def work(storage: Storage) -> int:
        from deskstore.services.articles import list_articles

        page = await list_articles(storage, **asked)
        headings = ["PLATFORM", "ID", "LOCALE", "STATUS", "CREATED", "TITLE"]
        rows = [
            (one.platform, one.article_id, one.locale or None, one.fields.status, one.fields.created_at, one.fields.subject)
            for one in page.items
        ]
        return await print_page(storage, asked, {"articles": [*map(article_shown, page.items)]}, page.next, headings, rows)

    return shared().run(work)


@command.command("get", epilog=GET_EXAMPLES)
@click.argument("article_id", metavar="ID")
@company_option
@platform_option(required=True)
@click.option("--locale", default="", metavar="TEXT", help="Its language, where the article has one.")
@click.option("--envelope", is_flag=True, help="What deskstore knows of it, instead of the payload.")
def get_command(article_id: str, company_id: str, platform: str, locale: str, envelope: bool) -> int:
    """Print an article's payload, byte for byte as the platform sent it."""

    async def work(storage: Storage) -> int:
        from deskstore.domain.errors import ArticleNotFound
        from deskstore.services.articles import get_article, list_article_locales

        try:
            article = await get_article(storage, company_id, platform, article_id, locale)
        except ArticleNotFound as error:
            if not (known := await list_article_locales(storage, company_id, platform, article_id)):
                raise
            tell(f"{error.key} does not exist: it is kept in {', '.join(known)}, so say which with --locale")
            return FAILED
        if envelope or shared().as_json:
            print_json(article_shown(article))
        else:
            print_payload(article.payload)
        return OK

    return shared().run(work)
