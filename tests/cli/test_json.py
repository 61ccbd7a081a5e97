"""What every command prints with --json is what docs/reference/json.md shows, key by key."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve

from deskstore.bootstrap import Settings, open_storage
from deskstore.services.articles import get_article
from deskstore.services.companies import erase_company
from deskstore.services.processing import claim_tickets
from deskstore.services.summaries import SummaryDraft, save_summary
from deskstore.services.tickets import save_ticket
from tests.cli.conftest import Deskstore
from tests.cli.every_command import commands
from tests.pages import ROOT
from tests.payloads import as_bytes
from tests.services.first_version import FirstVersion

PAGE: Final = ROOT / "docs" / "reference" / "json.md"
SECTION: Final = re.compile(r"^## deskstore (?P<name>[a-z -]+)\n.*?^```json\n(?P<shape>.*?)^```$", re.MULTILINE | re.DOTALL)
WITHOUT: Final = {"completion"}  #: what they print is meant for a shell
IN_A_DATABASE: Final = {"db check", "db current", "db sql", "db upgrade"}  #: what they print, tests/postgres/test_db_command.py compares
BETWEEN_TWO_STORES: Final = {
    f"migrate {step}" for step in ("cutover", "finish", "plan", "repair", "rollback", "start", "status", "verify")
}  #: what they print, tests/cli/test_migrate.py compares
BY_ITSELF: Final = {"adapters test"}  #: it runs pytest; what it prints, tests/cli/test_adapters.py compares
WITH_A_CACHE: Final = {"cache flush", "cache stats"}  #: what they print, tests/cli/test_cache.py compares
OF_ACME: Final = ("--company", "acme", "--platform", "freshdesk")
OF_DOCS: Final = ("--company", "acme", "--platform", "docs")
#: command -> a line that shows all that it prints, and how it ends
LINES: Final[Mapping[str, tuple[Sequence[str], int]]] = {
    "adapters list": (["adapters", "list"], 0),
    "adopt": (["adopt", "tree"], 3),
    "backup check": (["backup", "check", "acme.tar"], 0),
    "backup create": (["backup", "create", "--company", "acme", "-o", "new.tar"], 0),
    "backup forget": (["backup", "forget", "--company", "acme"], 0),
    "backup list": (["backup", "list", "."], 0),
    "backup restore": (["backup", "restore", "acme.tar", "--company", "copy", "--of", "acme"], 0),
    "claim list": (["claim", "list", "--company", "acme"], 0),
    "claim release": (["claim", "release", "--company", "acme", "--worker", "worker-1"], 0),
    "claim requeue": (["claim", "requeue", "--company", "acme", "--yes"], 0),
    "company erase": (["company", "erase", "acme", "--yes"], 0),
    "company erase-requester": (["company", "erase-requester", "77", *OF_ACME, "--yes"], 0),
    "company erasures": (["company", "erasures"], 0),
    "company list": (["company", "list"], 0),
    "config show": (["config", "show"], 0),
    "demo": (["demo"], 0),
    "doctor": (["doctor", "--accept-edits"], 0),
    "export": (["export", *OF_ACME, "-o", "acme.ndjson"], 0),
    "import": (["import", "more.ndjson", *OF_ACME], 3),
    "kb get": (["kb", "get", "7", "--locale", "ko", "--company", "acme", "--platform", "docs"], 0),
    "kb list": (["kb", "list", "--company", "acme"], 0),
    "progress": (["progress", *OF_ACME], 0),
    "status": (["status"], 0),
    "summaries history": (
        ["summaries", "history", "7", "--kind", "articles", "--locale", "ko", "--company", "acme", "--platform", "docs"],
        0,
    ),
    "summaries stale": (["summaries", "stale", "--company", "acme"], 0),
    "ticket get": (["ticket", "get", "1", *OF_ACME], 0),
    "ticket list": (["ticket", "list", *OF_ACME, "--limit", "1"], 0),
    "ticket set-status": (["ticket", "set-status", "2", "failed", *OF_ACME], 0),
}
#: what differs from run to run, as the page shows it
SHOWN: Final[Mapping[str, object]] = {
    "began_at": "2026-11-20T09:14:00Z",
    "changed_at": "2026-11-20T09:14:00Z",
    "content_digest": "5f0c3b0a",
    "digest": "5f0c3b0a",
    "kept_out_since": "2026-11-20T09:14:00Z",
    "ended_at": "2026-11-20T09:15:00Z",
    "erased_at": "2026-11-20T09:14:00Z",
    "last_updated": "2026-11-20T09:14:00Z",
    "lease_until": "2026-11-20T09:19:00Z",
    "next": "WzE3NjM0NjAwMDAwMDAwMDAsImZyZXNoZGVzayIsIjIiXQ",
    "replica_digest": "77a1d4e9",
    "saved_at": "2026-11-20T09:14:00Z",
    "size_bytes": 5120,
    "store": "file-0e5d6c1a",
    "version": 1795166040000000,
    "written_at": "2026-11-20T09:14:00Z",
}
TICKETS: Final = [
    {"id": 1, "subject": "Where is my order?", "description_text": "...", "status": 2, "created_at": "2026-11-18T10:00:00Z"},
    {"id": 2, "subject": "환불 문의", "requester_id": 77, "description_text": "...", "status": 5, "created_at": "2026-11-17T10:00:00Z"},
]


def written_down() -> dict[str, Any]:  # Any: JSON
    return {found["name"]: json.loads(found["shape"]) for found in SECTION.finditer(PAGE.read_text(encoding="utf-8"))}


def steady(printed: str, folder: str) -> Any:  # Any: JSON
    """The same document as any run, anywhere, at any time would print it."""

    def fixed(found: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
        return {key: SHOWN[key] if key in SHOWN and value is not None else value for key, value in found.items()}

    return json.loads(printed.replace(f"{folder}/", ""), object_hook=fixed)


def shortened(name: str, said: Any) -> Any:  # Any: JSON
    """The first of many, where the page shows no more; what the machine says of itself, as the page does."""
    if name == "adapters list":
        return {**said, "adapters": said["adapters"][:1]}
    if name == "demo":
        return {"checks": said["checks"][:1], "platforms": said["platforms"][:1]}
    if name == "doctor":
        return {**said, "settings": said["settings"][:1], "checks": said["checks"][:2]}
    return said


@pytest.fixture
def busy(deskstore: Deskstore, tmp_path: Path, data_path: Path) -> Deskstore:
    """A company with two tickets, one of them claimed, and an article whose summary is stale; files to import; and a tree to adopt."""
    (tmp_path / "tickets.json").write_bytes(as_bytes(TICKETS))
    (tmp_path / "kb.json").write_bytes(b'[{"id": 7, "title": "How", "body": "so", "created_at": "2026-11-16T10:00:00Z"}]')
    (tmp_path / "more.ndjson").write_bytes(as_bytes(TICKETS[0]) + b"\n{]\n")
    deskstore("import", "tickets.json", *OF_ACME)
    deskstore("import", "kb.json", "--company", "acme", "--platform", "docs", "--locale", "ko")
    old = FirstVersion(tmp_path / "tree")
    old.save_ticket("globex", "freshdesk", {"id": 1})
    old.save_ticket("globex", "freshdesk", {"subject": "no id"})
    (old.base_path / "globex/freshdesk/tickets/torn.json").write_bytes(b"{")
    old.put_progress("globex", "freshdesk", {"total_tickets": 9})
    asyncio.run(work(data_path))
    deskstore("backup", "create", "--company", "acme", "-o", "acme.tar")
    return deskstore


async def work(data_path: Path) -> None:
    """Claim a ticket, summarise an article as it never was, and erase another company."""
    async with open_storage(Settings(data_path=data_path)) as storage:
        await claim_tickets(storage, "acme", "freshdesk", 1, worker="worker-1", lease=timedelta(minutes=5))
        article = await get_article(storage, "acme", "docs", "7", "ko")
        another = evolve(article, fields=evolve(article.fields, text_digest=bytes(32)))
        draft = SummaryDraft(content={"text": "how"}, model="a-model", prompt_id="short-1")
        await save_summary(storage, "acme", another, draft)
        await save_ticket(storage, "initech", "freshdesk", TICKETS[0])
        await erase_company(storage, "initech")


@pytest.mark.parametrize("name", LINES)
def test_the_json_of_a_command_has_the_shape_that_was_written_down(busy: Deskstore, tmp_path: Path, data_path: Path, name: str) -> None:
    words, code = LINES[name]
    if name == "doctor":
        edited = data_path / "acme/freshdesk/tickets/2.json"
        edited.write_bytes(edited.read_bytes().replace(b"...", b"by hand"))

    if name == "claim requeue":
        busy("ticket", "set-status", "2", "failed", *OF_ACME)

    ran = busy(*words, "--json")

    said = shortened(name, steady(ran.out, str(tmp_path)))
    assert ran.code == code
    shown = json.dumps(said, ensure_ascii=False, indent=2)
    assert shown == json.dumps(written_down().get(name), ensure_ascii=False, indent=2), f"docs/reference/json.md, {name}:\n{shown}"


def test_every_command_that_prints_json_has_its_shape_written_down() -> None:
    names = [name for name, _ in commands() if name not in WITHOUT]

    assert sorted(names) == sorted({*LINES, *IN_A_DATABASE, *BETWEEN_TWO_STORES, *BY_ITSELF, *WITH_A_CACHE}) == sorted(written_down())


@pytest.mark.parametrize("name", sorted(LINES.keys() - {"demo"}))
def test_no_command_puts_anything_but_text_into_a_pipe(busy: Deskstore, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    words, _ = LINES[name]

    ran = busy(*words)

    assert ran.out + ran.err
    assert "\x1b" not in ran.out + ran.err
    assert "\r" not in ran.out + ran.err
