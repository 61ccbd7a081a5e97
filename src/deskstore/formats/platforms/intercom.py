"""Intercom: conversations of today's and the first API, tickets, and articles. All ids are text, all times are seconds since 1970."""

from __future__ import annotations

from typing import Final

from deskstore.formats.platforms.mapping import FieldMap, Flag, Messages, Path, paths
from deskstore.formats.platforms.shapes import Shape

NAME: Final = "intercom"

_MESSAGE = (paths("body"),)

TICKET: Final = FieldMap(
    id=paths("id", "ticket_id"),
    subject=paths("title", "source.subject", "ticket_attributes._default_title_", "conversation_message.subject"),
    status=paths("state", "ticket_state", "ticket_state.category", "ticket_state.internal_label"),
    status_flag=Flag(path=Path("open"), yes="open", no="closed"),
    priority=paths("priority"),
    requester=paths("contacts.contacts.0.id", "source.author.id", "user.id"),
    created_at=paths("created_at"),
    updated_at=paths("updated_at"),
    version=paths("updated_at"),
    body=paths("source.body", "ticket_attributes._default_description_", "conversation_message.body"),
    messages=(
        Messages(each=Path("conversation_parts.conversation_parts.*"), texts=_MESSAGE),
        Messages(each=Path("ticket_parts.ticket_parts.*"), texts=_MESSAGE),
    ),
)

ARTICLE: Final = FieldMap(
    id=paths("id", "article_id"),
    subject=paths("title"),
    status=paths("state"),
    requester=paths("author_id"),
    created_at=paths("created_at"),
    updated_at=paths("updated_at"),
    version=paths("updated_at"),
    locale=paths("default_locale", "locale"),
    body=paths("body"),
    messages=(Messages(each=Path("translated_content.*"), texts=(paths("title"), paths("body"))),),
)

_MESSAGES = ("conversation_part", "ticket_part", "user_message", "admin_message", "conversation_message")
_OTHERS = ("admin", "company", "contact", "event", "lead", "notification_event", "segment", "tag", "team", "user", "visitor")
SHAPES: Final = (
    Shape(platform=NAME, kind="ticket", what="an Intercom conversation", types=("conversation",), lacks=("subject",)),
    Shape(platform=NAME, kind="ticket", what="an Intercom conversation", needs=("conversation_parts",)),
    Shape(platform=NAME, kind="ticket", what="an Intercom ticket", one_of=("ticket_attributes", "ticket_parts")),
    Shape(platform=NAME, kind="article", what="an Intercom article", types=("article",), needs=("title",)),
    Shape(
        platform=NAME,
        what="an Intercom message",
        types=_MESSAGES,
        lacks=("subject",),
        advice="messages belong to their conversation: export the conversations with their parts, and import those",
    ),
    Shape(
        platform=NAME,
        what="another thing than a conversation",
        types=_OTHERS,
        lacks=("subject",),
        advice="import conversations, tickets or articles",
    ),
)
