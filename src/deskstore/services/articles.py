"""Knowledge-base articles: kept as they came, in each locale, found, listed and removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from deskstore.domain.errors import ArticleNotFound
from deskstore.domain.identifiers import article_key
from deskstore.domain.paging import Filter, Page
from deskstore.domain.records import Article
from deskstore.formats.options import Options
from deskstore.services.removing import delete_record

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage
    from deskstore.domain.receiving import Received
    from deskstore.domain.records import Incoming
    from deskstore.services.receiving import Payload

AS_GIVEN: Final = Options()


async def save_article(
    storage: Storage,
    company_id: str,
    platform: str,
    payload: Payload,
    *,
    locale: str | None = None,
    options: Options = AS_GIVEN,
    force: bool = False,
) -> Received:
    """
    Keep an article as its platform sent it, and say what became of it.

    Args:
        payload: The bytes, which are kept exactly, or their value as a dict, which is not changed.
        locale: Its locale, where the payload does not say it.
        options: Fields that hold something else than the platform's own table says.
        force: Keep it even if the stored one is newer.

    Raises:
        InvalidRecord: It cannot be kept as it is; nothing was.
    """
    return (await save_articles(storage, company_id, platform, [payload], locale=locale, options=options, force=force))[0]


async def save_articles(
    storage: Storage,
    company_id: str,
    platform: str,
    payloads: Iterable[Payload],
    *,
    locale: str | None = None,
    options: Options = AS_GIVEN,
    force: bool = False,
) -> Sequence[Received]:
    """
    Keep many articles in their order, in units of at most 1,000 or 8 MB, each kept whole.

    Raises:
        InvalidRecord: One of them cannot be kept as it is; none was.
    """
    from deskstore.formats import platforms  # who only reads starts without it
    from deskstore.services.receiving import as_bytes, receive_payloads

    def read(payload: Payload) -> Incoming:
        return platforms.article(platform, as_bytes(payload), locale=locale, options=options)

    return await receive_payloads(storage, company_id, payloads, read, force=force)


async def get_article(storage: Storage, company_id: str, platform: str, article_id: str, locale: str = "") -> Article:
    """The article in that locale; raises ArticleNotFound when there is none."""
    found = await find_article(storage, company_id, platform, article_id, locale)
    if found is None:
        raise ArticleNotFound(article_key(platform, article_id, locale))
    return found


async def find_article(storage: Storage, company_id: str, platform: str, article_id: str, locale: str = "") -> Article | None:
    """The article in that locale, or None when there is none."""
    async with storage.unit_of_work(company_id) as uow:
        return await uow.articles.find(platform, article_id, locale)


async def list_article_locales(storage: Storage, company_id: str, platform: str, article_id: str) -> Sequence[str]:
    """The locales an article exists in, ascending."""
    async with storage.unit_of_work(company_id) as uow:
        return await uow.articles.locales(platform, article_id)


async def list_articles(
    storage: Storage,
    company_id: str,
    platform: str | None = None,
    *,
    status: str | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[Article]:
    """
    A page of at most limit (1 to 1,000) articles that pass all filters given, those created last first.

    Args:
        status: The platform's own text.
        after: The `next` of the page before.
    """
    where = Filter(platform=platform, status=status, created_from=created_from, created_to=created_to)
    async with storage.unit_of_work(company_id) as uow:
        return await uow.articles.page(where, after=after, limit=limit)


async def delete_article(storage: Storage, company_id: str, platform: str, article_id: str, locale: str = "") -> None:
    """Remove an article in one locale with its summaries; raises ArticleNotFound when there is none."""
    await delete_record(storage, company_id, article_key(platform, article_id, locale))
