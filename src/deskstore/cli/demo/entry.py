"""Which demo is shown, in which folder, and what is said when it is over."""

from __future__ import annotations

import asyncio
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

import click

from deskstore.cli.demo.checks import Checks
from deskstore.cli.failures import FAILED, OK, tell
from deskstore.cli.output import print_json, print_table
from deskstore.cli.shared import Command, shared
from deskstore.cli.status import platform_rows, print_status

MARK: Final = ".deskstore-demo"  #: stands in a folder that a demo made, and may therefore replace
EXAMPLES: Final = """\b
Examples:
  deskstore demo
  deskstore demo --full
  deskstore demo --folder /tmp/desk
  deskstore demo --servers
"""


@click.command("demo", cls=Command, epilog=EXAMPLES)
@click.option("--folder", default="deskstore-demo", show_default=True, metavar="DIR", help="Where to; replaced if a demo made it.")
@click.option("--full", "is_full", is_flag=True, help="The whole way to PostgreSQL and Redis and back, on servers of its own.")
@click.option("--servers", "is_serving", is_flag=True, help="Start such servers to try things with, and let them run until Ctrl-C.")
def command(folder: str, is_full: bool, is_serving: bool) -> int:
    """
    Show the main job on made-up data: import, process, isolate, survive a kill.

    Takes a few seconds, needs nothing, and leaves a folder to look around in. With --full companies move from files to PostgreSQL while
    they are written, and back, and there again; that takes about a minute, and the extra `embedded`. Ends with 1 if anything it says
    does not hold.
    """
    if is_full and is_serving:
        raise click.UsageError("--full starts servers and ends them, --servers lets them run: give one of them")
    path = Path(folder)
    shared().output = folder
    if is_serving:
        return _serve(path)
    shared().if_interrupted = f"interrupted: {folder} is left as it is; run the same command again, and it is made anew"
    _make_room(path)
    checks = Checks()
    began = time.monotonic()
    rows = _full(path, checks) if is_full else _on_files(path, checks)
    if shared().as_json:
        print_json({"checks": [{"check": what, "passed": is_true} for what, is_true in checks.passed.items()], "platforms": rows})
    else:
        click.echo()
        print_status(rows)
        (_say_where_servers_are if is_full else _say_what_next)(path, time.monotonic() - began)
    return OK if all(checks.passed.values()) else FAILED


def _on_files(path: Path, checks: Checks) -> list[dict[str, Any]]:  # Any: JSON
    from deskstore.bootstrap import Settings, open_storage
    from deskstore.cli.demo.on_files import show

    async def opened() -> list[dict[str, Any]]:  # Any: JSON
        async with open_storage(Settings(data_path=path / "data")) as storage:
            await show(storage, path, checks)
            return await platform_rows(storage, await storage.companies())

    return asyncio.run(opened())


def _full(path: Path, checks: Checks) -> list[dict[str, Any]]:  # Any: JSON
    from deskstore.cli.demo.full import Story
    from deskstore.cli.demo.servers import servers

    with servers(path) as running:
        return Story(path=path, servers=running, checks=checks).tell()


def _serve(path: Path) -> int:
    """Let servers run until somebody ends them."""
    from deskstore.cli.demo.servers import SETTINGS, servers, written

    _claim(path)
    with servers(path) as running:
        settings = running.settings | ({"DATA_PATH": str(path.resolve() / "data")} if (path / "data").is_dir() else {})
        kept = running.postgres.folder
        shared().if_interrupted = f"the servers have ended; what PostgreSQL holds is kept in {kept}, for the same command"
        with written(settings, path / SETTINGS):
            if shared().as_json:
                print_json({"settings": settings, "folder": str(kept)})
            else:
                print_table(["SETTING", "VALUE"], settings.items())
            tell(f"next, in another shell: . {_sourced(path / SETTINGS)}; Ctrl-C here ends the servers")
            sys.stdout.flush()
            threading.Event().wait()
    return OK


def _make_room(path: Path) -> None:
    """Begin with a folder that holds nothing of an earlier demo; raises ConfigurationError while its servers run."""
    from deskstore.cli.demo.servers import remove

    _claim(path)
    remove(path)
    for made in {*path.iterdir()} - {path / MARK}:
        shutil.rmtree(made) if made.is_dir() and not made.is_symlink() else made.unlink()
    (path / ".gitignore").write_text("*\n", encoding="utf-8")  # a demo in a checkout is nobody's change


def _claim(path: Path) -> None:
    """Mark a folder as a demo's, unless it holds something that no demo made."""
    if path.exists() and not (path / MARK).is_file() and any(path.iterdir()):
        raise click.UsageError(f"{path} holds something that no demo made: name another place with --folder")
    path.mkdir(parents=True, exist_ok=True)
    (path / MARK).touch()  # before all else, and never taken away: a demo that was interrupted anywhere can be repeated


def _say_what_next(path: Path, took_s: float) -> None:
    tell(f"{took_s:.1f} s; the files are in {path}/data, one readable JSON file a record, and the exports they came from in {path}/exports")
    tell(f"next: {_program()} ticket list --company acme --platform freshdesk --data-path {path}/data")


def _say_where_servers_are(path: Path, took_s: float) -> None:
    from deskstore.cli.demo.servers import SETTINGS, kept_in

    tell(f"{took_s:.1f} s; the servers have ended: PostgreSQL's files are in {kept_in(path)}, those that were let go of in {path}/data")
    folder = "" if str(path) == "deskstore-demo" else f" --folder {path}"
    tell(f"next: {_program()} demo --servers{folder}, which lets them run; then in another shell:")
    tell(f"      . {_sourced(path / SETTINGS)}; STORAGE_TYPE=postgresql {_program()} ticket list --company acme")


def _sourced(file: Path) -> str:
    """How a shell names a file that it is to read: without a slash in it, it would look for it on the path."""
    return str(file) if "/" in str(file) else f"./{file}"


def _program() -> str:
    """How this command is called from here: its file, where the shell does not find it by its name."""
    here = Path(sys.executable).with_name("deskstore")
    if shutil.which("deskstore") or not here.exists():
        return "deskstore"
    return str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here)
