"""deskstore's log, as the command line writes it."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deskstore.bootstrap import Settings


def log(settings: Settings, *, is_verbose: bool) -> None:
    """Send deskstore's log to stderr, as the settings ask."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if settings.log_format == "json" else logging.Formatter("deskstore: %(levelname)s: %(message)s"))
    logger = logging.getLogger("deskstore")
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG if is_verbose else settings.log_level.upper())
    logger.propagate = False


class _JsonLines(logging.Formatter):
    """One JSON object a line, with the keys that deskstore adds."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        said |= {key: str(value) for key in ("company_id", "platform", "operation") if (value := getattr(record, key, None)) is not None}
        return json.dumps(said, ensure_ascii=False)
