"""What a run says of the machine, since figures mean little without it."""

from __future__ import annotations

import os
import platform
import sqlite3
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

_SYNCS = 30


def fsync_ms(place: Path) -> float:
    """What an fsync of one small file takes on that disk, in the middle."""
    taken: list[float] = []
    with tempfile.TemporaryFile(dir=place) as file:
        for _ in range(_SYNCS):
            file.write(b"x" * 4_096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return median(taken) * 1_000


def load() -> str:
    """How busy the machine is: the mean number of waiting programs in 1, 5 and 15 minutes."""
    return " ".join(f"{mean:.1f}" for mean in os.getloadavg())


def file_system(place: Path) -> str:
    """The kind of file system a directory lies on, where the system tells."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return "unknown"
    above = {str(place), *map(str, place.parents)}
    return max((mount for mount in mounts if mount[1] in above), key=lambda mount: len(mount[1]), default=["", "", "unknown"])[2]


def about(place: Path) -> Mapping[str, object]:
    """What the figures were taken on."""
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "deskstore": version("deskstore"),
        "system": f"{platform.system()} {platform.release()}",
        "processors": os.cpu_count(),
        "file_system": file_system(place),
    }


def release_of(package: str) -> str | None:
    """Which release of a package is installed, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
