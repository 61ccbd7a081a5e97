"""Whatever the records of a company hold, nothing of it is in a span, a metric or a line of the log."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.observing import ObservedStorage
from deskstore.adapters.otel import TraceIds
from deskstore.domain.errors import StorageError
from deskstore.domain.ports import Storage
from deskstore.formats.logs import JsonLines
from deskstore.services.articles import get_article, save_article
from deskstore.services.erasing import erase_requester
from deskstore.services.exporting import export_records
from deskstore.services.importing import import_records
from deskstore.services.processing import claim_tickets, complete, fail
from deskstore.services.summaries import SummaryDraft, summary_history
from deskstore.services.tickets import get_ticket, list_tickets, save_ticket
from tests.otel.seeing import Seen
from tests.payloads import as_bytes

MARK = "hush-"  #: stands before each text, and no escape changes it
DESK = "freshdesk"


def texts() -> st.SearchStrategy[str]:
    """Texts of records: of every script, with whatever a formatter, a terminal or a parser could stumble over."""
    return st.text(max_size=30).map(lambda text: MARK + text)


@given(text=texts())
@example(text=MARK + '%s %(message)s {0} ${x} \n\r\x1b[31m\x00 "} \ud800 \u2028')
@settings(max_examples=25)
async def test_no_text_of_a_record_is_told(text: str) -> None:
    seen, lines = Seen(), _Lines()
    storage = ObservedStorage(MemoryStorage(), seen.observer, adapter="memory")
    logger = logging.getLogger("deskstore")
    logger.addHandler(lines)
    logger.setLevel(logging.DEBUG)

    with TemporaryDirectory() as folder, seen.tracer.start_as_current_span("an application"):
        await _everything(storage, text, Path(folder))
        await _what_goes_wrong(storage, text, Path(folder))
    logger.removeHandler(lines)

    assert len(seen.spans()) > 20
    assert MARK not in seen.everything()
    assert lines.written
    assert [line for line in lines.written if MARK in line] == []


async def _everything(storage: Storage, text: str, folder: Path) -> None:
    export = folder / "export.json"
    export.write_bytes(as_bytes([_ticket(number, text) for number in range(4)] + [{"subject": text}]))
    await import_records(storage, "acme", DESK, [export], rejects=folder / "rejects")
    await save_ticket(storage, "acme", DESK, _ticket(1, text) | {"status": 4})
    await list_tickets(storage, "acme", DESK, status="2")
    first, second = await claim_tickets(storage, "acme", DESK, 2, worker="a worker")
    await complete(storage, "acme", first, summary=SummaryDraft(content={text: text}, model=text, prompt_id=text))
    await fail(storage, "acme", second, text)
    await summary_history(storage, "acme", first.key)
    await save_article(storage, "acme", "docs", {"id": f"{MARK}9", "title": text, "body": text})
    await get_article(storage, "acme", "docs", f"{MARK}9")
    await export_records(storage, "acme", folder / "all.ndjson")
    await erase_requester(storage, "acme", DESK, f"{MARK}3")


async def _what_goes_wrong(storage: Storage, text: str, folder: Path) -> None:
    broken = folder / "table.csv"
    broken.write_text(f"id,subject\n1,{MARK}\n")
    for wrong in (
        save_ticket(storage, "acme", DESK, {"subject": text}),
        save_ticket(storage, "acme", DESK, as_bytes({"id": 1, "subject": text})[:-1]),
        get_ticket(storage, "acme", DESK, f"{MARK}missing"),
        import_records(storage, "acme", DESK, [broken]),
        list_tickets(storage, "acme", DESK, after=MARK),
        save_ticket(storage, f"{MARK}\n", DESK, _ticket(1, text)),
        export_records(storage, f"{MARK}\n", folder / "none.ndjson"),
    ):
        try:
            await wrong
        except StorageError:
            continue
        raise AssertionError(wrong)


def _ticket(number: int, text: str) -> dict[str, Any]:  # Any: fields hold what a platform sends
    return {
        "id": f"{MARK}{number}",
        "subject": text,
        "description_text": text,
        "status": text,
        "requester_id": f"{MARK}{number}",
        "created_at": "2026-11-20T09:14:00Z",
        text: {"nested": [text]},
    }


class _Lines(logging.Handler):
    """The log as JSON lines, and as all that a handler of somebody else's could write of it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.written: list[str] = []
        self.setFormatter(JsonLines())
        self.addFilter(TraceIds())

    def emit(self, record: logging.LogRecord) -> None:
        self.written += [self.format(record), repr(vars(record))]
