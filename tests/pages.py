"""
The examples on the project's pages, and how each is run.

A page's examples run from top to bottom in one new folder: `python` blocks in one namespace, where `await` may stand at the top; of the
`console` blocks the commands that begin with `deskstore`, after variables or not. What a command prints is compared with what the page
shows, where it shows something; `...` stands for anything. Before a block, `<!-- not run -->` spares it and `<!-- exits 2 -->` names the
exit code.
"""

import ast
import asyncio
import doctest
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(?:^<!-- (?P<mark>[^\n]*?) -->\n+)?^```(?P<language>python|console)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
OURS = re.compile(r"(?:\w+=\S* )*deskstore\b")
COMPARED = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@frozen(kw_only=True)
class Example:
    """One block of a page."""

    language: str
    code: str
    line: int  #: how many lines of the page stand before it
    exit_code: int = 0


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
    return block["language"] == "python" or any(commands(block["code"]))


def example(text: str, block: re.Match[str]) -> Example:
    exits = re.fullmatch(r"exits (\d+)", block["mark"] or "")
    return Example(
        language=block["language"],
        code=block["code"],
        line=text.count("\n", 0, block.start("code")),
        exit_code=int(exits[1]) if exits else 0,
    )


def commands(code: str) -> Iterator[Command]:
    """The commands of a console block that are ours to run."""
    for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        if OURS.match(line):
            yield Command(line=line, shown=shown.strip())


def run_page(text: str, name: str, folder: Path) -> None:
    """Run all examples of a page, in a folder that is the current one."""
    names: dict[str, Any] = {"__name__": "__main__"}  # Any: a page may name what it likes
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        for found in examples(text):
            if found.language == "python":
                run_python(found, name, names, runner)
            else:
                run_console(found, folder)


def run_python(found: Example, name: str, names: dict[str, Any], runner: asyncio.Runner) -> None:
    lines = "\n" * found.line + found.code  # a traceback then names the page's own line
    code = compile(lines, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        runner.run(awaited(code, names))
    else:
        exec(code, names)  # noqa: S102 - running the page is the point


async def awaited(code: Any, names: dict[str, Any]) -> None:  # Any: what compile() gives has no name in typing
    await eval(code, names)  # noqa: S307 - running the page is the point


def run_console(found: Example, folder: Path) -> None:
    for command in commands(found.code):
        done = subprocess.run(
            ["/bin/sh", "-c", command.line],
            cwd=folder,
            env=with_deskstore(folder / ".bin"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == found.exit_code, f"$ {command.line}\nended with {done.returncode}:\n{done.stdout}"
        assert prints(command, done.stdout), f"$ {command.line}\nthe page shows:\n{command.shown}\nit prints:\n{done.stdout}"


def prints(command: Command, output: str) -> bool:
    return not command.shown or doctest.OutputChecker().check_output(command.shown, output, COMPARED)


def with_deskstore(folder: Path) -> dict[str, str]:
    """The variables of a command, `deskstore` on the path even where the package is importable but not installed."""
    folder.mkdir(exist_ok=True)
    script = folder / "deskstore"
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom deskstore.cli import main\nsys.exit(main())\n", encoding="utf-8")
    script.chmod(0o700)
    return {**os.environ, "PATH": os.pathsep.join([str(folder), os.environ["PATH"]]), "COLUMNS": "140"}
