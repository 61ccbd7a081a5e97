"""`deskstore demo`: the main job on made-up data, each thing it says checked at once."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import Factory, define

from deskstore.cli.failures import FAILED, OK, tell
from deskstore.cli.output import print_json, print_table
from deskstore.cli.shared import Command, shared
from deskstore.cli.status import platform_rows, print_status

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage
    from deskstore.domain.processing import Processing
    from deskstore.services.importing import ImportReport

MARK: Final = ".deskstore-demo"  #: stands in a folder that a demo made, and may therefore replace
UNITS_BEFORE_THE_KILL: Final = 8
EXAMPLES: Final = """\b
Examples:
  deskstore demo
  deskstore demo --full
  deskstore demo --folder /tmp/desk
  deskstore demo --servers
"""


@define
class Checks:
    """What the demo says, and whether it is true."""

    passed: dict[str, bool] = Factory(dict[str, bool])

    def add(self, what: str, is_true: bool) -> None:
        """Say it, with what a look at the storage gave."""
        self.passed[what] = is_true
        if not shared().as_json:
            click.echo(f"{click.style('ok  ', fg='green') if is_true else click.style('FAIL', fg='red')}  {what}")


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

    async def opened() -> list[dict[str, Any]]:  # Any: JSON
        async with open_storage(Settings(data_path=path / "data")) as storage:
            await show(storage, path, checks)
            return await platform_rows(storage, await storage.companies())

    return asyncio.run(opened())


def _full(path: Path, checks: Checks) -> list[dict[str, Any]]:  # Any: JSON
    from deskstore.cli.demo_full import Story
    from deskstore.cli.demo_servers import servers

    with servers(path) as running:
        return Story(path=path, servers=running, checks=checks).tell()


def _serve(path: Path) -> int:
    """Let servers run until somebody ends them."""
    from deskstore.cli.demo_servers import SETTINGS, servers, written

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
    from deskstore.cli.demo_servers import remove

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
    from deskstore.cli.demo_servers import SETTINGS, kept_in

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


async def show(storage: Storage, path: Path, checks: Checks) -> None:
    """The whole story, one check after another."""
    from deskstore.cli.demo_data import make_exports

    make_exports(path / "exports")
    await show_import(storage, path / "exports", checks)
    await show_processing(storage, checks)
    await show_isolation(storage, checks)
    await show_recovery(storage, path / "data", checks)


# -- import --------------------------------------------------------------------------------------------------------------------------------


async def show_import(storage: Storage, exports: Path, checks: Checks) -> None:
    """Everything comes in once, byte for byte."""
    from deskstore.cli.demo_data import EXPORTS

    first, again = await _import_all(storage, exports), await _import_all(storage, exports)
    total = sum(export.records for export in EXPORTS)
    made = f"{total} records of {len({export.company_id for export in EXPORTS})} companies came in from {len(EXPORTS)} exports"
    checks.add(made, sum(report.created for report in first) == total)
    checks.add("importing all of it again changed nothing", sum(report.unchanged for report in again) == total)
    differing = [place async for place in _differing(storage, exports)]
    checks.add(f"each of the {total} payloads is kept byte for byte as its export has it", not differing)


async def _import_all(storage: Storage, exports: Path) -> list[ImportReport]:
    from deskstore.cli.demo_data import EXPORTS
    from deskstore.services.importing import import_records

    return [await import_records(storage, export.company_id, export.platform, [exports / export.file]) for export in EXPORTS]


async def _differing(storage: Storage, exports: Path) -> AsyncIterator[str]:
    """Places in the exports whose record is not stored as it stands there."""
    from deskstore.cli.demo_data import EXPORTS
    from deskstore.formats.streams import Slice, read_records

    for export in EXPORTS:
        async with read_records(exports / export.file) as reader:
            async for one in reader:
                kept = await _kept(storage, export.company_id, export.platform, one.value) if isinstance(one, Slice) else None
                if not isinstance(one, Slice) or kept != one.payload:
                    yield str(one.place)


async def _kept(storage: Storage, company_id: str, platform: str, value: dict[str, object]) -> bytes | None:
    from deskstore.services.articles import find_article
    from deskstore.services.tickets import find_ticket

    identifier = str(value["id"])
    if "section_id" in value:
        article = await find_article(storage, company_id, platform, identifier, str(value["locale"]))
        return article.payload if article else None
    ticket = await find_ticket(storage, company_id, platform, identifier)
    return ticket.payload if ticket else None


# -- processing ----------------------------------------------------------------------------------------------------------------------------


async def show_processing(storage: Storage, checks: Checks) -> None:
    """Workers take tickets, each once, and leave summaries."""
    from deskstore.services.processing import get_processing_progress

    done = [ticket for taken in await asyncio.gather(*(_work(storage, f"worker-{number}") for number in range(3))) for ticket in taken]
    progress = await get_processing_progress(storage, "acme", "freshdesk")
    told = f"3 workers took {len(done)} tickets, none twice: {progress.completed} completed with a summary, {progress.failed} failed"
    checks.add(told, len({*done}) == len(done) == progress.completed + progress.failed == progress.total)
    await show_new_text(storage, checks)


async def _work(storage: Storage, worker: str) -> list[str]:
    from deskstore.services.processing import claim_tickets

    done: list[str] = []
    while claimed := await claim_tickets(storage, "acme", "freshdesk", 10, worker=worker):
        await asyncio.gather(*(_finish(storage, one) for one in claimed))
        done += [one.key.id for one in claimed]
    return done


async def _finish(storage: Storage, claimed: Processing) -> None:
    from deskstore.services.processing import complete, fail
    from deskstore.services.summaries import SummaryDraft
    from deskstore.services.tickets import get_ticket

    ticket = await get_ticket(storage, "acme", "freshdesk", claimed.key.id)
    if int(ticket.ticket_id) % 40 == 0:
        await fail(storage, "acme", claimed, "the model gave no answer")
        return
    content = {"summary": ticket.data["description_text"][:40], "subject": ticket.fields.subject}
    await complete(storage, "acme", claimed, summary=SummaryDraft(content=content, model="demo", prompt_id="demo-1", tokens=12))


async def show_new_text(storage: Storage, checks: Checks) -> None:
    """A ticket whose text changes waits for a worker again."""
    from deskstore.cli.demo_data import freshdesk, when
    from deskstore.services.processing import get_processing_progress
    from deskstore.services.summaries import stale_summaries
    from deskstore.services.tickets import save_ticket

    changed = freshdesk("acme")(6) | {"description_text": "It works again, thank you.", "updated_at": when(9_000)}
    await save_ticket(storage, "acme", "freshdesk", changed)
    stale = [one.key.id async for one in stale_summaries(storage, "acme")]
    pending = (await get_processing_progress(storage, "acme", "freshdesk")).pending
    checks.add("ticket 7 got a new text: it is pending again, and its summary is marked stale", (stale, pending) == (["7"], 1))


# -- isolation -----------------------------------------------------------------------------------------------------------------------------


async def show_isolation(storage: Storage, checks: Checks) -> None:
    """One company's ids mean nothing to another."""
    from deskstore.services.tickets import find_ticket, get_ticket

    ours, theirs = [await get_ticket(storage, company_id, "freshdesk", "1") for company_id in ("acme", "globex")]
    apart = "(acme 1)" in str(ours.fields.subject) and "(globex 1)" in str(theirs.fields.subject)
    checks.add("acme and globex both have a Freshdesk ticket 1, and each sees its own", apart)
    missing = await find_ticket(storage, "globex", "zendesk", "9000")
    checks.add(
        "globex cannot find acme's Zendesk tickets", missing is None and await find_ticket(storage, "acme", "zendesk", "9000") is not None
    )


