"""Identifiers that lead elsewhere in a careless storage."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from random import Random
from typing import Final

from deskstore.adapters.file import FileStorage
from deskstore.domain.errors import InvalidIdentifier
from deskstore.domain.identifiers import ticket_key
from deskstore.testing.makers import a_ticket
from tests.chaos.parts import Finding, Orders

_PIECES: Final = (
    *("..", "/", "\\", ".", "~", "%2e", "%2F", ":", "|", "?", "*", "<", '"', "'", ";", "$(id)", "`", "&", "-rf", "0", "00", "1e5"),
    *("con", "NUL", "aux.json", "COM1", ".json", ".deskstore", "state.sqlite3", "company.json", "tmp", "x y", "x" * 60),
    *("A", "a", "é", "e\u0301", "ﬁ", "ß", "SS", "İ", "ı", "한", "\u1112\u1161\u11ab", "🙂", "½", "\u212a", "\u212b"),
    *("\u00a0x", "\u200b", "\u202e", "\ufeff"),
)
_UNIT: Final = 500


def keep_hostile_names(folder: Path, orders: Orders) -> Finding:
    """Save tickets under random hostile names: each is found under its own, and nothing leaves the company's directory."""
    return asyncio.run(_keep(folder, _names(Random(orders.seed), 10_000)))


def _names(random: Random, n: int) -> list[str]:
    drawn = dict.fromkeys("".join(random.choices(_PIECES, k=random.randint(1, 6)))[:255] for _ in range(2 * n))
    return [name for name in drawn if _is_allowed(name)][:n]


def _is_allowed(name: str) -> bool:
    try:
        ticket_key("freshdesk", name)
    except InvalidIdentifier:
        return False
    return True


async def _keep(folder: Path, names: list[str]) -> Finding:
    storage, data = FileStorage(folder / "data"), folder / "data"
    for first in range(0, len(names), _UNIT):
        async with storage.unit_of_work("../acme") as uow:
            for name in names[first : first + _UNIT]:
                uow.tickets.save(a_ticket(name, text=name))
            await uow.commit()
    async with storage.unit_of_work("../acme") as uow:
        found = {ticket.ticket_id: ticket.data async for ticket in uow.tickets.stream()}
    await storage.aclose()
    wrong = [f"{name!r} is {found.get(name)}" for name in names if name not in found or found[name]["description"] != name]
    extra = [f"{name!r} was never saved" for name in found.keys() - set(names)]
    companies = [name for name in os.listdir(data) if not name.startswith(".")]
    outside = [f"beside the company: {os.listdir(folder)}, {companies}"] if os.listdir(folder) != ["data"] or len(companies) != 1 else []
    return Finding(states=len(names), failures=[*wrong, *extra, *outside])
