"""company.json: what a company's directory says of itself, for whoever finds its database lost."""

from __future__ import annotations

from typing import NamedTuple, cast

import orjson

from deskstore.adapters.file import layout
from deskstore.adapters.file.tree import StrangerInTree, Tree
from deskstore.domain.errors import ConfigurationError
from deskstore.domain.payloads import Parsed
from deskstore.domain.things import CompanyState, plain_state, state_from


class CompanyFile(NamedTuple):
    """Which company this is, in which store, and where it lives."""

    company_id: str
    store_id: str
    state: CompanyState


def read_company_file(tree: Tree) -> CompanyFile | None:
    """What a company's directory says of itself; None when it says nothing, ConfigurationError when a newer deskstore wrote it."""
    try:
        body = tree.read(layout.COMPANY_FILE)
    except StrangerInTree:
        return None
    if body is None:
        return None
    try:
        value = orjson.loads(body)
        if value["layout"] > layout.LAYOUT:
            raise newer_layout(tree.path, value["layout"])
        company_id, store_id, plain = value["company"], value["store_id"], value["state"]
        if not (isinstance(company_id, str) and isinstance(store_id, str) and isinstance(plain, dict)):
            return None
        state = state_from(cast(Parsed, plain), f"{tree.path}/{layout.COMPANY_FILE}")
        return CompanyFile(company_id=company_id, store_id=store_id, state=state)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


def company_named(tree: Tree) -> str | None:
    """The company that a company.json names, whatever release wrote it; None when it names none."""
    try:
        value = orjson.loads(tree.read(layout.COMPANY_FILE) or b"null")
    except (orjson.JSONDecodeError, StrangerInTree):
        return None
    company_id = cast(Parsed, value).get("company") if isinstance(value, dict) else None
    return company_id if isinstance(company_id, str) else None


def write_company_file(tree: Tree, said: CompanyFile) -> None:
    """Keep it durably; a lost database is rebuilt from it."""
    value = {"layout": layout.LAYOUT, "company": said.company_id, "store_id": said.store_id, "state": plain_state(said.state)}
    body = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    tree.replace_many({layout.COMPANY_FILE: body})
    tree.make_durable([layout.COMPANY_FILE])


def newer_layout(place: str, number: int) -> ConfigurationError:
    """What to raise for a layout that this release does not know."""
    return ConfigurationError(f"{place} has layout {number}: this release reads {layout.LAYOUT}; use a newer deskstore")
