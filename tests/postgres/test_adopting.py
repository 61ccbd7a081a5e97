"""A database that the prototype kept is taken over whole, and left as it is."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.postgres.naive import opened
from deskstore.domain.errors import ConfigurationError, StorageError
from deskstore.domain.processing import COMPLETED, FAILED, PENDING
from deskstore.services.adopting import AdoptReport, adopt_database
from deskstore.testing.desk import Desk
from tests.postgres.commands import Shell
from tests.postgres.preparing import prepare
from tests.postgres.probes import connected
from tests.servers.databases import Database, Databases

#: the prototype's own schema
SCHEMA: Final = """
CREATE TABLE tickets (
    id SERIAL PRIMARY KEY, company_id VARCHAR(100) NOT NULL, platform VARCHAR(50) NOT NULL, ticket_id VARCHAR(100) NOT NULL,
    raw_data JSONB NOT NULL, processed_data JSONB, summary JSONB, processing_status VARCHAR(50) DEFAULT 'pending',
    created_at TIMESTAMP DEFAULT NOW(), updated_at TIMESTAMP DEFAULT NOW(), UNIQUE(company_id, platform, ticket_id)
);
CREATE TABLE knowledge_base (
    id SERIAL PRIMARY KEY, company_id VARCHAR(100) NOT NULL, platform VARCHAR(50) NOT NULL, article_id VARCHAR(100) NOT NULL,
    title TEXT, content TEXT, raw_data JSONB NOT NULL, created_at TIMESTAMP DEFAULT NOW(), updated_at TIMESTAMP DEFAULT NOW(),
    UNIQUE(company_id, platform, article_id)
);
CREATE TABLE processing_progress (
    id SERIAL PRIMARY KEY, company_id VARCHAR(100) NOT NULL, platform VARCHAR(50) NOT NULL, total_items INTEGER DEFAULT 0,
    processed_items INTEGER DEFAULT 0, failed_items INTEGER DEFAULT 0, progress_percentage DECIMAL(5,2) DEFAULT 0.0,
    last_updated TIMESTAMP DEFAULT NOW(), UNIQUE(company_id, platform)
);
ALTER TABLE tickets ENABLE ROW LEVEL SECURITY;
ALTER TABLE knowledge_base ENABLE ROW LEVEL SECURITY;
CREATE POLICY tickets_company_isolation ON tickets FOR ALL TO {app} USING (company_id = current_setting('app.current_company_id'));
GRANT SELECT, INSERT, UPDATE ON tickets, knowledge_base, processing_progress TO {app};
"""
SAVED: Final = "2026-03-02T09:00:00"
LATER: Final = datetime(2026, 3, 3, 9)  # noqa: DTZ001 - as the prototype wrote it


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    async with databases.fresh() as made:
        async with connected(made.owner_url) as owner:
            await owner.execute(SCHEMA.format(app=made.app_role))
        yield made


def saved(company: str, **payload: object) -> str:
    """What the prototype's save_ticket wrote into raw_data."""
    return json.dumps({**payload, "company_id": company, "platform": "freshdesk", "saved_at": SAVED, "storage_type": "postgresql"})


async def put_ticket(owner: asyncpg.Connection, company: str, ticket_id: str, raw: str, **columns: object) -> None:
    given = {"processed_data": None, "summary": None, "processing_status": "pending", **columns}
    await owner.execute(
        "INSERT INTO tickets"
        " (company_id, platform, ticket_id, raw_data, processed_data, summary, processing_status, created_at, updated_at)"
        " VALUES ($1, 'freshdesk', $2, $3, $4, $5, $6, $7, $7)",
        company,
        ticket_id,
        raw,
        given["processed_data"],
        given["summary"],
        given["processing_status"],
        LATER,
    )


