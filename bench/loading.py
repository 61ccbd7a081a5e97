"""What others load into PostgreSQL for comparison: dlt, where it is installed, with the same files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import orjson

from bench.machine import release_of

DLT: Final = "dlt"
#: no word to its makers, no files beside the user's own, and no progress on the screen
_QUIET: Final = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}


def dlt_release() -> str | None:
    """Which dlt is here, or None."""
    return release_of(DLT)


def load_with_dlt(data: Path, url: str) -> int:
    """
    Load the payload of every ticket file below a directory into one table, as a JSON column beside its name; how many there were.

    It is used as its documentation advises for documents that are to stay whole: appended, each as one value. It compares nothing with what
    stands, and hashes nothing.
    """
    dlt = import_module(DLT)
    found = 0

    def rows() -> Iterator[dict[str, Any]]:  # Any: whatever a payload holds
        nonlocal found
        for path in sorted(data.rglob("tickets/*.json")):
            value = orjson.loads(path.read_bytes())
            found += 1
            yield {"platform": value["platform"], "ticket_id": value["id"], "payload": value["payload"]}

    with tempfile.TemporaryDirectory() as place:
        os.environ.update(_QUIET)
        pipeline = dlt.pipeline("bench", pipelines_dir=place, destination=dlt.destinations.postgres(url), dataset_name="loaded")
        pipeline.run(dlt.resource(rows, name="ticket", columns={"payload": {"data_type": "json"}}, write_disposition="append"))
    return found
