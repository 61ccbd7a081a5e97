"""Payloads in the shape of each platform, made up here."""

import json
from typing import Any


def freshdesk(id: int = 42, **changes: Any) -> dict[str, Any]:  # noqa: A002 - the field's own name  # Any: fields hold what a test likes
    return {
        "id": id,
        "subject": f"주문 {id}이 도착하지 않았습니다",
        "status": 2,
        "priority": 1,
        "requester_id": 7_000 + id,
        "responder_id": None,
        "description_text": "언제 오나요?",
        "created_at": "2026-01-02T03:04:05Z",
        "updated_at": "2026-01-02T03:04:05Z",
        **changes,
    }


def as_bytes(payload: object) -> bytes:
    """JSON as other programs write it: with spaces, and escapes for what is not ASCII."""
    return json.dumps(payload).encode()