async def fill(database: Database) -> None:
    async with connected(database.owner_url) as owner:
        await put_ticket(owner, "acme", "1", saved("acme", id=1, ticket_id="1", subject="One", description_text="a", status=2))
        await put_ticket(
            owner,
            "acme",
            "2",
            saved("acme", id=2, ticket_id="2", subject="Two", status=5),
            processing_status="completed",
            processed_data='{"intent": "refund"}',
            summary='{"text": "short"}',
        )
        await put_ticket(
            owner,
            "acme",
            "3",
            saved("acme", id=3, ticket_id="3", processed_data={"inside": 1}),
            processing_status="failed",
            summary='"words"',
        )
        await put_ticket(owner, "acme", "4", json.dumps({"id": 9, "subject": "by hand"}), processing_status="weird")
        await put_ticket(owner, "acme", "5", json.dumps(["no object"]))
        await put_ticket(owner, "globex", "1", saved("globex", id=1, ticket_id="1", subject="theirs"))
        await owner.execute(
            "INSERT INTO knowledge_base (company_id, platform, article_id, title, content, raw_data) VALUES"
            " ('acme', 'freshdesk', '7', 'How', 'So', $1),"
            " ('initech', 'freshdesk', '8', 'Only', 'here', $2)",
            json.dumps({"id": 7, "title": "How", "content": "So", "company_id": "acme", "platform": "freshdesk", "saved_at": SAVED}),
            json.dumps({"id": 8}),
        )
        await owner.execute(
            "INSERT INTO processing_progress (company_id, platform, total_items, processed_items) VALUES ('acme', 'freshdesk', 9, 1)"
        )


async def digest(database: Database) -> str:
    async with connected(database.owner_url) as owner:
        rows = [await owner.fetch(f"SELECT * FROM {name} ORDER BY id") for name in ("tickets", "knowledge_base", "processing_progress")]  # noqa: S608 - names of ours
    return hashlib.sha256(repr(rows).encode()).hexdigest()


async def adopted(database: Database, storage: MemoryStorage, **options: Any) -> AdoptReport:  # Any: what adopt_database takes
    async with opened(database.owner_url) as old:
        return await adopt_database(storage, old, **options)


async def test_everything_is_taken_over_and_the_old_database_stays_as_it_is(database: Database) -> None:
    await fill(database)
    before, storage = await digest(database), MemoryStorage()

    report = await adopted(database, storage)

    found = await Desk(storage, "acme").everything()
    assert [one.data for one in found.tickets] == [
        {"id": 1, "status": 2, "subject": "One", "ticket_id": "1", "description_text": "a"},
        {"id": 2, "status": 5, "subject": "Two", "ticket_id": "2"},
        {"id": 3, "ticket_id": "3"},
        {"id": 9, "subject": "by hand"},
    ]
    assert [(one.ticket_id, one.fields.subject) for one in found.tickets] == [("1", "One"), ("2", "Two"), ("3", None), ("4", "by hand")]
    assert [one.status for one in found.processing] == [PENDING, COMPLETED, FAILED, PENDING]
    assert [(one.key.id, one.number, one.prompt_id, json.loads(one.content)) for one in found.summaries] == [
        ("2", 1, "adopted:processed_data", {"intent": "refund"}),
        ("2", 2, "adopted:summary", {"text": "short"}),
        ("3", 1, "adopted:processed_data", {"inside": 1}),
        ("3", 2, "adopted:summary", {"summary": "words"}),
    ]
    assert [one.data for one in found.articles] == [{"id": 7, "title": "How", "content": "So"}]
    assert await storage.companies() == ["acme", "globex", "initech"]
    assert [(one.file, one.reason) for one in report.not_placed] == [("tickets: acme/freshdesk/5", report.not_placed[0].reason)]
    assert [(one.name, one.recorded, one.counted) for one in report.differences] == [("total_tickets", 9, 4), ("failed_tickets", 0, 1)]
    assert await digest(database) == before


async def test_what_cannot_be_known_or_kept_is_named(database: Database) -> None:
    await fill(database)
    async with connected(database.owner_url) as owner:
        await owner.execute("ALTER TABLE tickets ADD COLUMN assignee text")

    report = await adopted(database, MemoryStorage())

    said = {(remark.company_id, remark.text): remark.files for remark in report.remarks}
    assert next(files for (_, text), files in said.items() if "kept no order of keys" in text)[0] == "tickets: acme/freshdesk/1"
    assert next(files for (_, text), files in said.items() if "is none of pending" in text) == ("tickets: acme/freshdesk/4",)
    assert next(files for (_, text), files in said.items() if "nothing was cut out" in text)[0] == "tickets: acme/freshdesk/4"
    assert next(files for (_, text), files in said.items() if "title or a content" in text) == ("articles: initech/freshdesk/8",)
    assert ("tickets.assignee", True) in [(one.file, "old database alone" in one.reason) for one in report.not_placed]


