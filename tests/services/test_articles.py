"""Articles through their use cases."""

import pytest

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import ArticleNotFound
from deskstore.domain.receiving import CREATED, UNCHANGED
from deskstore.services.articles import (
    delete_article,
    find_article,
    get_article,
    list_article_locales,
    list_articles,
    save_article,
    save_articles,
)

ACME = "acme"


async def test_translations_that_share_an_id_are_kept_apart(storage: MemoryStorage) -> None:
    received = await save_articles(storage, ACME, "zendesk", [{"id": 1, "locale": "en-us"}, {"id": 1, "locale": "ko"}])

    assert [one.outcome for one in received] == [CREATED, CREATED]
    assert await list_article_locales(storage, ACME, "zendesk", "1") == ["en-us", "ko"]


async def test_a_locale_that_is_given_counts_and_the_payload_stays(storage: MemoryStorage) -> None:
    payload = b'{"id": 1, "title": "How"}'

    await save_article(storage, ACME, "generic", payload, locale="fr")

    assert (await get_article(storage, ACME, "generic", "1", "fr")).payload == payload
    assert await find_article(storage, ACME, "generic", "1") is None


async def test_an_article_of_equal_value_is_unchanged(storage: MemoryStorage) -> None:
    await save_article(storage, ACME, "generic", b'{ "id": 1 }')

    assert (await save_article(storage, ACME, "generic", {"id": 1})).outcome is UNCHANGED


async def test_a_missing_article_is_an_error_that_names_it(storage: MemoryStorage) -> None:
    with pytest.raises(ArticleNotFound, match=r"article '1' \(ko\) on 'generic'"):
        await get_article(storage, ACME, "generic", "1", "ko")
    with pytest.raises(ArticleNotFound):
        await delete_article(storage, ACME, "generic", "1", "ko")


async def test_one_locale_is_deleted_and_the_others_stay(storage: MemoryStorage) -> None:
    await save_articles(storage, ACME, "zendesk", [{"id": 1, "locale": "en-us"}, {"id": 1, "locale": "ko"}])

    await delete_article(storage, ACME, "zendesk", "1", "ko")

    page = await list_articles(storage, ACME, "zendesk")
    assert [(article.article_id, article.locale) for article in page.items] == [("1", "en-us")]