# -- recovery ------------------------------------------------------------------------------------------------------------------------------


async def show_recovery(storage: Storage, data_path: Path, checks: Checks) -> None:
    """A process is killed while it writes: what it was told is safe is there, and nothing is there by halves."""
    from deskstore.cli.demo_writer import COMPANY, PLATFORM, UNIT

    acknowledged = await asyncio.to_thread(_write_and_kill, data_path)
    async with storage.unit_of_work(COMPANY) as uow:
        units = Counter([ticket.ticket_id.partition("-")[0] async for ticket in uow.tickets.stream()])
        total = (await uow.progress.progress(PLATFORM)).total
    told = (
        f"a writer was killed (kill -9) behind unit {acknowledged}: all {acknowledged + 1} acknowledged units of {UNIT} tickets are there"
    )
    checks.add(told, {str(unit) for unit in range(acknowledged + 1)} <= units.keys())
    checks.add("no unit is there by halves, and the counts agree", {*units.values()} == {UNIT} and total == sum(units.values()))


def _write_and_kill(data_path: Path) -> int:
    """The last unit that a writing process acknowledged before it was killed."""
    command = [sys.executable, "-m", "deskstore.cli.demo_writer", str(data_path)]
    # in a session of its own, so that a Ctrl-C is ours alone to answer
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as writer:  # noqa: S603 - our own module
        last = -1
        for line in writer.stdout or ():
            last = int(line)
            if last == UNITS_BEFORE_THE_KILL:
                writer.kill()
    return last
