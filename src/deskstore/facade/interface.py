"""The nine operations, for code that is handed something that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from deskstore.domain.payloads import Parsed


@runtime_checkable
class StorageInterface(Protocol):
    """What DictStorage does, in words that anything with the same nine methods matches; every company is sealed off from the others."""

    async def save_ticket(self, company_id: str, platform: str, ticket_data: Parsed) -> str:
        """Keep a ticket, and give its id back."""
        ...

    async def get_ticket(self, company_id: str, platform: str, ticket_id: str) -> Parsed | None:
        """The ticket, or None when there is none."""
        ...

    async def list_tickets(
        self, company_id: str, platform: str | None = None, status: str | None = None, limit: int = 100, offset: int = 0
    ) -> list[Parsed]:
        """At most limit tickets behind the first offset ones, those created last first."""
        ...

    async def update_processing_status(self, company_id: str, platform: str, ticket_id: str, status: str) -> bool:
        """Set how far a ticket has come; False when there is no such ticket."""
        ...

    async def save_summary(self, company_id: str, platform: str, item_id: str, summary_data: Parsed) -> bool:
        """Keep a summary of a ticket or an article; False when there is neither."""
        ...

    async def get_processing_progress(self, company_id: str, platform: str) -> Parsed:
        """How many tickets of a platform there are, and how many of them are done."""
        ...

    async def save_kb_article(self, company_id: str, platform: str, article_data: Parsed) -> str:
        """Keep a knowledge-base article, and give its id back."""
        ...

    async def list_companies(self) -> list[str]:
        """Every registered company, ascending."""
        ...

    async def get_platform_stats(self, company_id: str) -> dict[str, dict[str, int]]:
        """How many records there are, by platform."""
        ...
