"""Where a storage keeps its companies, and how it goes about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from deskstore.adapters.file import names


class Place(NamedTuple):
    """The directory of all companies, and the terms on which one storage works there."""

    base: Path
    clock: Callable[[], datetime]  #: gives the present moment, aware and UTC
    checkpoint_rows: int  #: after how many written files they are made durable and leave the journal
    busy_s: float  #: how long another process may hold a lock

    def of(self, company_id: str) -> Path:
        """Where a company lies."""
        return self.base / names.encode(company_id)
