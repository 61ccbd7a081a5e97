"""Every platform without a table of its own: the names that most exports use, each of which an option can change."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from deskstore.formats.platforms.mapping import FieldMap, paths
from deskstore.formats.platforms.shapes import Shape

TICKET: Final = FieldMap(
    id=paths("id", "ticket_id"),
    subject=paths("subject", "title", "name"),
    status=paths("status", "state"),
    priority=paths("priority"),
    requester=paths("requester_id", "requester", "customer_id"),
    created_at=paths("created_at", "createdAt", "created", "created_datetime"),
    updated_at=paths("updated_at", "updatedAt", "updated", "updated_datetime"),
    version=paths("updated_at", "updatedAt", "updated", "updated_datetime"),
    locale=paths("locale", "language"),
    all_is_text=True,
)

ARTICLE: Final = evolve(TICKET, id=paths("id", "article_id"), subject=paths("title", "subject", "name"))

SHAPES: Final = (
    Shape(kind="ticket", what="a ticket", needs=("subject",), one_of=("status", "description", "requester_id"), lacks=("ticket_id",)),
    Shape(kind="article", what="an article", needs=("title", "body"), lacks=("ticket_id",)),
)
