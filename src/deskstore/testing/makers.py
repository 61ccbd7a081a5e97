"""
Records with plain content, for tests that care for one thing in them; what is not given is the same each time.

Names are not checked here, so that storages can be given bad ones.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from deskstore.domain.identifiers import ARTICLE, TICKET, Key
from deskstore.domain.processing import Checkpoint
from deskstore.domain.records import Article, Fields, Incoming, SourceVersion, Ticket, new_article, new_ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.suppressions import Suppression, name_of
from deskstore.testing.clock import MORNING

PLATFORM: Final = "zendesk"
CREATED: Final = datetime(2026, 2, 1, 12, 0, tzinfo=UTC)


def fields(
    text: str = "It does not start",
    *,
    status: str | None = "open",
    created_at: datetime | None = CREATED,
    source_version: SourceVersion | None = None,
) -> Fields:
    """What a platform's mapping read from a payload."""
    return Fields(
        subject=text,
        status=status,
        priority="high",
        requester="kim@example.com",
        created_at=created_at,
        updated_at=created_at,
        source_version=source_version,
        text_digest=digest(text),
    )


def digest(text: str) -> bytes:
    """The text_digest of a text."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def a_payload(of: Key, text: str, note: str = "") -> bytes:
    """A payload with that text; the note is a part that does not count as text."""
    return json.dumps({"id": of.id, "description": text, "note": note}, ensure_ascii=False).encode("utf-8", "surrogatepass")


def incoming(
    key: Key, text: str = "It does not start", *, payload: bytes | None = None, read: Fields | None = None, note: str = ""
) -> Incoming:
    """A payload on its way in."""
    return Incoming(key=key, payload=a_payload(key, text, note) if payload is None else payload, fields=read or fields(text))


def a_ticket(
    ticket_id: str = "42",
    *,
    platform: str = PLATFORM,
    text: str = "It does not start",
    payload: bytes | None = None,
    read: Fields | None = None,
    now: datetime = MORNING,
) -> Ticket:
    """A ticket that was never saved."""
    return new_ticket(incoming(Key(TICKET, platform, ticket_id), text, payload=payload, read=read), now=now)


def an_article(
    article_id: str = "42",
    locale: str = "",
    *,
    platform: str = PLATFORM,
    text: str = "How to start it",
    payload: bytes | None = None,
    read: Fields | None = None,
    now: datetime = MORNING,
) -> Article:
    """An article that was never saved."""
    return new_article(incoming(Key(ARTICLE, platform, article_id, locale), text, payload=payload, read=read), now=now)


def a_summary(
    key: Key,
    text: str = "It does not start",
    *,
    content: bytes = b'{"short": "broken"}',
    pinned: bool = False,
    now: datetime = MORNING,
) -> Summary:
    """A summary of that text that was never saved."""
    return Summary(
        key=key,
        content=content,
        model="a-model",
        prompt_id="short-1",
        parameters=b'{"temperature": 0}',
        tokens=321,
        cost=0.25,
        source_digest=digest(text),
        pinned=pinned,
        created_at=now,
    )


def a_checkpoint(cursor: str = "page 2", *, platform: str = PLATFORM, stream: str = "tickets") -> Checkpoint:
    """How far a stream has been read."""
    return Checkpoint(platform=platform, stream=stream, cursor=cursor)


def a_suppression(
    requester: str = "gone@example.com", *, platform: str = PLATFORM, secret: bytes = bytes(32), now: datetime = MORNING
) -> Suppression:
    """A requester whose tickets were never kept out."""
    name = name_of(platform, requester, secret)
    return Suppression(platform=name.platform, digest=name.digest, secret=secret, created_at=now)
