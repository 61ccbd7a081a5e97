"""A program that reads files starts quickly: it loads what reading takes, and none of what writes, maps, mends or draws."""

from pathlib import Path

import pytest

from deskstore.bootstrap import Settings, open_storage
from deskstore.services.processing import claim_tickets, complete
from deskstore.services.summaries import SummaryDraft
from deskstore.services.tickets import save_ticket
from tests.payloads import freshdesk
from tests.test_bootstrap import HEAVY, modules_after

FACADE = "import asyncio, deskstore; asyncio.run(deskstore.get_storage().list_companies())"
OPENED = """
import asyncio, deskstore
async def main():
    async with deskstore.open_storage() as storage:
        await storage.companies()
asyncio.run(main())
"""
STATUS = "from deskstore.cli import main; main(['status'])"
LISTED = "from deskstore.cli import main; main(['ticket', 'list', '--company', 'acme'])"

SERVERS = {"aiofiles", "concurrent.futures.process", "multiprocessing", "stamina", "zstandard"}
WRITING = {
    "cattrs",
    "deskstore.adapters.file.envelope",
    "deskstore.adapters.file.rebuilding",
    "deskstore.adapters.file.replica",
    "deskstore.adapters.file.writing",
    "deskstore.domain.changes",
    "deskstore.domain.claims",
    "deskstore.domain.commits",
    "deskstore.domain.mirror",
    "deskstore.domain.receiving",
    "deskstore.domain.summaries",
    "deskstore.services.receiving",
    "deskstore.services.summaries",
    "hmac",
    "msgspec",
    "random",
    "secrets",
    "typing_extensions",
}
MAPPING = {"deskstore.formats.naive", "deskstore.formats.platforms", "deskstore.formats.streams"}
MENDING = {
    "deskstore.adapters.file.inspecting",
    "deskstore.adapters.file.inspection",
    "deskstore.adapters.file.mending",
    "deskstore.adapters.file.offering",
    "deskstore.domain.findings",
    "difflib",
    "tempfile",
}
ERASING = {"deskstore.domain.erasures", "deskstore.services.erasing"}

#: all of ours that is loaded to tell which companies there are; whatever is added, every program waits for before its first answer
OF_OPENING = {
    "deskstore",
    "deskstore.adapters",
    "deskstore.adapters.file",
    "deskstore.adapters.file.company_file",
    "deskstore.adapters.file.database",
    "deskstore.adapters.file.descent",
    "deskstore.adapters.file.handles",
    "deskstore.adapters.file.layout",
    "deskstore.adapters.file.listing",
    "deskstore.adapters.file.names",
    "deskstore.adapters.file.place",
    "deskstore.adapters.file.readers",
    "deskstore.adapters.file.storage",
    "deskstore.adapters.file.syncing",
    "deskstore.adapters.file.tree",
    "deskstore.bootstrap",
    "deskstore.domain",
    "deskstore.domain.errors",
    "deskstore.domain.identifiers",
    "deskstore.domain.things",
    "deskstore.domain.times",
}
OF_THE_FACADE = {
    "deskstore.facade",
    "deskstore.facade.dicts",
    "deskstore.facade.interface",
    "deskstore.facade.opening",
    "deskstore.facade.storage",
    "deskstore.facade.turns",
    "deskstore.services",
    "deskstore.services.companies",
}
#: what only records need
READING = {"hashlib", "orjson", "uuid"}


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A folder with a company's files in it, one of them a ticket that was worked on."""
    async with open_storage(Settings(data_path=tmp_path / "data")) as storage:
        await save_ticket(storage, "acme", "freshdesk", freshdesk())
        (claimed,) = await claim_tickets(storage, "acme", "freshdesk", 1, worker="ann")
        await complete(storage, "acme", claimed, summary=SummaryDraft(content=b'{"text": "cannot log in"}'))
    return tmp_path


@pytest.mark.parametrize("program", [FACADE, OPENED, STATUS, LISTED], ids=["facade", "opened", "status", "list"])
def test_a_program_that_reads_loads_nothing_it_has_no_use_for(program: str, folder: Path) -> None:
    loaded = modules_after(program, folder)

    assert "deskstore.adapters.file.storage" in loaded
    assert sorted(loaded & {*HEAVY, *SERVERS, *WRITING, *MAPPING, *MENDING, *ERASING}) == []


@pytest.mark.parametrize(("program", "needed"), [(OPENED, OF_OPENING), (FACADE, OF_OPENING | OF_THE_FACADE)], ids=["opened", "facade"])
def test_a_first_call_that_asks_for_the_companies_loads_nothing_that_records_need(program: str, needed: set[str], folder: Path) -> None:
    loaded = modules_after(program, folder)

    assert sorted(name for name in loaded if name.startswith("deskstore")) == sorted(needed)
    assert sorted(loaded & READING) == []


def test_the_first_call_through_the_facade_needs_no_command_line(folder: Path) -> None:
    assert sorted(modules_after(FACADE, folder) & {"click", "deskstore.cli"}) == []


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_what_is_printed_without_a_store_needs_no_classes_and_no_log(word: str, tmp_path: Path) -> None:
    loaded = modules_after(f"from deskstore.cli import main; main(['{word}'])", tmp_path)

    assert sorted(loaded & {"attr", "attrs", "asyncio", "json", "logging", "traceback", *HEAVY}) == []
