#!/usr/bin/env python3
"""
Everything a contributor runs, on a machine with git and Python 3.11: no environment to activate, no variable to set.

The first command builds `.venv` from `requirements.lock` and installs the checkout into it (with uv where uv is on the path, else with venv
and pip); later ones find it ready. A build that was interrupted is done again. `--python 3.12` uses that Python in an environment of its
own. Everything after the command is passed on to what it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parent
LOCK = ROOT / "requirements.lock"
OLDEST = (3, 11)
#: what the lock was made for, newest first
PYTHONS = ("3.14", "3.13", "3.12", "3.11")

COMMANDS = {
    "demo": "the main job, on made-up data",
    "test": "all tests, or those that pytest's own arguments name",
    "check": "style, types, layers and links between pages: all that must hold before a commit",
    "bench": "the measurements, or those named",
    "chaos": "the long tests: crashes, faults, races",
    "site": "the documentation as pages in build/site",
    "package": "what is handed out, in empty environments: each Python, locked, lowest and newest dependencies (needs uv)",
    "samples": "import a folder of real exports and compare what comes out: samples [--postgresql] DIR",
    "lock": "make requirements.lock again; --upgrade takes the newest versions (needs uv)",
    "clean": "remove environments, caches and builds",
}
ALL_TESTS = ("-n", "auto", "--dist", "worksteal")  # on every processor; a few named ones are done before the helpers are up
SITE = ("sphinx-build", "--quiet", "--fail-on-warning", "--keep-going", "-c", "docs", ".", "build/site")
#: removed by `clean`; data is nobody's but the user's, so `data/` is not among them
LITTER = (
    ".venv*",
    ".*_cache",
    ".hypothesis",
    "build",
    "dist",
    "**/__pycache__",
    "src/*.egg-info",
)
#: what the caller's shell may hold that would lead our Python, pip or pytest elsewhere
MISLEADING = (
    "PIP_PREFIX",
    "PIP_TARGET",
    "PYTHONHOME",
    "PYTHONOPTIMIZE",
    "PYTHONPATH",
    "PYTHONSAFEPATH",
    "PYTHONWARNINGS",
    "VIRTUAL_ENV",
)


class Refusal(Exception):
    """What stands in the way, and what to do about it, in one line."""


def main(arguments: Sequence[str]) -> int:
    """The exit code of one command."""
    options, rest = parser().parse_known_args(arguments)
    if sys.version_info < OLDEST:
        start_again_with(newer_python(), arguments)
    if options.command == "clean":
        return clean()
    if options.command == "lock":
        return lock(rest)
    python = environment(find_python(options.python) if options.python else sys.executable)
    if options.command == "check":
        return check(python)
    everything = ALL_TESTS if options.command == "test" and not rest else ()
    return hand_over(python, [*program(options.command, python), *everything, *(from_root(word) for word in rest)])


def parser() -> argparse.ArgumentParser:
    """What can be said on the command line."""
    lines = [f"  {name:9}{purpose}" for name, purpose in COMMANDS.items()]
    made = argparse.ArgumentParser(
        prog="dev.py",
        description="\n".join(["Everything a contributor runs.", "", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("command", choices=COMMANDS, metavar="command")
    made.add_argument("--python", metavar="VERSION", help="another Python, as 3.12 or as a path, in an environment of its own")
    return made


# -- what a command runs -------------------------------------------------------------------------------------------------------------------


def program(command: str, python: Path) -> list[str]:
    """The command line that does the work of `demo`, `test`, `bench`, `chaos`, `package`, `samples` or `site`."""
    if command == "demo":
        return [str(python.with_name("deskstore")), "demo"]
    if command == "site":
        return [str(python.with_name(SITE[0])), *SITE[1:]]
    if command == "test":
        return [str(python), "-m", "pytest"]
    module = {"bench": "bench", "chaos": "tests.chaos", "package": "tests.packaging", "samples": "tests.samples"}[command]
    if not is_there(module):
        raise Refusal(f"`{command}` has nothing to run yet: there is no {module.replace('.', '/')} in this checkout")
    return [str(python), "-m", module]


def is_there(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


def from_root(word: str) -> str:
    """The same argument, where it names a file relative to the caller's folder: commands run in the checkout's."""
    path = Path(word.partition("::")[0])
    if word.startswith("-") or not path.exists() or path.resolve() == (ROOT / path).resolve():
        return word
    return str(Path.cwd() / word)


def hand_over(python: Path, command: list[str]) -> NoReturn:
    """Become that program, so that its exit code and Ctrl-C are its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.chdir(ROOT)
    os.execve(command[0], command, surroundings(python))


