"""The schema in partitions by company, made by the very SQL that the page about scale gives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.postgres.preparing import migrations, prepare
from tests.postgres.probes import connected

if TYPE_CHECKING:
    from tests.servers.databases import Database

_PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "scale.md"


async def partition(database: Database) -> None:
    """What somebody does who follows the page."""
    (script,) = re.findall(r"```sql\n(BEGIN;.*?)```", _PAGE.read_text(encoding="utf-8"), re.DOTALL)
    async with connected(database.owner_url) as owner:
        await owner.execute(script)
    await migrations(database).upgrade()


async def prepare_in_partitions(database: Database) -> None:
    """A database that never had anything in it."""
    await prepare(database)
    await partition(database)
