"""No page and no stream sorts: each set of filters reads an index in the order it is asked for."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator

import pytest

from deskstore.adapters.file import database, statements
from deskstore.domain import times
from deskstore.domain.identifiers import Key
from deskstore.domain.paging import Filter, Position
from deskstore.domain.processing import FAILED

PLATFORMS = (None, "freshdesk")
STATUSES: tuple[tuple[str | None, tuple[tuple[str, str], ...]], ...] = ((None, ()), ("2", ()), ("resolved", (("freshdesk", "4"),)))
PROCESSING = (None, FAILED)
FROM = (None, times.EPOCH)
FILTERS = [
    Filter(platform=platform, status=status, status_aliases=aliases, processing=processing, created_from=created_from)
    for platform, (status, aliases), processing, created_from in itertools.product(PLATFORMS, STATUSES, PROCESSING, FROM)
]


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.executescript(database.SCHEMA)
    yield connection
    connection.close()


@pytest.mark.parametrize("where", FILTERS, ids=str)
@pytest.mark.parametrize("below", [None, Position((5, "freshdesk", "1", ""))])
def test_a_page_reads_an_index_in_its_order(connection: sqlite3.Connection, where: Filter, below: Position | None) -> None:
    text, values = statements.page("ticket", where, below)

    plan = _plan(connection, text, [*values, 10, 0])

    assert "USE TEMP B-TREE" not in plan
    assert "SEARCH" in plan


def test_a_page_looks_up_its_own_records_alone(connection: sqlite3.Connection) -> None:
    text, values = statements.page_at("ticket", Filter(platform="freshdesk", status="2"))

    plan = _plan(connection, text, [*values, 10, 5_000])

    assert "COVERING INDEX record_status" in plan, "what an offset leaves out is not looked up"
    assert "SEARCH record USING PRIMARY KEY" in plan


@pytest.mark.parametrize("where", FILTERS, ids=str)
@pytest.mark.parametrize("after", [None, Key("ticket", "freshdesk", "1"), Key("ticket", "a", "1"), Key("ticket", "z", "1")])
def test_a_stream_reads_the_primary_key_in_its_order(connection: sqlite3.Connection, where: Filter, after: Key | None) -> None:
    text, values = statements.stream("ticket", where, after)

    plan = _plan(connection, text, [*values, 10])

    assert "USE TEMP B-TREE" not in plan
    assert "PRIMARY KEY" in plan


@pytest.mark.parametrize(
    ("where", "index"),
    [
        (Filter(), "record_page"),
        (Filter(platform="freshdesk"), "record_platform"),
        (Filter(status="2"), "record_status"),
        (Filter(platform="freshdesk", status="2"), "record_status"),
        (Filter(processing=FAILED), "record_processing"),
        (Filter(platform="freshdesk", processing=FAILED), "record_processing"),
    ],
    ids=str,
)
def test_a_page_reads_only_what_passes_its_filter(connection: sqlite3.Connection, where: Filter, index: str) -> None:
    text, values = statements.page("ticket", where, None)
    behind, more = statements.page_at("ticket", where)

    plan, plan_behind = _plan(connection, text, [*values, 10, 0]), _plan(connection, behind, [*more, 10, 5])

    assert f"USING INDEX {index} " in plan
    assert f"COVERING INDEX {index} " in plan_behind


def _plan(connection: sqlite3.Connection, text: str, values: list[str | int]) -> str:
    return "\n".join(row[3] for row in connection.execute(f"explain query plan {text}", values))