def surroundings(python: Path | None = None) -> dict[str, str]:
    """The caller's variables without those that mislead, our environment's programs first on the path."""
    kept = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    kept["PIP_USER"] = "0"  # a pip.conf may say `user = true`, which no environment accepts
    if python:
        kept["PATH"] = os.pathsep.join([str(python.parent), kept.get("PATH", os.defpath)])
    return kept


# -- which Python --------------------------------------------------------------------------------------------------------------------------


def start_again_with(python: str, arguments: Sequence[str]) -> NoReturn:
    os.execv(python, [python, str(ROOT / "dev.py"), *arguments])


def newer_python() -> str:
    """A Python on the path that is new enough, for callers whose `python3` is not."""
    for version in PYTHONS:
        found = shutil.which("python" + version)
        if found and version_of(found) >= OLDEST:
            return found
    raise Refusal(
        "Python {}.{} is too old: install 3.11 or newer, or name it: python3.12 dev.py ...".format(*sys.version_info[:2]),
    )


def find_python(wanted: str) -> str:
    """The Python called for, as a path: one on the path, one of pyenv's, or one that uv knows."""
    for found in candidates(wanted):
        if found and version_of(found) >= OLDEST:
            return found
    raise Refusal(f"Python {wanted} is not here, or older than 3.11: name one by its path: --python /usr/bin/python3.12")


def candidates(wanted: str) -> Iterator[str | None]:
    yield shutil.which(wanted if os.sep in wanted else "python" + wanted)
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    yield from (str(path) for path in sorted(pyenv.glob(f"versions/{wanted}*/bin/python")))
    if shutil.which("uv"):
        known = subprocess.run(["uv", "python", "find", wanted], capture_output=True, text=True, check=False)
        yield known.stdout.strip() or None


def version_of(python: str) -> tuple[int, ...]:
    """Which Python that is; nothing where it does not run (a shim of pyenv may name a version that is not selected)."""
    asked = subprocess.run([python, "-c", "import sys; print(*sys.version_info[:3])"], capture_output=True, text=True, check=False)
    return tuple(int(part) for part in asked.stdout.split())


# -- the environment -----------------------------------------------------------------------------------------------------------------------


def environment(base: str) -> Path:
    """The Python of an environment that holds exactly the lock and this checkout."""
    version = sys.version_info[:3] if base == sys.executable else version_of(base)
    folder = ROOT / (".venv" if base == sys.executable else ".venv-{}.{}".format(*version))
    wanted = stamps_wanted(version)
    if stamps(folder) != wanted:
        with alone():
            build(folder, base, wanted)
    return folder / "bin" / "python"


