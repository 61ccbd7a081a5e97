"""company.json: what a company's directory says of itself, for whoever finds its database lost."""

from __future__ import annotations

import json  # and no faster one: such a file is small, and who asks only which companies there are starts without another
from typing import TYPE_CHECKING, NamedTuple, cast

from deskstore.adapters.file import layout
from deskstore.adapters.file.tree import StrangerInTree, Tree
from deskstore.domain.errors import ConfigurationError
from deskstore.domain.things import CompanyState, plain_state, state_from

if TYPE_CHECKING:
    from deskstore.domain.payloads import Parsed


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
        value = _value(body)
        if value["layout"] > layout.LAYOUT:
            raise newer_layout(tree.path, value["layout"])
        company_id, store_id, plain = value["company"], value["store_id"], value["state"]
        if not (isinstance(company_id, str) and isinstance(store_id, str) and isinstance(plain, dict)):
            return None
        state = state_from(cast("Parsed", plain), f"{tree.path}/{layout.COMPANY_FILE}")
        return CompanyFile(company_id=company_id, store_id=store_id, state=state)
    except (KeyError, TypeError, ValueError):
        return None


def company_named(tree: Tree) -> str | None:
    """The company that a company.json names, whatever release wrote it; None when it names none."""
    try:
        value = _value(tree.read(layout.COMPANY_FILE) or b"{}")
    except (ValueError, StrangerInTree):
        return None
    company_id = value.get("company")
    return company_id if isinstance(company_id, str) else None


def _value(body: bytes) -> Parsed:
    """What a company.json holds; raises ValueError when it is no JSON object in UTF-8, or holds text that is none."""
    try:
        value = json.loads(body.decode())
    except RecursionError as error:
        raise ValueError("it is too deep") from error
    if not isinstance(value, dict):
        raise ValueError("it is no object")
    json.dumps(value, ensure_ascii=False).encode()  # which refuses lone surrogates
    return cast("Parsed", value)


def write_company_file(tree: Tree, said: CompanyFile) -> None:
    """Keep it durably; a lost database is rebuilt from it."""
    value = {"layout": layout.LAYOUT, "company": said.company_id, "store_id": said.store_id, "state": plain_state(said.state)}
    body = f"{json.dumps(value, indent=2, ensure_ascii=False)}\n"
    tree.replace_many({layout.COMPANY_FILE: body.encode()})
    tree.make_durable([layout.COMPANY_FILE])


def newer_layout(place: str, number: int) -> ConfigurationError:
    """What to raise for a layout that this release does not know."""
    return ConfigurationError(f"{place} has layout {number}: this release reads {layout.LAYOUT}; use a newer deskstore")
