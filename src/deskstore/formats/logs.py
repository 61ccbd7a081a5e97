"""Lines of the log as JSON, for whatever collects them."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Final

TOLD: Final = ("company_id", "platform", "operation", "trace_id", "span_id")
"""What a line says beside its message, where it is known."""


class JsonLines(logging.Formatter):
    """
    One JSON object a line, with what deskstore tells beside the message.

    An error is named by its class; its message and its traceback, in which values may stand, are left out.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a line break."""
        said = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        said |= {key: str(value) for key in TOLD if (value := getattr(record, key, None)) is not None}
        if record.exc_info and record.exc_info[0]:
            said["error"] = record.exc_info[0].__qualname__
        return json.dumps(said, ensure_ascii=False)
