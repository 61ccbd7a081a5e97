"""`deskstore cache`: of what use the cache is, and ending what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import click

from deskstore.cli.failures import OK, UNAVAILABLE, tell
from deskstore.cli.output import print_json, print_table
from deskstore.cli.shared import Group, company_option, one_company_option, shared

if TYPE_CHECKING:
    from deskstore.domain.ports import Caching, Storage

NAMES: Final = ("hits", "misses", "bypasses", "errors")


@click.group("cache", cls=Group)
def command() -> None:
    """The cache before PostgreSQL, which REDIS_URL turns on."""


@command.command("stats")
@one_company_option
def stats_command(company_id: str | None) -> int:
    """Show whether the cache answers, and how often it was of use to each company."""

    async def work(storage: Storage) -> int:
        cache = _cache(storage)
        state = await cache.cache_state()
        companies = [company_id] if company_id else await storage.companies()
        counts = {one: await cache.cache_counts(one) for one in companies} if state.is_answering else {}
        if shared().as_json:
            told = {"place": state.place, "answers": state.is_answering, "detail": state.detail}
            print_json({"cache": told, "companies": [{"company": one, **found} for one, found in counts.items()]})
        else:
            click.echo(f"cache: {state}")
            _print(counts)
        return OK if state.is_answering else UNAVAILABLE

    return shared().run(work)


@command.command("flush")
@company_option
def flush_command(company_id: str) -> int:
    """End all that is cached of a company; nothing is lost by it."""

    async def work(storage: Storage) -> int:
        await _cache(storage).flush_cache(company_id)
        if shared().as_json:
            print_json({"company": company_id, "flushed": True})
        else:
            tell(f"nothing that was cached of {company_id!r} counts any more")
        return OK

    return shared().run(work)


def _cache(storage: Storage) -> Caching:
    """The storage as one with a cache; raises ConfigurationError where it has none."""
    from deskstore.domain.errors import ConfigurationError
    from deskstore.domain.ports import Caching

    for one in (storage, getattr(storage, "far", None)):  # of files and PostgreSQL at once, the cache stands before PostgreSQL
        if isinstance(one, Caching):
            return one
    raise ConfigurationError("there is no cache: it stands before PostgreSQL, so set STORAGE_TYPE=postgresql, and REDIS_URL=redis://host")


def _print(counts: Mapping[str, Mapping[str, int]]) -> None:
    rows = [(company_id, *(found[name] for name in NAMES), _ratio(found)) for company_id, found in counts.items()]
    print_table(["COMPANY", *(f"#{name.upper()}" for name in NAMES), "#HIT"], rows)


def _ratio(found: Mapping[str, int]) -> str | None:
    """Which part of what was asked for came from the cache, in per cent."""
    total = sum(found.values())
    return f"{100 * found['hits'] / total:.0f} %" if total else None
