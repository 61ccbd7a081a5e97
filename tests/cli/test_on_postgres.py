"""Every command that reads or writes records says on PostgreSQL what it says on files."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.cli.conftest import Deskstore, Ran
from tests.payloads import as_bytes, freshdesk
from tests.servers.databases import Database

OF_ACME: Final = ("--company", "acme", "--platform", "freshdesk")
#: what no two runs have in common
PASSING: Final = re.compile(r'("version": )\d+|("(?:saved_at|changed_at|last_updated|lease_until)": )"[^"]+"|\d{4}-11-\d\d \d\d:\d\d:\d\d')
LINES: Final = (
    ("import", "tickets.json", *OF_ACME),
    ("import", "tickets.json", *OF_ACME, "--json"),
    ("import", "kb.json", "--company", "acme", "--platform", "docs", "--locale", "ko"),
    ("ticket", "list", "--company", "acme"),
    ("ticket", "list", *OF_ACME, "--limit", "1", "--json"),
    ("ticket", "get", "2", *OF_ACME),
    ("ticket", "set-status", "2", "completed", *OF_ACME, "--json"),
    ("ticket", "set-status", "2", "failed", *OF_ACME),
    ("ticket", "set-status", "9", "failed", *OF_ACME),
    ("ticket", "set-status", "3", "failed", *OF_ACME),
    ("claim", "requeue", "--company", "acme"),
    ("claim", "requeue", "--company", "acme", "--yes", "--json"),
    ("ticket", "set-status", "1", "processing", *OF_ACME),
    ("claim", "list", "--company", "acme", "--json"),
    ("claim", "release", "--company", "acme", "--worker", "nobody", "--yes"),
    ("claim", "release", "--company", "acme", "--yes"),
    ("claim", "list", "--company", "acme"),
    ("kb", "list", "--company", "acme", "--json"),
    ("kb", "get", "7", "--locale", "ko", "--company", "acme", "--platform", "docs"),
    ("progress", *OF_ACME, "--json"),
    ("summaries", "stale", "--company", "acme"),
    ("summaries", "stale", "--company", "globex"),
    ("summaries", "stale", "--company", "acme", "--model", "another"),
    ("summaries", "history", "2", *OF_ACME),
    ("summaries", "history", "9", *OF_ACME),
    ("export", *OF_ACME, "-o", "out.ndjson"),
    ("company", "list"),
)


@pytest.fixture
def on_postgres(deskstore: Deskstore, fresh_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Deskstore]:
    """The same command, from then on with the database in its environment, and no company in its files."""

    def run(*words: str) -> Ran:
        return deskstore("--data-path", str(tmp_path / "elsewhere"), *words)

    def change() -> Deskstore:
        monkeypatch.setenv("STORAGE_TYPE", "postgresql")
        monkeypatch.setenv("DATABASE_URL", fresh_database.app_url)
        return run

    return change


def test_the_same_lines_say_the_same_on_both(deskstore: Deskstore, on_postgres: Callable[[], Deskstore], tmp_path: Path) -> None:
    (tmp_path / "tickets.json").write_bytes(as_bytes([freshdesk(number) for number in (1, 2, 3)]))
    (tmp_path / "kb.json").write_bytes(b'[{"id": 7, "title": "How", "body": "so", "created_at": "2026-11-16T10:00:00Z"}]')

    on_files = [said(deskstore, line) for line in LINES]
    exported = (tmp_path / "out.ndjson").read_bytes()
    in_database = [said(on_postgres(), line) for line in LINES]

    assert in_database == on_files
    assert (tmp_path / "out.ndjson").read_bytes() == exported
    assert {code for code, _, _ in on_files} == {0, 1}


def said(deskstore: Deskstore, line: tuple[str, ...]) -> tuple[int, str, str]:
    ran = deskstore(*line)
    return ran.code, PASSING.sub("", ran.out), PASSING.sub("", ran.err)
