"""`deskstore demo`: import, process, isolate and survive a kill, on files alone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from deskstore.cli.demo.checks import Checks
    from deskstore.domain.ports import Storage
    from deskstore.domain.processing import Processing
    from deskstore.services.importing import ImportReport

UNITS_BEFORE_THE_KILL: Final = 8


async def show(storage: Storage, path: Path, checks: Checks) -> None:
    """The whole story, one check after another."""
    from deskstore.cli.demo.exports import make_exports

    make_exports(path / "exports")
    await show_import(storage, path / "exports", checks)
    await show_processing(storage, checks)
    await show_isolation(storage, checks)
    await show_recovery(storage, path / "data", checks)


# -- import --------------------------------------------------------------------------------------------------------------------------------


async def show_import(storage: Storage, exports: Path, checks: Checks) -> None:
    """Everything comes in once, byte for byte."""
    from deskstore.cli.demo.exports import EXPORTS

    first, again = await _import_all(storage, exports), await _import_all(storage, exports)
    total = sum(export.records for export in EXPORTS)
    made = f"{total} records of {len({export.company_id for export in EXPORTS})} companies came in from {len(EXPORTS)} exports"
    checks.add(made, sum(report.created for report in first) == total)
    checks.add("importing all of it again changed nothing", sum(report.unchanged for report in again) == total)
    differing = [place async for place in _differing(storage, exports)]
    checks.add(f"each of the {total} payloads is kept byte for byte as its export has it", not differing)


async def _import_all(storage: Storage, exports: Path) -> list[ImportReport]:
    from deskstore.cli.demo.exports import EXPORTS
    from deskstore.services.importing import import_records

    return [await import_records(storage, export.company_id, export.platform, [exports / export.file]) for export in EXPORTS]


async def _differing(storage: Storage, exports: Path) -> AsyncIterator[str]:
    """Places in the exports whose record is not stored as it stands there."""
    from deskstore.cli.demo.exports import EXPORTS
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
    from deskstore.cli.demo.exports import freshdesk, when
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
    from deskstore.cli.demo.writer import COMPANY, PLATFORM, UNIT

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
    command = [sys.executable, "-m", "deskstore.cli.demo.writer", str(data_path)]
    # in a session of its own, so that a Ctrl-C is ours alone to answer
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as writer:  # noqa: S603 - our own module
        last = -1
        for line in writer.stdout or ():
            last = int(line)
            if last == UNITS_BEFORE_THE_KILL:
                writer.kill()
    return last
