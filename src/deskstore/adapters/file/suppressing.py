"""
suppressions.json: the requesters whose tickets are kept out, for whoever finds the database lost.

It is written durably before the commit that it is of, so that no lost database ever lets somebody in again who was erased.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from deskstore.adapters.file import layout
from deskstore.adapters.file.tree import Tree
from deskstore.domain.errors import StorageUnavailable
from deskstore.domain.suppressions import Suppression, SuppressionName

if TYPE_CHECKING:
    from deskstore.adapters.file.company import OpenCompany
    from deskstore.adapters.file.index import Index
    from deskstore.adapters.file.reads import Reader

_AT_ONCE: Final = 1_000


def write(company: OpenCompany) -> None:
    """Write down all that the caller's transaction leaves."""
    plain = [_plain(one) for one in _all(company.index)]
    body = orjson.dumps({"layout": layout.LAYOUT, "suppressions": plain}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    company.tree.replace_many({layout.SUPPRESSIONS: body})
    company.tree.make_durable([layout.SUPPRESSIONS])


def take(tree: Tree, index: Index) -> int:
    """
    Keep what the file says in a new database, and say how much that is.

    Raises:
        StorageUnavailable: It does not say it any more.
    """
    body = tree.read(layout.SUPPRESSIONS)
    if body is None:
        return 0
    try:
        found = [_suppression(plain) for plain in orjson.loads(body)["suppressions"]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StorageUnavailable(
            f"{tree.path}/{layout.SUPPRESSIONS} does not say any more which erased requesters' tickets are kept out, and the database is "
            "lost: restore the file, or remove it and erase those requesters once more"
        ) from error
    for one in found:
        index.put_suppression(one)
    return len(found)


def mend(company: OpenCompany) -> None:
    """Write the file again if somebody removed it."""
    if company.tree.read(layout.SUPPRESSIONS) is None:
        write(company)


class FileSuppressions:
    """The requesters of one company whose tickets are kept out, on files."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def secrets(self) -> Collection[bytes]:
        """The secrets under which they are hashed."""
        return await self._reader.read(lambda _, index: index.secrets()) or ()

    async def find_many(self, names: Collection[SuppressionName]) -> Mapping[SuppressionName, Suppression]:
        """Those among these suppressions that exist."""
        return await self._reader.read(lambda _, index: index.suppressions_named(names)) or {}


def _all(index: Index) -> list[Suppression]:
    found: list[Suppression] = []
    after = None
    while names := index.suppressions(after=after, limit=_AT_ONCE):
        found += index.suppressions_named(SuppressionName(thing.platform, thing.id) for thing in names).values()
        after = names[-1]
    return found


def _plain(one: Suppression) -> dict[str, object]:
    return {
        "platform": one.platform,
        "digest": one.digest,
        "secret": one.secret.hex(),
        "created_at": one.created_at,
        "tickets": one.tickets,
        "summaries": one.summaries,
        "version": one.version,
    }


def _suppression(plain: Mapping[str, Any]) -> Suppression:
    # Any: whatever was written
    return Suppression(
        platform=str(plain["platform"]),
        digest=str(plain["digest"]),
        secret=bytes.fromhex(plain["secret"]),
        created_at=datetime.fromisoformat(plain["created_at"]),
        tickets=int(plain["tickets"]),
        summaries=int(plain["summaries"]),
        version=int(plain["version"]),
    )
