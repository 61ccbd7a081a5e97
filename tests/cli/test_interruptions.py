"""Ctrl-C at every command that takes long: what it says, how it ends, and that nothing is left in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.cli.processes import PROGRAM, holds, run, wait_until
from tests.payloads import as_bytes, freshdesk
from tests.services.first_version import FirstVersion

ACME: Final = ("--company", "acme", "--platform", "freshdesk")
MANY: Final = 1_000
OLD: Final = 3_000  #: tickets of the tree, which are adopted in units of 1,000


def interrupted(environment: dict[str, str], words: Sequence[str], when: Callable[[], bool], by: int = signal.SIGINT) -> tuple[int, str]:
    """How a command ends, and what it says, when somebody presses Ctrl-C as soon as something is so."""
    folder = Path(environment["DATA_PATH"]).parent
    command = [*PROGRAM, *words]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as running:
        wait_until(lambda: when() or running.poll() is not None)
        assert running.poll() is None, "it ended before it could be interrupted"
        os.killpg(running.pid, by)  # a terminal tells every process of the command
        said = running.communicate()[1].decode()
    return running.returncode, said


@pytest.fixture
def acme(environment: dict[str, str]) -> dict[str, str]:
    """A company with many tickets."""
    export = b"".join(as_bytes(freshdesk(number)) + b"\n" for number in range(MANY))
    assert run(environment, "import", "-", *ACME, given=export).returncode == 0
    return environment


@pytest.fixture
def tree(tmp_path: Path) -> str:
    """What the prototype left, of many tickets."""
    tree = FirstVersion(tmp_path / "tree")
    for number in range(OLD):
        tree.save_ticket("acme", "freshdesk", {"ticket_id": number, "subject": f"ticket {number}"})
    return str(tree.base_path)


def is_made(folder: Path, since_ns: int) -> bool:
    """Whether a folder was made anew."""
    return folder.is_dir() and folder.stat().st_ctime_ns > since_ns


def is_past(moment: float) -> bool:
    return time.monotonic() > moment


def is_outside_our_code(code: int, said: str) -> bool:
    """Whether the interpreter itself was interrupted: before it minded signals, while it looked for what to run, or at its end."""
    in_its_search = "KeyboardInterrupt" in said and "cli/__main__.py" not in said
    return (code == -signal.SIGINT and not said) or (not said.startswith("deskstore: ") and in_its_search)


def count(environment: dict[str, str]) -> int:
    platforms = json.loads(run(environment, "status", "--json").stdout)["platforms"]
    return sum(platform["tickets"] for platform in platforms)


def is_sound(environment: dict[str, str]) -> bool:
    return run(environment, "doctor").stderr == b"deskstore: nothing is wrong\n"


def test_an_interrupted_export_leaves_the_earlier_file_and_can_be_repeated(acme: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "out.ndjson").write_text("of yesterday")

    code, said = interrupted(acme, ["export", *ACME, "-o", "out.ndjson"], when=lambda: any(tmp_path.glob(".*.part")))

    assert (code, said) == (130, "deskstore: interrupted: out.ndjson was not written; run the same command again\n")
    assert (tmp_path / "out.ndjson").read_text() == "of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out.ndjson"]
    assert run(acme, "export", *ACME, "-o", "out.ndjson").returncode == 0
    assert len((tmp_path / "out.ndjson").read_bytes().splitlines()) == MANY


def test_an_interrupted_adoption_keeps_what_it_took_and_takes_the_rest_when_repeated(
    environment: dict[str, str], tree: str, tmp_path: Path
) -> None:
    adopted = tmp_path / "data" / "acme" / "freshdesk" / "tickets"

    code, said = interrupted(environment, ["adopt", tree], when=partial(holds, adopted, 1))
    kept = count(environment)
    again = run(environment, "adopt", tree, "--json")

    assert (code, said) == (130, "deskstore: interrupted: what was adopted stays; run the same command again, and the rest follows\n")
    assert 0 < kept < OLD
    (tickets,) = [row for row in json.loads(again.stdout)["rows"] if row["kind"] == "tickets"]
    assert (again.returncode, tickets["unchanged"], tickets["created"]) == (0, kept, OLD - kept)
    assert is_sound(environment)


def test_an_interrupted_repair_keeps_what_it_mended_and_mends_the_rest_when_repeated(acme: dict[str, str], tmp_path: Path) -> None:
    tickets = tmp_path / "data" / "acme" / "freshdesk" / "tickets"
    for number in range(100):
        (tickets / f"{number}.txt").write_text("a note")
        (tickets / f"{number}.txt").chmod(0o600)
    aside = tmp_path / "data" / "acme" / ".deskstore" / "edited" / "freshdesk" / "tickets"

    code, said = interrupted(acme, ["doctor", "--repair"], when=partial(holds, aside, 1))
    mended = len([*aside.iterdir()])
    again = run(acme, "doctor", "--repair")

    assert (code, said) == (130, "deskstore: interrupted: what was mended stays so; run the same command again for the rest\n")
    assert 0 < mended < 100
    assert (again.returncode, len([*aside.iterdir()]), len([*tickets.iterdir()])) == (0, 100, MANY)
    assert count(acme) == MANY


def test_a_doctor_that_only_looks_may_be_interrupted_at_any_moment(acme: dict[str, str]) -> None:
    ended: dict[int, str] = {}

    pause_s = 0.1
    while 0 not in ended:
        moment = time.monotonic() + pause_s
        try:
            code, said = interrupted(acme, ["doctor"], when=partial(is_past, moment))
        except AssertionError:
            code, said = 0, ""
        if not is_outside_our_code(code, said) and "nothing is wrong" not in said:  # who has said that only ends
            ended[code] = said
        pause_s *= 1.5

    assert ended.keys() == {0, 130}, ended
    assert ended[130] == "deskstore: interrupted: nothing was changed; run the same command again\n"
    assert is_sound(acme)


def test_an_interrupted_demo_leaves_nobody_behind_and_is_made_anew(environment: dict[str, str], tmp_path: Path) -> None:
    demo = tmp_path / "deskstore-demo"
    orders = demo / "data" / "initech" / "orders" / "tickets"

    for place in ("exports", "data/acme", "data/acme", "data/initech"):
        code, said = interrupted(environment, ["demo"], when=partial(is_made, demo / place, time.time_ns()))

        assert code == 130
        assert said == "deskstore: interrupted: deskstore-demo is left as it is; run the same command again, and it is made anew\n"
    before = sorted(orders.iterdir())
    time.sleep(0.2)
    assert sorted(orders.iterdir()) == before, "its writer goes on"
    assert run(environment, "demo").returncode == 0


def test_what_was_stopped_by_kill_says_the_same_as_after_ctrl_c(environment: dict[str, str], tree: str, tmp_path: Path) -> None:
    adopted = tmp_path / "data" / "acme" / "freshdesk" / "tickets"

    code, said = interrupted(environment, ["adopt", tree], when=partial(holds, adopted, 1), by=signal.SIGTERM)

    assert (code, said) == (130, "deskstore: interrupted: what was adopted stays; run the same command again, and the rest follows\n")
