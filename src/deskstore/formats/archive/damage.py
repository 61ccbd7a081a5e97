"""What is wrong with a backup, before anybody says in which file."""

from __future__ import annotations


class Damaged(Exception):
    """Bytes are not those of a whole backup; the message says which and why."""
