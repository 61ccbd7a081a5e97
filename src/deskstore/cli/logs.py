"""deskstore's log, as the command line writes it."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deskstore.bootstrap import Settings


def log(settings: Settings, *, is_verbose: bool) -> None:
    """Send deskstore's log to stderr, as the settings ask."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_form(settings))
    if settings.otel:
        _note_spans(handler)
    logger = logging.getLogger("deskstore")
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG if is_verbose else settings.log_level.upper())
    logger.propagate = False


def _form(settings: Settings) -> logging.Formatter:
    if settings.log_format != "json":
        return logging.Formatter("deskstore: %(levelname)s: %(message)s")
    from deskstore.formats.logs import JsonLines

    return JsonLines()


def _note_spans(handler: logging.Handler) -> None:
    """Let each line say which span it belongs to; where OpenTelemetry is missing, opening the storage says so."""
    from contextlib import suppress

    with suppress(ModuleNotFoundError):
        from deskstore.adapters.otel import TraceIds

        handler.addFilter(TraceIds())
