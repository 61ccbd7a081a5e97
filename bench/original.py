"""
The file storage of the document that deskstore started from, repaired just enough to run.

One open and one write for each file, through aiofiles, without a sync; a listing reads every file. Repaired: the imports; the id, which
Freshdesk calls `id` and which the original would have saved as `None.json`; and how many files a listing holds open at once, which was all
of them: more than a process may have.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiofiles
import orjson

AT_ONCE: Final = 1_000  #: files that a listing reads

Found = dict[str, Any]  # Any: whatever a payload holds


class OriginalStorage:
    """Tickets in files, as the original keeps them."""

    def __init__(self, base_path: Path) -> None:
        self.base_path = base_path
        self.base_path.mkdir(parents=True, exist_ok=True)
        self._open = asyncio.Semaphore(AT_ONCE)

    async def save_ticket(self, company_id: str, platform: str, ticket_data: Found) -> str:
        """Write a ticket's file."""
        company_path = self.base_path / company_id / platform
        company_path.mkdir(parents=True, exist_ok=True)
        ticket_id = ticket_data.get("ticket_id") or ticket_data.get("id")
        file_path = company_path / "tickets" / f"{ticket_id}.json"
        file_path.parent.mkdir(parents=True, exist_ok=True)
        ticket_data.update(
            {"company_id": company_id, "platform": platform, "saved_at": datetime.now(UTC).isoformat(), "storage_type": "file"}
        )
        async with aiofiles.open(file_path, "wb") as file:
            await file.write(orjson.dumps(ticket_data, option=orjson.OPT_INDENT_2))
        return str(file_path)

    async def get_ticket(self, company_id: str, platform: str, ticket_id: str) -> Found | None:
        """Read a ticket's file."""
        file_path = self.base_path / company_id / platform / "tickets" / f"{ticket_id}.json"
        return await self._read(file_path, None) if file_path.exists() else None

    async def list_tickets(self, company_id: str, platform: str, status: object = None, limit: int = 100, offset: int = 0) -> list[Found]:
        """Read every file, filter, sort, and give a part."""
        tickets_path = self.base_path / company_id / platform / "tickets"
        tasks = [self._read(file_path, status) for file_path in tickets_path.glob("*.json")]
        tickets = [found for found in await asyncio.gather(*tasks) if found is not None]
        tickets.sort(key=lambda ticket: ticket.get("created_at", ""), reverse=True)
        return tickets[offset : offset + limit]

    async def _read(self, file_path: Path, status: object) -> Found | None:
        async with self._open, aiofiles.open(file_path, "rb") as file:
            ticket: Found = orjson.loads(await file.read())
        return None if status is not None and ticket.get("status") != status else ticket
