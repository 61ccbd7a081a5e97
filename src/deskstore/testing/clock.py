"""A clock that moves only when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

MORNING: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  #: when tests begin


class ManualClock:
    """
    Stands still until it is moved, forwards or back; call it for the present moment, as a storage does.

    Args:
        now: The moment at which it begins, aware.
    """

    def __init__(self, now: datetime = MORNING) -> None:
        self.now = now.astimezone(UTC)

    def __call__(self) -> datetime:
        """The present moment."""
        return self.now

    def move(self, by: timedelta) -> datetime:
        """Go on by so much, or back, and say what time it is then."""
        self.now += by
        return self.now
