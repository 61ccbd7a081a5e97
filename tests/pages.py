"""
The examples on the project's pages, and how each is run.

A page's examples run from top to bottom in one new folder: `python` blocks in one namespace, where `await` may stand at the top; of the
`console` blocks the commands that begin with `deskstore` or `python`, after variables or not, each behind all that the page has exported
(`$ export`, `$ .`) before it. What a command prints is compared with what the page shows, where it shows something; `...` stands for
anything. Before a block, `<!-- not run -->` spares it, `<!-- exits 2 -->` names the exit code, `<!-- file NAME -->` makes it a file that
the reader saves, and `<!-- runs on -->` lets its command run until the page is over, as in a window of its own.
"""

import ast
import asyncio
import doctest
import inspect
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import frozen

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = "python|console|json"
BLOCK = re.compile(rf"(?:^<!-- (?P<mark>[^\n]*?) -->\n+)?^```(?P<language>{LANGUAGES})\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
OURS = re.compile(r"(?:\w+=\S* )*(?:deskstore|python)\b")
EXPORTS = re.compile(r"export |\. ")
COMPARED = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@frozen(kw_only=True)
class Example:
    """One block of a page."""

    language: str
    code: str
    line: int  #: how many lines of the page stand before it
    exit_code: int = 0
    file: str | None = None  #: the name under which the reader saves it
    runs_on: bool = False


@frozen(kw_only=True)
class Command:
    """One command of a console block."""

    line: str
    shown: str  #: what the page says it prints; empty where it says nothing


def pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def examples(text: str) -> list[Example]:
    """The blocks of a page that are run."""
    return [example(text, block) for block in BLOCK.finditer(text) if block["mark"] != "not run" and does_something(block)]


def does_something(block: re.Match[str]) -> bool:
    if block["language"] == "json":
        return (block["mark"] or "").startswith("file ")
    return block["language"] == "python" or any(commands(block["code"]))


def example(text: str, block: re.Match[str]) -> Example:
    mark = block["mark"] or ""
    exits, file = re.fullmatch(r"exits (\d+)", mark), re.fullmatch(r"file (\S+)", mark)
    return Example(
        language=block["language"],
        code=block["code"],
        line=text.count("\n", 0, block.start("code")),
        exit_code=int(exits[1]) if exits else 0,
        file=file[1] if file else None,
        runs_on=mark == "runs on",
    )


def commands(code: str) -> Iterator[Command]:
    """The commands of a console block that are ours to run."""
    for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        if OURS.match(line) or EXPORTS.match(line):
            yield Command(line=line, shown=shown.strip())


def run_page(text: str, name: str, folder: Path) -> None:
    """Run all examples of a page, in a folder that is the current one."""
    names: dict[str, Any] = {"__name__": "__main__"}  # Any: a page may name what it likes
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner, ExitStack() as windows:
        shell = Shell(folder, windows)
        for found in examples(text):
            if found.file is not None:
                (folder / found.file).write_text(found.code, encoding="utf-8")
            elif found.language == "python":
                run_python(found, name, names, runner)
            else:
                shell.run(found)


def run_python(found: Example, name: str, names: dict[str, Any], runner: asyncio.Runner) -> None:
    lines = "\n" * found.line + found.code  # a traceback then names the page's own line
    code = compile(lines, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        runner.run(awaited(code, names))
    else:
        exec(code, names)  # noqa: S102 - running the page is the point


async def awaited(code: Any, names: dict[str, Any]) -> None:  # Any: what compile() gives has no name in typing
    await eval(code, names)  # noqa: S307 - running the page is the point


class Shell:
    """Where a page's commands run, one after another."""

    def __init__(self, folder: Path, windows: ExitStack) -> None:
        self._folder = folder
        self._windows = windows  #: ends what runs on
        self._exported = ""  #: said before each command

    def run(self, found: Example) -> None:
        for command in commands(found.code):
            if EXPORTS.match(command.line):
                self._exported += f"{command.line}; "
            elif found.runs_on:
                self._begin(command)
            else:
                self._run(command, found.exit_code)

    def _run(self, command: Command, exit_code: int) -> None:
        with self._started(command.line) as running:
            output, _ = running.communicate()
        assert running.returncode == exit_code, f"$ {command.line}\nended with {running.returncode}:\n{output}"
        assert prints(command, output), f"$ {command.line}\nthe page shows:\n{command.shown}\nit prints:\n{output}"

    def _begin(self, command: Command) -> None:
        """Start a command, and go on when it has printed what the page shows."""
        running = self._windows.enter_context(self._started(f"exec {command.line}"))
        self._windows.callback(os.killpg, running.pid, signal.SIGINT)
        output = "".join(islice(running.stdout or (), command.shown.count("\n") + 1))
        assert prints(command, output), f"$ {command.line}\nthe page shows:\n{command.shown}\nit prints:\n{output}"

    def _started(self, line: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["/bin/sh", "-c", self._exported + line],
            cwd=self._folder,
            env=with_deskstore(self._folder / ".bin"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def prints(command: Command, output: str) -> bool:
    return not command.shown or doctest.OutputChecker().check_output(command.shown, output, COMPARED)


def with_deskstore(folder: Path) -> dict[str, str]:
    """The variables of a command, `deskstore` on the path even where the package is importable but not installed, and this Python."""
    folder.mkdir(exist_ok=True)
    ours = f"#!{sys.executable}\nimport sys\nfrom deskstore.cli import main\nsys.exit(main())\n"
    for name, text in (("deskstore", ours), ("python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')):
        script = folder / name
        script.write_text(text, encoding="utf-8")
        script.chmod(0o700)
    return {**os.environ, "PATH": os.pathsep.join([str(folder), os.environ["PATH"]]), "COLUMNS": "140"}
