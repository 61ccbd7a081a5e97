"""`progress --watch`: every change is shown, on a terminal and in a pipe, until it is interrupted or everything is done."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deskstore.bootstrap import Settings, open_storage
from deskstore.cli.watching import Layout, Rate, Seen, described, laid_out, seen_shown
from deskstore.domain.processing import Progress
from deskstore.services.processing import update_processing_status
from tests.cli.conftest import Deskstore
from tests.cli.processes import PROGRAM, run
from tests.payloads import as_bytes, freshdesk

OF_ACME = ("--company", "acme", "--platform", "freshdesk")
WATCH = ("progress", *OF_ACME, "--interval", "0.02")
MOMENT = datetime(2026, 11, 20, 9, tzinfo=UTC)


def progress(completed: int, *, total: int = 100) -> Progress:
    return Progress(platform="freshdesk", pending=total - completed, completed=completed, last_updated=MOMENT)


def test_the_rate_is_that_of_the_last_looks_and_tells_the_time_that_is_left() -> None:
    rate = Rate()

    seen = [rate.seen(progress(done), at_s) for done, at_s in ((10, 0.0), (20, 1.0), (40, 2.0))]

    assert [(one.per_s, one.left_s) for one in seen] == [(None, None), (10.0, 8.0), (15.0, 4.0)]
    assert described(seen[2]) == "40.0 % of 100; 60 pending, 0 processing, 40 completed, 0 failed; 15.0/s; 0:00:04 left"
    assert described(seen[0]) == "10.0 % of 100; 90 pending, 0 processing, 10 completed, 0 failed"
    assert (seen_shown(seen[1])["per_s"], seen_shown(seen[1])["left_s"]) == (10.0, 8.0)


def test_nobody_can_tell_the_time_that_is_left_while_nothing_goes_on() -> None:
    rate = Rate()

    seen = [rate.seen(progress(done), at_s) for done, at_s in ((50, 0.0), (50, 1.0), (40, 2.0))]

    assert [(one.per_s, one.left_s) for one in seen[1:]] == [(0.0, None), (0.0, None)]


def test_when_everything_is_done_no_time_is_left() -> None:
    assert Rate().seen(progress(100), 0.0).left_s == 0.0


BUSY = Progress(platform="freshdesk", pending=65_868, processing=120, completed=34_012, failed=120, last_updated=MOMENT)
HUGE = Progress(platform="freshdesk", pending=9_876_543, processing=9_950, completed=9_876_543, failed=9_950, last_updated=MOMENT)


@pytest.mark.parametrize("counts", [progress(40), BUSY, HUGE])
def test_on_80_columns_there_is_a_bar_with_all_counts_the_rate_and_the_time_that_is_left(counts: Progress) -> None:
    layout = laid_out("acme freshdesk", Seen(progress=counts, per_s=950.5), 80)

    assert layout.bar >= 10
    assert fits(layout, 80)
    assert [word.split()[0] for word in layout.counts.split("; ")[0].split(", ")] == ["pend", "proc", "done", "fail"]
    assert re.search(r"; 950\.5/s; \d+:\d\d:\d\d$", layout.counts)


@pytest.mark.parametrize("counts", [BUSY, HUGE])
def test_on_60_columns_the_bar_gives_way_and_no_number_does(counts: Progress) -> None:
    layout = laid_out("acme freshdesk", Seen(progress=counts, per_s=950.5), 60)

    assert (layout.bar, fits(layout, 60)) == (0, True)
    assert re.search(r"^pend .+, proc .+, done .+, fail .+; 950\.5/s; \d+:\d\d:\d\d$", layout.counts)


def test_a_wide_screen_shows_everything_in_words() -> None:
    seen = Seen(progress=BUSY, per_s=15.0)

    assert laid_out("acme freshdesk", seen, 160) == Layout(label="acme freshdesk", bar=40, counts=described(seen))


@pytest.mark.parametrize(("columns", "label"), [(80, "acme-of-the-north …"), (66, ""), (95, "acme-of-the-north freshdesk")])
def test_a_label_is_cut_where_numbers_need_the_room(columns: int, label: str) -> None:
    layout = laid_out("acme-of-the-north freshdesk", Seen(progress=progress(40), per_s=15.0), columns)

    assert (layout.label, layout.bar >= 10, fits(layout, columns)) == (label, True, True)


def fits(layout: Layout, columns: int) -> bool:
    parts = [layout.label, "=" * layout.bar, layout.counts]
    return len(" ".join(part for part in parts if part)) <= columns


@pytest.fixture
def acme(environment: dict[str, str]) -> dict[str, str]:
    """A company with three pending tickets."""
    assert run(environment, "import", "-", *OF_ACME, given=as_bytes([freshdesk(number) for number in (1, 2, 3)])).returncode == 0
    return environment


def complete(environment: dict[str, str], *ids: str) -> None:
    async def work() -> None:
        async with open_storage(Settings(data_path=Path(environment["DATA_PATH"]))) as storage:
            for ticket_id in ids:
                await update_processing_status(storage, "acme", "freshdesk", ticket_id, "completed")

    asyncio.run(work())


def watching(environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, *WATCH, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def line(running: subprocess.Popen[str]) -> str:
    assert running.stdout
    return running.stdout.readline()


def test_in_a_pipe_each_change_is_a_line_and_the_end_is_where_everything_is_done(acme: dict[str, str]) -> None:
    with watching(acme, "--until-done") as running:
        first = line(running)
        complete(acme, "1")
        second = line(running)
        complete(acme, "2", "3")
        rest, said = running.communicate(timeout=60)

    assert (running.returncode, said) == (0, "")
    assert "  0.0 % of 3; 3 pending, 0 processing, 0 completed, 0 failed" in first
    assert "  33.3 % of 3; 2 pending, 0 processing, 1 completed, 0 failed" in second
    assert "  100.0 % of 3; 0 pending, 0 processing, 3 completed, 0 failed" in rest.splitlines()[-1]
    assert "\x1b" not in first + second + rest


def test_with_json_each_change_is_a_document_on_a_line(acme: dict[str, str]) -> None:
    with watching(acme, "--until-done", "--json") as running:
        first = json.loads(line(running))
        complete(acme, "1", "2", "3")
        rest = running.communicate(timeout=60)[0]

    last = json.loads(rest.splitlines()[-1])
    assert (first["company"], first["pending"], first["per_s"], first["left_s"]) == ("acme", 3, None, None)
    assert (last["completed"], last["percentage"], last["left_s"]) == (3, 100.0, 0.0)
    assert last.keys() == first.keys()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_interrupts_it_ends_the_view_alone(acme: dict[str, str], number: signal.Signals) -> None:
    with watching(acme, "--watch") as running:
        line(running)
        os.killpg(running.pid, number)
        rest, said = running.communicate(timeout=60)

    assert (running.returncode, rest) == (130, "")
    assert said == "deskstore: interrupted: only this view ends, and whoever works on tickets goes on\n"


def test_a_terminal_shows_it_live_and_is_left_as_it_was(acme: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen([*PROGRAM, *WATCH, "--until-done"], env=acme, stdout=theirs, stderr=theirs, start_new_session=True) as running:
        os.close(theirs)
        complete(acme, "1", "2", "3")
        shown = "".join(read(ours))
    os.close(ours)

    assert running.returncode == 0
    assert "100.0 % of 3; 0 pending, 0 processing, 3 completed, 0 failed" in shown
    assert shown.count("\x1b[?25h") == shown.count("\x1b[?25l") == 1


def test_a_live_view_that_is_interrupted_gives_the_cursor_back(acme: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen([*PROGRAM, *WATCH, "--watch"], env=acme, stdout=theirs, stderr=theirs, start_new_session=True) as running:
        os.close(theirs)
        shown = os.read(ours, 65_536).decode(errors="replace")
        os.killpg(running.pid, signal.SIGINT)
        shown += "".join(read(ours))
    os.close(ours)

    assert running.returncode == 130
    assert "\x1b[?25h" in shown
    assert shown.rstrip().endswith("interrupted: only this view ends, and whoever works on tickets goes on")


@pytest.mark.parametrize(("columns", "bars"), [("80", True), ("40", False)])
def test_a_narrow_terminal_shows_what_it_has_room_for_on_one_line(acme: dict[str, str], columns: str, bars: bool) -> None:
    ours, theirs = pty.openpty()
    words = [*PROGRAM, *WATCH, "--until-done"]
    with subprocess.Popen(words, env=acme | {"COLUMNS": columns}, stdout=theirs, stderr=theirs, start_new_session=True) as running:
        os.close(theirs)
        complete(acme, "1", "2", "3")
        shown = "".join(read(ours))
    os.close(ours)

    assert running.returncode == 0
    assert "pend 0, proc 0, done 3, fail 0" in shown
    assert ("━" * 10 in shown, "\x1b[1A" in shown) == (bars, False)


def read(terminal: int) -> Sequence[str]:
    parts: list[str] = []
    try:
        while chunk := os.read(terminal, 65_536):
            parts.append(chunk.decode(errors="replace"))
    except OSError:
        return parts  # on Linux this is how a terminal says that its last user left
    return parts


def test_a_company_that_is_not_there_is_done_and_said_to_be_missing(deskstore: Deskstore) -> None:
    ran = deskstore("progress", "--company", "globex", "--platform", "freshdesk", "--until-done")

    assert (ran.code, len(ran.lines)) == (0, 1)
    assert "company 'globex' does not exist" in ran.err


@pytest.mark.parametrize("interval", ["0", "-1", "x", "inf"])
def test_an_interval_that_is_none_is_wrong_usage(deskstore: Deskstore, interval: str) -> None:
    ran = deskstore("progress", *OF_ACME, "--watch", "--interval", interval)

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
