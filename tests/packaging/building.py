"""Building a wheel or a source distribution, and looking into it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Literal

Target = Literal["sdist", "wheel"]


def build(source: Path, target: Target, into: Path) -> Path:
    """The file that the build backend makes of a checkout, or of an unpacked source distribution."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(into)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (made,) = into.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return made


def unpack(sdist: Path, into: Path) -> Path:
    """The one folder that a source distribution unpacks to."""
    with tarfile.open(sdist) as archive:
        archive.extractall(into, filter="data")
    (folder,) = into.iterdir()
    return folder


def files_of_wheel(wheel: Path) -> dict[str, bytes]:
    """All that a wheel holds, by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def metadata_of(wheel: Path) -> Message:
    """What a wheel says of itself."""
    (text,) = (content for name, content in files_of_wheel(wheel).items() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(text.decode("utf-8"))
