"""The example worker, as a user starts it: several processes at once, one of them killed, one of them told to stop."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.processes import run, wait_until
from tests.pages import ROOT
from tests.payloads import as_bytes, freshdesk

OF_ACME = ("--company", "acme", "--platform", "freshdesk")
TICKETS = 60


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The variables of a worker whose storage is in the test's folder."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "DATA_PATH": str(tmp_path / "data")}


@pytest.fixture
def acme(environment: dict[str, str]) -> dict[str, str]:
    """A company with pending tickets."""
    export = b"".join(as_bytes(freshdesk(number)) + b"\n" for number in range(TICKETS))
    assert run(environment, "import", "-", *OF_ACME, given=export).returncode == 0
    return environment


def worker(environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "examples" / "worker.py"), *OF_ACME, *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def progress(environment: dict[str, str]) -> dict[str, int]:
    found: dict[str, int] = json.loads(run(environment, "progress", *OF_ACME, "--json").stdout)
    return found


def completed_by(ended: subprocess.Popen[str]) -> int:
    said = ended.communicate(timeout=60)[0]
    assert ended.returncode == 0
    return int(re.findall(r"completed (\d+)", said)[0])


def test_two_workers_of_which_one_is_killed_summarise_every_ticket_once(acme: dict[str, str]) -> None:
    killed = worker(acme, "--takes", "0.2", "--concurrency", "4", "--lease", "1")
    wait_until(lambda: progress(acme)["completed"] > 5)
    killed.kill()
    killed.communicate()

    before = progress(acme)["completed"]
    both = [worker(acme, "--takes", "0.01", "--until-done", "--lease", "1", "--worker", name) for name in ("one", "두번째")]
    completed = sum(completed_by(one) for one in both)

    assert progress(acme) | {"last_updated": None} == {
        "company": "acme",
        "platform": "freshdesk",
        "total": TICKETS,
        "pending": 0,
        "processing": 0,
        "completed": TICKETS,
        "failed": 0,
        "percentage": 100.0,
        "last_updated": None,
    }
    assert completed == TICKETS - before


def test_a_worker_that_is_told_to_stop_leaves_nothing_half_done(acme: dict[str, str]) -> None:
    running = worker(acme, "--takes", "0.2", "--concurrency", "4")
    wait_until(lambda: progress(acme)["completed"] > 5)

    running.send_signal(signal.SIGTERM)
    completed = completed_by(running)

    found = progress(acme)
    assert (found["completed"], found["processing"], found["pending"]) == (completed, 0, TICKETS - completed)


def test_a_model_that_fails_leaves_tickets_for_another_time(acme: dict[str, str]) -> None:
    said = worker(acme, "--takes", "0", "--fails", "1", "--until-done").communicate(timeout=60)[0]

    assert said == f"completed 0, failed {TICKETS}, lost 0\n"
    assert progress(acme)["failed"] == TICKETS
