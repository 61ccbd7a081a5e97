"""
Freshdesk: tickets of the API's second and first version, and solution articles.

In the first version `display_id` is the number that the second calls `id`. `description` is text there and HTML here: wherever a
`description_text` exists it is the text.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from deskstore.formats.platforms.mapping import FieldMap, Messages, Path, paths
from deskstore.formats.platforms.shapes import Shape

NAME: Final = "freshdesk"
LABELS: Final = MappingProxyType(
    {"open": "2", "pending": "3", "resolved": "4", "closed": "5", "waiting on customer": "6", "waiting on third party": "7"}
)

_MESSAGE = (paths("body_text", "body", "body_html"),)

TICKET: Final = FieldMap(
    id=paths("display_id", "id", "ticket_id"),
    subject=paths("subject"),
    status=paths("status"),
    priority=paths("priority"),
    requester=paths("requester_id", "requester.id"),
    created_at=paths("created_at"),
    updated_at=paths("updated_at"),
    version=paths("updated_at"),
    body=paths("description_text", "description", "description_html"),
    messages=(
        Messages(each=Path("conversations.*"), texts=_MESSAGE),
        Messages(each=Path("notes.*.note"), texts=(paths("body", "body_html"),)),
    ),
)

ARTICLE: Final = FieldMap(
    id=paths("id", "article_id"),
    subject=paths("title"),
    status=paths("status"),
    requester=paths("agent_id"),
    created_at=paths("created_at"),
    updated_at=paths("updated_at"),
    version=paths("updated_at"),
    locale=paths("hierarchy.*.data.language", "language"),
    body=paths("description_text", "description"),
)

_ADVICE = "messages belong to their ticket: export the tickets with their conversations inside, and import those"
SHAPES: Final = (
    Shape(
        platform=NAME,
        what="a Freshdesk conversation",
        needs=("ticket_id",),
        one_of=("body", "body_text"),
        lacks=("subject",),
        advice=_ADVICE,
    ),
    Shape(platform=NAME, kind="ticket", what="a Freshdesk ticket", needs=("display_id", "subject")),
    Shape(
        platform=NAME,
        kind="ticket",
        what="a Freshdesk ticket",
        needs=("subject",),
        one_of=("responder_id", "fr_escalated", "is_escalated", "cc_emails", "description_text"),
        lacks=("ticket_id", "raw_subject"),
    ),
    Shape(platform=NAME, kind="article", what="a Freshdesk article", needs=("title", "folder_id")),
)
