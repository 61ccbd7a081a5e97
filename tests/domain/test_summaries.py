"""What a summary may hold, so that every storage gives it back as it came."""

from __future__ import annotations

from typing import Any  # Any: whatever a caller may hand over

import pytest
from attrs import evolve

from deskstore.domain import summaries, times
from deskstore.domain.errors import InvalidRecord
from deskstore.domain.identifiers import ticket_key
from deskstore.domain.summaries import MOST_TOKENS, Summary

SUMMARY = Summary(key=ticket_key("freshdesk", "1"), content=b'{"short": "x"}', source_digest=bytes(32), created_at=times.EPOCH)


@pytest.mark.parametrize(
    "changes",
    [
        {"tokens": MOST_TOKENS},
        {"tokens": -1},
        {"cost": float("inf")},
        {"cost": float("nan")},
        {"parameters": b"\xff"},
        {"parameters": b"[]"},
        {"content": b"not json"},
        {"content": b'{"a": NaN}'},
        {"content": b'{"a": 1'},
        {"number": 1},
        {"version": 1},
    ],
    ids=str,
)
def test_a_summary_that_not_every_storage_could_keep_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord):
        summaries.checked(evolve(SUMMARY, **changes))


@pytest.mark.parametrize(
    "changes", [{"tokens": MOST_TOKENS - 1}, {"tokens": 0, "cost": 0.0}, {"parameters": '{"한": 1}'.encode()}], ids=str
)
def test_a_summary_at_the_limits_is_kept(changes: dict[str, Any]) -> None:
    summary = evolve(SUMMARY, **changes)

    assert summaries.checked(summary) is summary
