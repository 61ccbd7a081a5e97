"""--kind: tickets or articles, in the singular or the plural."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import click
from click.decorators import FC

_KINDS: Final = {"ticket": "ticket", "tickets": "ticket", "article": "article", "articles": "article"}


def kind_option(help_text: str, default: str | None = None) -> Callable[[FC], FC]:
    """--kind, given as `ticket` or `article`."""
    return click.option("--kind", metavar="[tickets|articles]", default=default, callback=_kind, help=help_text)


def _kind(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None or value in _KINDS:
        return value and _KINDS[value]
    raise click.BadParameter(f"{value!r} is neither tickets nor articles", ctx, parameter)
