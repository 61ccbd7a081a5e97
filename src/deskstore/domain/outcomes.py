"""How units of work end."""

from __future__ import annotations

from enum import StrEnum


class UnitOutcome(StrEnum):
    """What has become of a unit of work."""

    OPEN = "open"
    COMMITTED = "committed"
    DISCARDED = "discarded"  #: left, or failed: nothing of it was kept
    UNKNOWN = "unknown"  #: nobody could tell; read before you write again
