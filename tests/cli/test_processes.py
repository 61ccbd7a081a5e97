"""The command as a process of its own: interrupted, cut off, on a terminal."""

import json
import os
import pty
import signal
import subprocess
from functools import partial
from pathlib import Path

from tests.cli.processes import PROGRAM, holds, run, wait_until

IMPORT = ["import", "-", "--company", "acme", "--platform", "docs"]


def test_an_interrupted_import_says_how_to_go_on_and_does(environment: dict[str, str], tmp_path: Path) -> None:
    export = b"".join(b'{"id":%d,"text":"%s"}\n' % (number, b"x" * 300) for number in range(2_500))
    tickets = tmp_path / "data" / "acme" / "docs" / "tickets"
    with subprocess.Popen([*PROGRAM, *IMPORT], cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as importing:
        assert importing.stdin
        assert importing.stderr
        importing.stdin.write(export[:-100])
        importing.stdin.flush()
        wait_until(partial(holds, tickets, 1))

        importing.send_signal(signal.SIGINT)
        importing.stdin.close()
        said = importing.stderr.read().decode()

    assert importing.returncode == 130
    assert said == "deskstore: interrupted: what was kept stays; run the same command again and it goes on from there\n"
    again = run(environment, *IMPORT, given=export)
    assert again.returncode == 0
    assert b"resumed after record " in again.stderr
    assert run(environment, "status").stdout.decode().splitlines()[-1].split()[:3] == ["acme", "docs", "2,500"]


def test_an_import_that_was_killed_three_times_ends_as_one_that_was_not(environment: dict[str, str], tmp_path: Path) -> None:
    export = tmp_path / "t.ndjson"
    export.write_bytes(b"".join(b'{"id":"%05d"}\n{"id":"%05d","again":%d}\n' % (number, number // 2, number) for number in range(10_000)))
    words = [*PROGRAM, "import", "t.ndjson", "--company", "acme", "--platform", "docs"]
    tickets = tmp_path / "data" / "acme" / "docs" / "tickets"

    for least in (1, 700, 1_700):
        with subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as importing:
            wait_until(partial(holds, tickets, least))
            importing.kill()
        assert importing.returncode == -signal.SIGKILL
    last = run(environment, "import", "t.ndjson", "--company", "acme", "--platform", "docs", "--json")

    report = json.loads(last.stdout)
    assert report["resumed_at"] > 0
    assert (report["created"], report["rejected"]) == (10_000, 10_000)
    assert len((tmp_path / "t.rejects.ndjson").read_bytes().splitlines()) == 10_000
    kept = run(environment, "export", "--company", "acme", "-o", "-").stdout
    assert kept == b"".join(b'{"id":"%05d"}\n' % number for number in range(10_000))


def test_a_reader_that_goes_away_is_no_error_to_talk_about(environment: dict[str, str], tmp_path: Path) -> None:
    run(environment, *IMPORT, given=b"".join(b'{"id":%d,"text":"%s"}\n' % (number, b"x" * 2_000) for number in range(300)))

    command = [*PROGRAM, "export", "--company", "acme", "-o", "-"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as exporting:
        assert exporting.stdout
        assert exporting.stderr
        exporting.stdout.read(10)
        exporting.stdout.close()
        said = exporting.stderr.read()

    assert (exporting.returncode, said) == (141, b"")


def on_terminal(environment: dict[str, str], *words: str) -> str:
    """What a command shows on a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*PROGRAM, *words], env=environment, stdout=theirs, stderr=theirs, stdin=theirs):
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65_536):
                shown += chunk
        except OSError:
            pass  # on Linux this is how a terminal says that its last user left
    os.close(ours)
    return shown.decode()


def test_a_terminal_gets_colour_unless_it_asked_for_none(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "t.ndjson").write_bytes(b'{"id": 1, "subject": "[bold]Hello[/bold]"}\n')
    run(environment, "import", "t.ndjson", "--company", "acme", "--platform", "docs")

    coloured = on_terminal(environment, "ticket", "list", "--company", "acme")
    plain = on_terminal({**environment, "NO_COLOR": "1"}, "ticket", "list", "--company", "acme")

    assert "\x1b[33mpending" in coloured
    assert "\x1b[33m" not in plain
    assert "[bold]Hello[/bold]" in coloured
    assert "[bold]Hello[/bold]" in plain


def test_a_terminal_gets_a_progress_bar_and_a_pipe_does_not(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "t.ndjson").write_bytes(b"".join(b'{"id":%d}\n' % number for number in range(1_200)))
    words = ["import", str(tmp_path / "t.ndjson"), "--company", "acme", "--platform", "docs"]

    shown = on_terminal(environment, *words)
    piped = run(environment, *words)

    assert "importing" in shown
    assert b"importing" not in piped.stderr + piped.stdout
    assert b"\x1b" not in piped.stderr + piped.stdout