async def test_adopting_twice_or_after_a_dry_run_changes_nothing(database: Database) -> None:
    await fill(database)
    storage = MemoryStorage()

    dry = await adopted(database, storage, dry_run=True)
    nothing = await storage.companies()
    first = await adopted(database, storage)
    kept = await Desk(storage, "acme").everything()
    second = await adopted(database, storage)

    assert nothing == []
    assert [(row.kind, row.created) for row in dry.rows] == [(row.kind, row.created) for row in first.rows]
    assert all(row.created == row.updated == row.stale == 0 for row in second.rows)
    assert await Desk(storage, "acme").everything() == kept


async def test_companies_that_are_named_are_taken_alone_and_others_refused(database: Database) -> None:
    await fill(database)
    storage = MemoryStorage()

    await adopted(database, storage, companies=["globex"])

    assert await storage.companies() == ["globex"]
    with pytest.raises(ConfigurationError, match="knows no company 'nobody'"):
        await adopted(database, storage, companies=["nobody"])


async def test_a_login_from_which_rows_are_hidden_is_refused(database: Database) -> None:
    await fill(database)

    with pytest.raises(ConfigurationError, match="row-level security hides rows of tickets from this login"):
        async with opened(database.app_url):
            pass


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("DROP TABLE tickets", "has no table tickets"),
        ("ALTER TABLE tickets DROP COLUMN summary", "the table tickets has no column summary"),
    ],
)
async def test_another_database_is_refused(database: Database, statement: str, line: str) -> None:
    async with connected(database.owner_url) as owner:
        await owner.execute(statement)

    with pytest.raises(StorageError, match=line):
        async with opened(database.owner_url):
            pass


def test_the_command_takes_a_database_over_and_says_what_it_left(
    database: Database, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asyncio.run(fill(database))
    shell = Shell(monkeypatch, capfd.readouterr)
    shell.set(DATA_PATH=str(tmp_path / "data"))

    ran = shell("adopt", "--from-postgres", database.owner_url)
    wrong = shell("adopt", "--from-postgres", database.owner_url.replace("@", "x@"))
    neither = shell("adopt")

    assert ran.code == 3
    assert "deskstore: not placed: tickets: acme/freshdesk/5: " in ran.err
    assert "deskstore: 1 row was not placed, and lies in the old database as before: keep it until each of them is accounted for" in ran.err
    assert "says total_tickets 9, and the old database has 4" in ran.err
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)
    assert "database's name in --from-postgres" in wrong.err
    assert (neither.code, neither.err.count("\n")) == (2, 1)


async def test_payload_and_metadata_together_are_what_the_row_held(database: Database) -> None:
    await fill(database)
    storage = MemoryStorage()

    await adopted(database, storage)

    async with connected(database.owner_url) as owner:
        rows = {
            row[0]: json.loads(row[1])
            for row in await owner.fetch("SELECT ticket_id, raw_data::text FROM tickets WHERE company_id = 'acme'")
        }
    for ticket in (await Desk(storage, "acme").everything()).tickets:
        held = rows[ticket.ticket_id]
        apart = {name: value for name, value in held.items() if name not in ticket.data}
        assert {**ticket.data, **apart} == held
        assert {*apart} <= {"company_id", "platform", "saved_at", "storage_type", "processed_data"}


async def test_a_database_may_be_adopted_into_itself(database: Database) -> None:
    await fill(database)
    await prepare(database)
    storage = PostgresStorage(database.app_url)
    try:
        async with opened(database.owner_url) as old:
            await adopt_database(storage, old)
        with_payloads = [one.payload for one in (await Desk(storage, "acme").everything()).tickets]
    finally:
        await storage.aclose()

    async with connected(database.owner_url) as owner:
        texts = [row[0] for row in await owner.fetch("SELECT raw_data::text FROM tickets WHERE company_id = 'acme' ORDER BY ticket_id")]
    assert with_payloads[3].decode() == texts[3]
    assert len(with_payloads) == 4
