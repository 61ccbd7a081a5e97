"""Who moved which company, when, and what came of it: a line a step, kept."""

from __future__ import annotations

import getpass
import logging
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson
from attrs import frozen

from deskstore.domain.errors import ConfigurationError

logger: Final = logging.getLogger("deskstore")


@frozen(kw_only=True)
class AuditLine:
    """One step of a migration."""

    at: datetime
    company_id: str
    step: str
    outcome: Mapping[str, object]


Note = Callable[[AuditLine], None]


def log(line: AuditLine) -> None:
    """Say it in the log."""
    told = " ".join(f"{name}={value}" for name, value in line.outcome.items())
    logger.info("migration %s %s", line.step, told, extra={"company_id": line.company_id, "operation": f"migrate {line.step}"})


class AuditFile:
    """
    A file of JSON lines, each safe on the disk before anybody is told that the step is done.

    Args:
        path: Made when there is something to write.
    """

    def __init__(self, path: Path) -> None:
        self._path: Final = path

    def __call__(self, line: AuditLine) -> None:
        """Append a line, and log it."""
        log(line)
        value = {"at": line.at, "who": _who(), "company_id": line.company_id, "step": line.step, **line.outcome}
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise ConfigurationError(
                f"{self._path} cannot take a line ({error.strerror}): see to the disk or the rights; the step itself is done"
            ) from error


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in many containers
        return str(os.getuid())
