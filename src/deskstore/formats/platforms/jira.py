"""Jira: issues, requests of Jira Service Management, and its knowledge base, which is Confluence."""

from __future__ import annotations

from typing import Final

from deskstore.formats.platforms.mapping import FieldMap, Messages, Path, paths
from deskstore.formats.platforms.shapes import Shape

NAME: Final = "jira"

_MESSAGE = (paths("body"),)

TICKET: Final = FieldMap(
    id=paths("id", "issueId", "ticket_id"),
    subject=paths("fields.summary", "requestFieldValues.[fieldId=summary].value", "summary"),
    status=paths("fields.status.name", "currentStatus.status"),
    priority=paths("fields.priority.name", "requestFieldValues.[fieldId=priority].value.name"),
    requester=paths(
        "fields.reporter.accountId", "fields.reporter.emailAddress", "fields.reporter.name", "reporter.accountId", "reporter.emailAddress"
    ),
    created_at=paths("fields.created", "createdDate.iso8601", "createdDate.epochMillis"),
    updated_at=paths("fields.updated"),
    version=paths("fields.updated"),
    body=paths("fields.description", "requestFieldValues.[fieldId=description].value"),
    messages=(
        Messages(each=Path("fields.comment.comments.*"), texts=_MESSAGE),
        Messages(each=Path("comments.values.*"), texts=_MESSAGE),
    ),
)

ARTICLE: Final = FieldMap(
    id=paths("id", "pageId", "article_id"),
    subject=paths("title"),
    status=paths("status"),
    requester=paths("authorId", "history.createdBy.accountId"),
    created_at=paths("createdAt", "history.createdDate"),
    updated_at=paths("version.when", "version.createdAt"),
    version=paths("version.when", "version.createdAt"),
    locale=paths("locale", "language"),
    body=paths("body.storage.value", "body.atlas_doc_format.value", "body.view.value", "body"),
)

SHAPES: Final = (
    Shape(platform=NAME, kind="ticket", what="a Jira issue", needs=("key", "fields")),
    Shape(platform=NAME, kind="ticket", what="a Jira Service Management request", needs=("issueId", "issueKey")),
    Shape(
        platform=NAME,
        what="a Jira comment",
        needs=("body", "author"),
        one_of=("updateAuthor", "jsdPublic", "public"),
        advice="comments belong to their issue: export the issues with the field 'comment', and import those",
    ),
    Shape(platform=NAME, kind="article", what="a Confluence page", types=("page", "blogpost"), needs=("title",)),
    Shape(platform=NAME, kind="article", what="a Confluence page", needs=("title", "spaceId")),
)
