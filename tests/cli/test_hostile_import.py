"""A file that somebody made to break an import, read by a process of its own: what it took of memory is told by the system."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from attrs import frozen

FOREIGN = b'{"id": 1, "company_id": "globex", "_deskstore": {"company_id": "globex"}}'
SOUND = b'{"id": 5, "text": "sound"}'
GIGABYTE = 2**30
#: runs a command and tells its peak; a process of its own, since the memory of whoever starts a command counts as the command's
MEASURED = """
import os, subprocess, sys
started = subprocess.Popen(sys.argv[1:])
_, status, used = os.wait4(started.pid, 0)
print(used.ru_maxrss, file=sys.stderr)
os._exit(os.waitstatus_to_exitcode(status))
"""


@frozen(kw_only=True)
class Ended:
    """What a process came to."""

    code: int
    report: dict[str, Any]  # Any: JSON
    peak_mib: int


def write_hostile(path: Path) -> None:
    """Lines of another company, of a gigabyte, 10,000 deep, of broken text, a sound one, and one that was cut off."""
    with path.open("wb") as file:
        file.write(FOREIGN + b'\n{"id": 2, "text": "')
        file.seek(GIGABYTE, os.SEEK_CUR)  # a hole, which reads as NUL
        file.write(b'"}\n' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"\n")
        file.write(b'{"id": 4, "text": "\xff"}\n' + SOUND + b'\n{"id": 6, "text": "ha')


def run_import(folder: Path) -> Ended:
    options = ["--company", "acme", "--platform", "docs", "--data-path", "data", "--json"]
    command = [sys.executable, "-c", MEASURED, sys.executable, "-m", "deskstore.cli", "import", "t.ndjson", *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return Ended(code=ran.returncode, report=json.loads(ran.stdout), peak_mib=int(ran.stderr.splitlines()[-1]) // 1024)


def test_a_hostile_file_is_rejected_line_by_line_in_bounded_memory(tmp_path: Path) -> None:
    write_hostile(tmp_path / "t.ndjson")

    ended = run_import(tmp_path)

    assert (ended.code, ended.report["created"], ended.report["rejected"]) == (3, 2, 4)
    rejected = [json.loads(line) for line in (tmp_path / "t.rejects.ndjson").read_bytes().splitlines()]
    assert [one["line"] for one in rejected] == [2, 3, 4, 6]
    for one, said in zip(
        rejected, ("longer than 16,777,216 bytes", "200 objects and arrays deep", "not UTF-8", "not valid JSON"), strict=True
    ):
        assert said in one["reason"]
    kept = tmp_path / "data" / "acme" / "docs" / "tickets"
    assert sorted(path.name for path in kept.iterdir()) == ["1.json", "5.json"]
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["acme"]
    assert ended.peak_mib < 240  # the beginning of a line, 16 MiB of it, is held a few times over, and with six characters for each NUL