def build(folder: Path, base: str, wanted: Mapping[str, str]) -> None:
    """Do what the stamps do not vouch for; each stamp is written last, so that a build cut short is done again."""
    found = stamps(folder)
    if found == wanted:
        return
    if found.get("packages") != wanted["packages"] or not can_install(folder):
        say(f"setting up {folder.name} (once, and again whenever requirements.lock changes)")
        shutil.rmtree(folder, ignore_errors=True)
        make_environment(folder, base)
        install(folder, "--require-hashes", "-r", str(LOCK))
        stamp(folder, {"packages": wanted["packages"]})
    install(folder, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    stamp(folder, wanted)


def can_install(folder: Path) -> bool:
    """Whether anything can be put into an environment: one that uv made has no pip of its own, and uv may be gone."""
    return shutil.which("uv") is not None or any(folder.glob("lib/python*/site-packages/pip"))


def make_environment(folder: Path, base: str) -> None:
    if shutil.which("uv"):
        must("uv", "venv", "--quiet", "--no-project", "--python", base, str(folder))
        return
    if subprocess.run([base, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode:
        raise Refusal(venv_is_missing(version_of(base)))
    must(base, "-m", "venv", str(folder))


def venv_is_missing(version: Sequence[int]) -> str:
    package = "python{}.{}-venv".format(*version)
    return f"this Python has no venv module: sudo apt install {package} (Debian, Ubuntu), or put uv on the path"


def install(folder: Path, *what: str) -> None:
    python = str(folder / "bin" / "python")
    if shutil.which("uv"):
        must("uv", "pip", "install", "--quiet", "--python", python, *what)
    else:
        must(python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", *what)


def must(*command: str) -> None:
    """Run a step of the build, and show what it said only when it failed."""
    done = subprocess.run(command, cwd=ROOT, env=surroundings(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        say(done.stdout)
        raise Refusal(f"the environment could not be built: `{' '.join(command[:4])} ...` ended with {done.returncode}")


def stamps_wanted(version: Sequence[int]) -> dict[str, str]:
    """What an environment must vouch for; its path belongs to it, because an environment that was moved does not work."""
    return {
        "packages": fingerprint(LOCK.read_text(encoding="utf-8"), tuple(version), str(ROOT)),
        "project": fingerprint(how_the_project_installs()),
    }


def fingerprint(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def how_the_project_installs() -> str:
    """The part of pyproject.toml that an installation depends on, so that a new lint rule is no reason to install again."""
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return json.dumps([settings["project"], settings["build-system"], settings["tool"]["hatch"]], sort_keys=True)


def stamps(folder: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((folder / "dev.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found


def stamp(folder: Path, values: Mapping[str, str]) -> None:
    (folder / "dev.json").write_text(json.dumps(values), encoding="utf-8")


@contextlib.contextmanager
def alone() -> Generator[None]:
    """While two commands start at the same time, only one of them builds."""
    import fcntl

    with (ROOT / ".venv.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


# -- check ---------------------------------------------------------------------------------------------------------------------------------


def check(python: Path) -> int:
    """Run every step, whatever the one before it said."""
    failed = 0
    for name, faults_of in steps(python).items():
        began = time.monotonic()
        faults = faults_of()
        print(f"{'FAIL' if faults else 'ok':6}{name:14}{time.monotonic() - began:6.1f} s", flush=True)
        if faults:
            print(faults.rstrip() + "\n", flush=True)
            failed += 1
    return 1 if failed else 0


def steps(python: Path) -> dict[str, Callable[[], str]]:
    """What `check` looks at, each with a function that gives the faults it finds."""

    def tool(name: str, *arguments: str) -> Callable[[], str]:
        return lambda: output_if_failed([str(python.with_name(name)), *arguments], python)

    return {
        "ruff check": tool("ruff", "check", "--quiet"),
        "ruff format": tool("ruff", "format", "--check", "--quiet"),
        "pyright": tool("pyright", "--pythonpath", str(python)),
        "mypy": tool("mypy"),
        "lint-imports": tool("lint-imports", "--no-logo"),
        "links": lambda: "\n".join(dead_links(ROOT)),
        "site": tool(*SITE),
    }


def output_if_failed(command: Sequence[str], python: Path) -> str:
    here = {**surroundings(python), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}  # pyright asks the network for a newer self
    done = subprocess.run(command, cwd=ROOT, env=here, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return (done.stdout or f"{command[0]} ended with {done.returncode}") if done.returncode else ""


def dead_links(root: Path) -> list[str]:
    """The links of the checkout's pages that lead to no file, or to no heading of one."""
    pages = sorted([*root.glob("*.md"), *root.glob("docs/**/*.md")])
    return [f"{page.relative_to(root)}: {link} leads nowhere" for page in pages for link in links(page) if not leads_somewhere(page, link)]


def links(page: Path) -> list[str]:
    """The links to other pages of this checkout."""
    found: list[str] = re.findall(r"\]\(([^()\s]+)\)", without_code(page.read_text(encoding="utf-8")))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(page: Path) -> set[str]:
    """The names under which a page's headings can be linked to, made as the usual forges make them."""
    headings: list[str] = re.findall(r"^#+ +(.+?) *$", without_code(page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


# -- lock and clean ------------------------------------------------------------------------------------------------------------------------


def lock(arguments: Sequence[str]) -> int:
    """Make requirements.lock again: one file for every Python and platform, with hashes, and with no word of where it came from."""
    if not shutil.which("uv"):
        raise Refusal("`lock` needs uv on the path: python3 -m pip install uv")
    made_for = ["--universal", "--python-version", "3.11", "--extra", "embedded", "--extra", "otel", "--extra", "testing", "--group", "dev"]
    form = ["--generate-hashes", "--no-annotate", "--no-header", "--quiet", "--output-file", str(LOCK)]
    done = subprocess.run(["uv", "pip", "compile", "pyproject.toml", *made_for, *form, *arguments], cwd=ROOT, check=False)
    if not done.returncode:
        LOCK.write_text(without_addresses(LOCK.read_text(encoding="utf-8")), encoding="utf-8")
    return done.returncode


def without_addresses(text: str) -> str:
    """The lock without the lines that name an index, which is the reader's own choice."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("--"))


def clean() -> int:
    """Remove what other commands made; what is not theirs stays."""
    for pattern in LITTER:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    return 0


def say(text: str) -> None:
    print(text.rstrip(), file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Refusal as refusal:
        say(f"dev.py: {refusal}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
