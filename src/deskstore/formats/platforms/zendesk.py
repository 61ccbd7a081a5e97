"""
Zendesk: tickets and help-center articles.

`generated_timestamp` orders a ticket's versions, because changes by the system do not move `updated_at`. The first comment is the
description again: it counts once, whether an export holds the comments or not.
"""

from __future__ import annotations

from typing import Final

from deskstore.formats.platforms.mapping import FieldMap, Flag, Messages, Path, paths
from deskstore.formats.platforms.shapes import Shape

NAME: Final = "zendesk"

_MESSAGE = (paths("body", "plain_body", "html_body"),)

TICKET: Final = FieldMap(
    id=paths("id", "ticket_id"),
    subject=paths("subject", "raw_subject"),
    status=paths("status"),
    priority=paths("priority"),
    requester=paths("requester_id"),
    created_at=paths("created_at"),
    updated_at=paths("updated_at"),
    version=paths("generated_timestamp", "updated_at"),
    body=paths("description"),
    messages=(Messages(each=Path("comments.*"), texts=_MESSAGE), Messages(each=Path("audits.*.events.*"), texts=_MESSAGE)),
    first_message_is_body=True,
)

ARTICLE: Final = FieldMap(
    id=paths("id", "article_id"),
    subject=paths("title", "name"),
    status_flag=Flag(path=Path("draft"), yes="draft", no="published"),
    requester=paths("author_id"),
    created_at=paths("created_at"),
    updated_at=paths("updated_at"),
    version=paths("updated_at"),
    locale=paths("locale", "source_locale"),
    body=paths("body"),
)

_ADVICE = "messages belong to their ticket: put them under its key 'comments' and import the tickets"
SHAPES: Final = (
    Shape(platform=NAME, what="a Zendesk audit", needs=("ticket_id", "events"), advice=_ADVICE),
    Shape(
        platform=NAME,
        what="a Zendesk comment",
        types=("Comment", "VoiceComment"),
        one_of=("body", "plain_body", "html_body"),
        advice=_ADVICE,
    ),
    Shape(
        platform=NAME,
        kind="ticket",
        what="a Zendesk ticket",
        needs=("subject",),
        one_of=("raw_subject", "submitter_id", "generated_timestamp", "custom_status_id", "ticket_form_id", "via"),
        lacks=("ticket_id",),
    ),
    Shape(platform=NAME, kind="article", what="a Zendesk article", needs=("section_id",), one_of=("title", "name")),
)
