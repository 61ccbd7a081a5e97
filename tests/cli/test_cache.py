"""`deskstore cache`, and what other commands say of it, before a real database."""

import pytest

from deskstore.adapters.embedded.ports import HOST, free_port
from tests.cli.conftest import Deskstore
from tests.cli.test_json import written_down
from tests.servers.choosing import Server
from tests.servers.databases import Database


@pytest.fixture
def cached(deskstore: Deskstore, fresh_database: Database, redis_server: Server, monkeypatch: pytest.MonkeyPatch) -> Deskstore:
    """The command with a database and a Redis in its environment."""
    monkeypatch.setenv("STORAGE_TYPE", "postgresql")
    monkeypatch.setenv("DATABASE_URL", fresh_database.app_url)
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    return deskstore


def test_statistics_say_whether_the_cache_answers_and_of_what_use_it_was(cached: Deskstore) -> None:
    ran = cached("cache", "stats", "--company", "acme", "--json")

    shown = written_down()["cache stats"]
    assert ran.code == 0
    assert ran.json["cache"].keys() == shown["cache"].keys()
    assert ran.json["cache"]["answers"] is True
    assert [one.keys() for one in ran.json["companies"]] == [shown["companies"][0].keys()]
    assert cached("cache", "stats", "--company", "acme").lines[1] == ["COMPANY", "HITS", "MISSES", "BYPASSES", "ERRORS", "HIT"]


def test_a_flush_ends_what_is_cached_of_a_company(cached: Deskstore) -> None:
    ran = cached("cache", "flush", "--company", "acme", "--json")

    assert (ran.code, ran.json) == (0, written_down()["cache flush"])
    assert "counts any more" in cached("cache", "flush", "--company", "acme").err


def test_status_and_doctor_have_a_line_on_the_cache(cached: Deskstore) -> None:
    assert cached("status").out.splitlines()[1].startswith("cache: redis://")
    assert cached("status", "--json").json["storage"]["cache"].startswith("redis://")
    assert [line[1] for line in cached("doctor").lines if line[:1] == ["cache"]] == ["ok"]


def test_a_cache_that_does_not_answer_is_named_and_nothing_else_fails(cached: Deskstore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://:secret@{HOST}:{free_port()}/0")

    stats, flush, status, doctor = (cached(*words.split()) for words in ("cache stats", "cache flush --company acme", "status", "doctor"))

    assert (stats.code, flush.code, status.code, doctor.code) == (4, 4, 0, 1)
    assert "does not answer" in stats.out
    assert "does not answer" in flush.err
    (line,) = [line for line in status.out.splitlines() if line.startswith("cache: ")]
    assert ", does not answer: " in line
    assert (line.count("redis://"), ".:" in line) == (1, False)
    assert "cache: redis://" in doctor.err
    assert "secret" not in "".join(ran.out + ran.err for ran in (stats, flush, status, doctor))


def test_without_a_cache_the_command_says_what_turns_it_on(deskstore: Deskstore) -> None:
    ran = deskstore("cache", "stats")

    assert ran.code == 2
    assert "REDIS_URL" in ran.err


def test_an_address_that_no_client_can_use_is_a_wrong_setting(cached: Deskstore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://host:no-port/0")

    ran = cached("status")

    assert ran.code == 2
    assert "REDIS_URL" in ran.err
