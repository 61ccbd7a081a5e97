"""How tickets and articles look to whoever reads the output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deskstore.cli.output import moment

if TYPE_CHECKING:
    from deskstore.domain.processing import Processing
    from deskstore.domain.records import Article, Ticket

Shown = dict[str, Any]  # Any: JSON


def ticket_shown(ticket: Ticket, processing: Processing | None) -> Shown:
    """Our metadata of a ticket, as JSON; the payload is not part of it."""
    return {
        "platform": ticket.platform,
        "id": ticket.ticket_id,
        **_fields_shown(ticket),
        "processing": None if processing is None else processing_shown(processing),
    }


def article_shown(article: Article) -> Shown:
    """Our metadata of an article, as JSON; the payload is not part of it."""
    return {"platform": article.platform, "id": article.article_id, "locale": article.locale, **_fields_shown(article)}


def processing_shown(processing: Processing) -> Shown:
    """How far a ticket has come, as JSON; the claim's token stays with its worker."""
    claim = processing.claim
    return {
        "status": processing.status.value,
        "attempts": processing.attempts,
        "error": processing.error,
        "worker": claim.worker if claim else None,
        "lease_until": moment(claim.lease_until) if claim else None,
        "changed_at": moment(processing.changed_at),
    }


def _fields_shown(record: Ticket | Article) -> Shown:
    fields = record.fields
    return {
        "subject": fields.subject,
        "status": fields.status,
        "priority": fields.priority,
        "requester": fields.requester,
        "created_at": moment(fields.created_at),
        "updated_at": moment(fields.updated_at),
        "saved_at": moment(record.saved_at),
        "version": record.version,
        "bytes": len(record.payload),
        "sha256": record.sha256.hex(),
    }
