"""The prototype's tree, taken over: nothing lost, and what could not be placed named."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deskstore.adapters.file import FileStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.domain import payloads
from deskstore.domain.changes import Changes, Committed
from deskstore.domain.errors import ConfigurationError, CorruptRecord, StorageUnavailable
from deskstore.domain.identifiers import TICKET, Key, article_key, ticket_key
from deskstore.domain.ports import Backend, BeforeCommit, Storage
from deskstore.domain.processing import COMPLETED, FAILED, PENDING, PROCESSING, Processing
from deskstore.domain.records import Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.wrapping import WrappedStorage
from deskstore.formats.naive import APPENDED, PROCESSED_DATA, ProcessedData, as_written, stamp
from deskstore.services import adopting
from deskstore.services.adopting import AdoptReport, adopt
from deskstore.services.articles import get_article
from deskstore.services.companies import get_platform_stats, list_companies
from deskstore.services.importing import import_records
from deskstore.services.processing import claim_tickets, find_processing, get_processing_progress, update_processing_status
from deskstore.services.summaries import stale_summaries, summary_history
from deskstore.services.tickets import find_ticket, get_ticket, list_tickets, save_ticket
from deskstore.testing.faults import FaultyStorage, unavailable
from tests.payloads import as_bytes, freshdesk
from tests.services.conftest import Clock
from tests.services.first_version import Dict, FirstVersion, digest

ACME = "acme"


@pytest.fixture
def old(tmp_path: Path) -> FirstVersion:
    return FirstVersion(tmp_path / "tree")


def raw(number: int = 42, **changes: Any) -> Dict:  # Any: fields hold what a test likes
    """A Freshdesk ticket to which an application added the ticket_id that the prototype named files for."""
    return freshdesk(number, ticket_id=str(number), **changes)


def rows(report: AdoptReport) -> dict[str, tuple[int, int, int, int, int]]:
    return {row.kind: (row.created, row.updated, row.unchanged, row.stale, row.not_placed) for row in report.rows}


def reasons(report: AdoptReport) -> dict[str, str]:
    return {one.file: one.reason for one in report.not_placed}


def remarks(report: AdoptReport) -> dict[str, tuple[str, ...]]:
    return {one.text: one.files for one in report.remarks}


async def processing_of(storage: Storage, key: Key) -> Processing:
    return (await find_processing(storage, ACME, [key]))[key]


# -- what is kept -------------------------------------------------------------------------------------------------------------------------


async def test_a_payload_is_what_it_was_before_the_metadata_was_mixed_in(storage: MemoryStorage, old: FirstVersion) -> None:
    payload = raw(subject='주문 \\ "42"', nested={"b": [1, {"x": None}], "a": 1.5}, more="42")
    before = orjson.dumps(payload, option=orjson.OPT_INDENT_2)
    old.save_ticket(ACME, "freshdesk", payload)

    report = await adopt(storage, old.base_path)

    ticket = await get_ticket(storage, ACME, "freshdesk", "42")
    assert (ticket.payload, ticket.fields.subject) == (before, '주문 \\ "42"')
    assert (rows(report), report.not_placed, report.remarks) == ({"tickets": (1, 0, 0, 0, 0)}, (), ())


async def test_a_record_keeps_the_time_at_which_it_was_saved(storage: MemoryStorage, old: FirstVersion) -> None:
    old.save_ticket(ACME, "freshdesk", raw())

    await adopt(storage, old.base_path)

    assert (await get_ticket(storage, ACME, "freshdesk", "42")).saved_at == old.now.replace(tzinfo=UTC)


async def test_an_article_is_adopted_in_the_language_its_payload_says(storage: MemoryStorage, old: FirstVersion) -> None:
    article = {"id": 7, "title": "How", "body": "So", "locale": "ko", "section_id": 1}
    before = orjson.dumps(article, option=orjson.OPT_INDENT_2)
    old.save_kb_article(ACME, "zendesk", article)
    old.save_kb_article(ACME, "docs", {"article_id": "slug", "title": "Slug"})

    report = await adopt(storage, old.base_path)

    assert (await get_article(storage, ACME, "zendesk", "7", "ko")).payload == before
    assert (await get_article(storage, ACME, "docs", "slug")).fields.subject == "Slug"
    assert [(row.platform, row.kind, row.created) for row in report.rows] == [("docs", "articles", 1), ("zendesk", "articles", 1)]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("pending", PENDING),
        ("processing", PENDING),
        ("completed", COMPLETED),
        ("failed", FAILED),
        ("done", PENDING),
        (None, PENDING),
        (5, PENDING),
    ],
)
async def test_processing_goes_on_where_it_stood(storage: MemoryStorage, old: FirstVersion, said: object, kept: str) -> None:
    old.save_ticket(ACME, "freshdesk", raw())
    old.update_processing_status(ACME, "freshdesk", "42", said)
    changed_at = (old.now - timedelta(seconds=1, microseconds=500_001)).replace(tzinfo=UTC)

    report = await adopt(storage, old.base_path)

    processing = await processing_of(storage, ticket_key("freshdesk", "42"))
    assert (processing.status, processing.changed_at, processing.attempts) == (kept, changed_at, 0)
    assert (processing.claimable_at is None) == (kept in (COMPLETED, FAILED))
    assert b"processing_status" not in (await get_ticket(storage, ACME, "freshdesk", "42")).payload
    assert bool(report.remarks) == (said not in ("pending", "completed", "failed"))
    assert any(repr(said) in text for text in remarks(report)) == (said in ("done", None, 5))


async def test_a_ticket_that_was_being_processed_can_be_claimed_again(storage: MemoryStorage, old: FirstVersion) -> None:
    old.save_ticket(ACME, "freshdesk", raw())
    old.update_processing_status(ACME, "freshdesk", "42", "processing")

    report = await adopt(storage, old.base_path)

    (claimed,) = await claim_tickets(storage, ACME, "freshdesk", 5, worker="w")
    assert claimed.key.id == "42"
    assert "it was being processed: it is pending again" in remarks(report)


async def test_processed_data_becomes_the_first_summary_and_the_summary_file_the_second(storage: MemoryStorage, old: FirstVersion) -> None:
    ticket = raw()
    old.save_ticket(ACME, "freshdesk", ticket)
    ticket["processed_data"] = {"topic": "배송", "n": [1, 2]}
    old.save_ticket(ACME, "freshdesk", ticket)
    old.save_summary(ACME, "freshdesk", "42", {"text": "late"})
    written_at = old.now.replace(tzinfo=UTC)

    report = await adopt(storage, old.base_path)

    first, second = await summary_history(storage, ACME, ticket_key("freshdesk", "42"))
    assert (first.number, first.prompt_id, first.data) == (1, "adopted:processed_data", {"topic": "배송", "n": [1, 2]})
    assert (second.number, second.prompt_id, second.data, second.created_at) == (2, "adopted:summary", {"text": "late"}, written_at)
    assert b"processed_data" not in (await get_ticket(storage, ACME, "freshdesk", "42")).payload
    assert [one async for one in stale_summaries(storage, ACME)] == []
    assert rows(report) == {"summaries": (2, 0, 0, 0, 0), "tickets": (1, 0, 0, 0, 0)}


async def test_a_summary_alone_is_the_first(storage: MemoryStorage, old: FirstVersion) -> None:
    old.save_ticket(ACME, "freshdesk", raw())
    old.save_summary(ACME, "freshdesk", 42, {"text": "only"})

    await adopt(storage, old.base_path)

    assert [(one.number, one.prompt_id) for one in await summary_history(storage, ACME, ticket_key("freshdesk", "42"))] == [
        (1, "adopted:summary")
    ]


async def test_a_summary_goes_to_the_article_where_no_ticket_has_its_id(storage: MemoryStorage, old: FirstVersion) -> None:
    old.save_kb_article(ACME, "zendesk", {"id": 7, "title": "How", "locale": "ko"})
    old.save_kb_article(ACME, "zendesk", {"id": 8, "title": "Why", "locale": "ko"})
    old.save_ticket(ACME, "zendesk", {"ticket_id": 8, "id": 8, "subject": "x"})
    for number in (7, 8):
        old.save_summary(ACME, "zendesk", str(number), {"of": number})

    await adopt(storage, old.base_path)

    assert [one.data for one in await summary_history(storage, ACME, article_key("zendesk", "7", "ko"))] == [{"of": 7}]
    assert [one.data for one in await summary_history(storage, ACME, ticket_key("zendesk", "8"))] == [{"of": 8}]
    assert await summary_history(storage, ACME, article_key("zendesk", "8", "ko")) == []


async def test_a_summary_without_a_record_or_with_several_languages_is_named(storage: MemoryStorage, old: FirstVersion) -> None:
    await import_articles(storage, old, ["ko", "en"])
    old.save_summary(ACME, "zendesk", "7", {"text": "of which?"})
    old.save_summary(ACME, "zendesk", "9", {"text": "of nothing"})

    report = await adopt(storage, old.base_path)

    assert rows(report) == {"summaries": (0, 0, 0, 0, 2)}
    assert "kept in 2 languages" in reasons(report)["acme/zendesk/summaries/7.json"]
    assert "no ticket and no article '9'" in reasons(report)["acme/zendesk/summaries/9.json"]


async def import_articles(storage: Storage, old: FirstVersion, locales: list[str]) -> None:
    path = old.base_path.parent / "articles.json"
    path.write_bytes(as_bytes([{"id": 7, "title": "How", "section_id": 1, "locale": locale} for locale in locales]))
    await import_records(storage, ACME, "zendesk", [path])


async def test_a_summary_that_is_no_object_is_put_into_one(storage: MemoryStorage, old: FirstVersion) -> None:
    old.save_ticket(ACME, "freshdesk", raw(processed_data=["no", "object"]))
    old.save_summary(ACME, "freshdesk", "42", "just text")
    old.save_ticket(ACME, "freshdesk", raw(43))
    old.save_summary(ACME, "freshdesk", "43", None)

    report = await adopt(storage, old.base_path)

    assert [one.data for one in await summary_history(storage, ACME, ticket_key("freshdesk", "42"))] == [{"summary": "just text"}]
    assert (await get_ticket(storage, ACME, "freshdesk", "42")).data["processed_data"] == ["no", "object"]
    assert any("was put into one" in text for text in remarks(report))
    assert reasons(report) == {"acme/freshdesk/summaries/43.json": "it holds no summary"}


# -- every byte ---------------------------------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OURS = {*APPENDED, PROCESSED_DATA, "ticket_id", "id"}


@given(
    payload=st.dictionaries(TEXTS.filter(lambda name: name not in OURS), VALUES, max_size=5),
    status=st.sampled_from([None, "pending", "completed", "failed"]),
    processed=st.none() | st.dictionaries(TEXTS, VALUES, max_size=3),
    own_company=st.booleans(),
    processed_first=st.booleans(),
)
@example(payload={"{": '"}', "}": ',\n  "saved_at": 1'}, status="failed", processed={}, own_company=True, processed_first=True)
@example(payload={}, status=None, processed=None, own_company=False, processed_first=False)
def test_the_exact_file_can_be_made_again_from_what_is_kept(
    tmp_path_factory: pytest.TempPathFactory,
    payload: Dict,
    status: str | None,
    processed: Dict | None,
    own_company: bool,
    processed_first: bool,
) -> None:
    old = FirstVersion(tmp_path_factory.mktemp("tree"))
    begin = {"processed_data": processed} if processed is not None and processed_first else {}
    ticket = {**begin, "ticket_id": "t", **({"company_id": 77, "after": 1} if own_company else {}), **payload}
    old.save_ticket(ACME, "docs", ticket)
    if processed is not None:
        old.save_ticket(ACME, "docs", {**ticket, "processed_data": processed})
    if status is not None:
        old.update_processing_status(ACME, "docs", "t", status)

    report, made = asyncio.run(adopted_and_made_again(old.base_path))

    assert made == (old.base_path / "acme/docs/tickets/t.json").read_bytes()
    assert all("of its own" in text for text in remarks(report))
    assert bool(report.remarks) == own_company


async def adopted_and_made_again(tree: Path) -> tuple[AdoptReport, bytes]:
    storage = MemoryStorage()
    report = await adopt(storage, tree)
    key = ticket_key("docs", "t")
    ticket, processing = await get_ticket(storage, ACME, "docs", "t"), await processing_of(storage, key)
    summaries = await summary_history(storage, ACME, key)
    await storage.aclose()
    return report, made_again(ticket, processing, summaries)


def made_again(ticket: Ticket, processing: Processing, summaries: Sequence[Summary]) -> bytes:
    """The file that the prototype wrote, out of what deskstore keeps and nothing else."""
    facts = {
        "company_id": orjson.dumps(ACME),
        "platform": orjson.dumps(ticket.platform),
        "saved_at": stamp(ticket.saved_at),
        "storage_type": b'"file"',
    }
    if processing.changed_at < ticket.saved_at:  # a status that was set was stamped before the file was saved
        facts |= {"processing_status": orjson.dumps(processing.status), "status_updated_at": stamp(processing.changed_at)}
    processed = [ProcessedData(one.content, payloads.parse(one.parameters)["place"]) for one in summaries]
    return as_written(ticket.payload, {name: fact for name, fact in facts.items() if name not in ticket.data}, *processed)


async def test_a_file_that_somebody_added_keys_to_between_two_saves_is_named_as_the_only_one_with_its_exact_bytes(
    storage: MemoryStorage, old: FirstVersion
) -> None:
    ticket = raw()
    old.save_ticket(ACME, "freshdesk", ticket)
    old.save_ticket(ACME, "freshdesk", {**ticket, "added": True})

    report = await adopt(storage, old.base_path)

    data = (await get_ticket(storage, ACME, "freshdesk", "42")).data
    assert (list(data)[-2:], "saved_at" in data) == (["ticket_id", "added"], False)
    (said,) = remarks(report)
    assert "exact bytes are in the tree alone" in said


async def test_a_company_id_of_the_platforms_own_is_named_as_overwritten_and_stays_in_its_place(
    storage: MemoryStorage, old: FirstVersion
) -> None:
    ticket: Dict = {"cc_emails": [], "company_id": 35000138, "platform": "web", **raw()}
    old.save_ticket(ACME, "freshdesk", ticket)

    report = await adopt(storage, old.base_path)

    data = (await get_ticket(storage, ACME, "freshdesk", "42")).data
    assert [*data][:3] == ["cc_emails", "company_id", "platform"]
    assert "saved_at" not in data
    (said,) = remarks(report)
    assert "company_id and platform of its own" in said
    assert remarks(report)[said] == ("acme/freshdesk/tickets/42.json",)


async def test_a_company_id_that_stood_last_cannot_be_told_from_an_appended_one(storage: MemoryStorage, old: FirstVersion) -> None:
    old.save_ticket(ACME, "freshdesk", {**raw(), "company_id": 35000138})

    report = await adopt(storage, old.base_path)

    assert "company_id" not in (await get_ticket(storage, ACME, "freshdesk", "42")).data
    assert report.remarks == ()


async def test_a_platform_that_stood_last_is_told_by_the_order_of_what_was_appended(storage: MemoryStorage, old: FirstVersion) -> None:
    old.save_ticket(ACME, "freshdesk", {**raw(), "platform": "web"})

    report = await adopt(storage, old.base_path)

    assert [*(await get_ticket(storage, ACME, "freshdesk", "42")).data][-1] == "platform"
    assert ["platform of its own" in text for text in remarks(report)] == [True]


async def test_a_file_put_there_by_hand_is_kept_as_it_is_under_its_own_name(storage: MemoryStorage, old: FirstVersion) -> None:
    tickets = old.base_path / "acme/freshdesk/tickets"
    tickets.mkdir(parents=True)
    (tickets / "42.json").write_bytes(as_bytes(freshdesk(42)) + b"\n")
    (tickets / "copy of 43.json").write_bytes(as_bytes(freshdesk(43)))

    report = await adopt(storage, old.base_path)

    assert (await get_ticket(storage, ACME, "freshdesk", "42")).payload == as_bytes(freshdesk(42)) + b"\n"
    assert [*reasons(report)] == ["acme/freshdesk/tickets/copy of 43.json"]
    assert any("nothing was cut out" in text for text in remarks(report))


# -- traps --------------------------------------------------------------------------------------------------------------------------------


async def test_of_all_raw_tickets_in_none_json_the_last_one_is_kept_under_the_platforms_id(
    storage: MemoryStorage, old: FirstVersion
) -> None:
    for number in (1, 2, 3):
        old.save_ticket(ACME, "freshdesk", freshdesk(number))

    report = await adopt(storage, old.base_path)

    assert [ticket.ticket_id for ticket in (await list_tickets(storage, ACME)).items] == ["3"]
    assert any("each over the one before" in text for text in remarks(report))


async def test_none_json_without_any_id_is_named(storage: MemoryStorage, old: FirstVersion) -> None:
    old.save_ticket(ACME, "freshdesk", {"subject": "who am I"})
    old.save_kb_article(ACME, "freshdesk", {"title": "who am I"})

    report = await adopt(storage, old.base_path)

    assert sorted(reasons(report)) == ["acme/freshdesk/knowledge_base/None.json", "acme/freshdesk/tickets/None.json"]
    assert all("no id that the platform gave it" in reason for reason in reasons(report).values())


async def test_none_json_gives_way_to_the_file_that_has_the_tickets_name(storage: MemoryStorage, old: FirstVersion) -> None:
    old.save_ticket(ACME, "freshdesk", raw(900))
    old.save_ticket(ACME, "freshdesk", freshdesk(900, subject="newer"))

    report = await adopt(storage, old.base_path)

    assert (await get_ticket(storage, ACME, "freshdesk", "900")).data["ticket_id"] == "900"
    assert "acme/freshdesk/tickets/900.json is" in reasons(report)["acme/freshdesk/tickets/None.json"]


async def test_a_whole_number_that_was_a_float_is_the_same_ticket(storage: MemoryStorage, old: FirstVersion) -> None:
    old.save_ticket(ACME, "docs", {"ticket_id": 7.0, "text": "float"})
    old.save_ticket(ACME, "docs", {"ticket_id": 7, "text": "int"})
    old.save_ticket(ACME, "docs", {"ticket_id": 8.0, "text": "float alone"})

    report = await adopt(storage, old.base_path)

    assert (await get_ticket(storage, ACME, "docs", "7")).data["text"] == "int"
    assert (await get_ticket(storage, ACME, "docs", "8")).data["text"] == "float alone"
    assert [*reasons(report)] == ["acme/docs/tickets/7.0.json"]


async def test_a_ticket_is_kept_under_its_ticket_id_whatever_other_id_it_has(storage: MemoryStorage, old: FirstVersion) -> None:
    old.save_ticket(ACME, "freshdesk", freshdesk(99, ticket_id="TCK-1"))
    old.save_ticket(ACME, "freshdesk", {"ticket_id": "TCK-2", "id": {"no": "id"}})
    old.save_summary(ACME, "freshdesk", "TCK-1", {"text": "of it"})

    report = await adopt(storage, old.base_path)

    assert (await get_ticket(storage, ACME, "freshdesk", "TCK-1")).data["id"] == 99
    assert await find_ticket(storage, ACME, "freshdesk", "99") is None
    assert len(await summary_history(storage, ACME, ticket_key("freshdesk", "TCK-1"))) == 1
    assert (await find_ticket(storage, ACME, "freshdesk", "TCK-2")) is not None
    assert any("another id than its ticket_id" in text for text in remarks(report))


@pytest.mark.parametrize(
    "ticket_id", ["a/b", "../x", "../../y", "./z", "a/../b", "..", "한글/é", "x" * 200, "../summaries/s", "../knowledge_base/k"]
)
async def test_an_id_with_slashes_or_dots_is_found_wherever_it_led(storage: MemoryStorage, old: FirstVersion, ticket_id: str) -> None:
    old.save_ticket(ACME, "docs", {"ticket_id": ticket_id, "text": "found"})

    report = await adopt(storage, old.base_path)

    assert (await get_ticket(storage, ACME, "docs", ticket_id)).data["text"] == "found"
    assert rows(report)["tickets"] == (1, 0, 0, 0, 0)


async def test_an_id_that_led_into_another_company_is_kept_in_neither(storage: MemoryStorage, old: FirstVersion) -> None:
    old.save_ticket("globex", "docs", {"ticket_id": 1})
    old.save_ticket(ACME, "docs", {"ticket_id": "../../../globex/docs/tickets/2", "text": "secret"})

    report = await adopt(storage, old.base_path)

    assert reasons(report) == {"globex/docs/tickets/2.json": "its company_id is another company's"}
    assert [ticket.ticket_id for ticket in (await list_tickets(storage, "globex")).items] == ["1"]


@pytest.mark.parametrize("ticket_id", [True, "", " 7", "a\nb", [1], 7.5, "x" * 250 + "/" + "y" * 30])
async def test_an_id_that_no_storage_could_keep_is_named(storage: MemoryStorage, old: FirstVersion, ticket_id: object) -> None:
    path = old.save_ticket(ACME, "docs", {"ticket_id": ticket_id})

    report = await adopt(storage, old.base_path)

    assert [*reasons(report)] == [str(path.relative_to(old.base_path))]
    assert await list_companies(storage) == []


async def test_files_of_another_company_or_platform_or_with_another_name_are_named(storage: MemoryStorage, old: FirstVersion) -> None:
    path = old.save_ticket(ACME, "docs", {"ticket_id": 1})
    for place in ("globex/docs/tickets/1.json", "acme/wiki/tickets/1.json", "acme/docs/tickets/2.json"):
        copy = old.base_path / place
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())

    report = await adopt(storage, old.base_path)

    assert reasons(report) == {
        "acme/docs/tickets/2.json": "its ticket_id is not the one the file is named for: it was renamed, or copied",
        "acme/wiki/tickets/1.json": "its platform is another than its directory's",
        "globex/docs/tickets/1.json": "its company_id is another company's",
    }
    assert await list_companies(storage) == [ACME]


async def test_what_a_crash_or_a_failed_save_left_is_named_with_its_reason(storage: MemoryStorage, old: FirstVersion) -> None:
    whole = old.save_ticket(ACME, "docs", {"ticket_id": "whole"}).read_bytes()
    with pytest.raises(TypeError):
        old.save_ticket(ACME, "docs", {"ticket_id": "failed", "when": object()})
    tickets = old.base_path / "acme/docs/tickets"
    damage = {
        "torn": whole[: len(whole) // 2],
        "zeros": bytes(100),
        "array": b"[1]",
        "latin": b'{"a": "\xe9"}',
        "bom": b"\xef\xbb\xbf" + whole,
    }
    for name, content in damage.items():
        (tickets / f"{name}.json").write_bytes(content)

    report = await adopt(storage, old.base_path)

    assert rows(report) == {"tickets": (1, 0, 0, 0, 6)}
    found = {Path(file).stem: reason for file, reason in reasons(report).items()}
    assert "is empty" in found["failed"]
    assert "not valid JSON" in found["torn"]
    assert "an array" in found["array"]
    assert "not UTF-8" in found["latin"]
    assert "byte order mark" in found["bom"]


async def test_nothing_is_followed_and_strangers_are_named(storage: MemoryStorage, old: FirstVersion, tmp_path: Path) -> None:
    path = old.save_ticket(ACME, "docs", {"ticket_id": 1})
    outside = FirstVersion(tmp_path / "outside")
    outside.save_ticket(ACME, "docs", {"ticket_id": 2})
    (path.parent / "2.json").symlink_to(tmp_path / "outside/acme/docs/tickets/2.json")
    (old.base_path / "acme/linked").symlink_to(tmp_path / "outside/acme/docs")
    (old.base_path / "globex").symlink_to(tmp_path / "outside/acme")
    os.mkfifo(path.parent / "3.json")
    (path.parent / ".DS_Store").write_bytes(b"x")
    (old.base_path / "acme/notes.json").write_bytes(b'{"by": "hand"}')
    (old.base_path / "README").write_text("hello")

    report = await adopt(storage, old.base_path)

    assert sorted(reasons(report)) == [
        "README",
        "acme/docs/tickets/.DS_Store",
        "acme/docs/tickets/2.json",
        "acme/docs/tickets/3.json",
        "acme/linked",
        "acme/notes.json",
        "globex",
    ]
    assert "symbolic link" in reasons(report)["acme/docs/tickets/2.json"]
    assert [ticket.ticket_id for ticket in (await list_tickets(storage, ACME)).items] == ["1"]


async def test_directories_whose_names_no_company_or_platform_can_have_are_named(storage: MemoryStorage, old: FirstVersion) -> None:
    old.save_ticket("c" * 101, "docs", {"ticket_id": 1})
    old.save_ticket(ACME, "p" * 51, {"ticket_id": 1})
    old.save_ticket(ACME, " docs", {"ticket_id": 1})

    report = await adopt(storage, old.base_path)

    assert len(report.not_placed) == 3
    assert all("characters" in reason or "white space" in reason for reason in reasons(report).values())


async def test_a_file_without_permission_is_named_and_never_taken_for_missing(
    storage: MemoryStorage, old: FirstVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    old.save_ticket(ACME, "docs", {"ticket_id": 1})
    plain = os.open

    def refusing(path: Any, *rest: Any, **named: Any) -> int:  # Any: as os.open takes them
        if path == "1.json":
            raise PermissionError(13, "Permission denied")
        return plain(path, *rest, **named)

    monkeypatch.setattr(os, "open", refusing)  # the tests may run as root, whom no permission stops
    report = await adopt(storage, old.base_path)

    assert reasons(report) == {"acme/docs/tickets/1.json": "it cannot be read: Permission denied"}


async def test_metadata_written_twice_by_hand_is_left_where_it_is(storage: MemoryStorage, old: FirstVersion) -> None:
    path = old.save_ticket(ACME, "docs", {"ticket_id": 1})
    doubled = path.read_bytes().replace(b'"ticket_id": 1', b'"ticket_id": 1,\n  "platform": "x"')
    path.write_bytes(doubled)

    await adopt(storage, old.base_path)

    assert (await get_ticket(storage, ACME, "docs", "1")).payload == doubled


# -- again, later, interrupted ------------------------------------------------------------------------------------------------------------


def a_mixed_tree(old: FirstVersion, tickets: int = 30) -> None:
    """Tickets in all states with and without summaries, articles, and what cannot be placed."""
    for number in range(tickets):
        ticket = raw(number, company_id=5)
        if number % 3 == 0:
            ticket["processed_data"] = {"n": number}
        old.save_ticket(ACME, "freshdesk", ticket)
        if number % 2:
            old.update_processing_status(ACME, "freshdesk", str(number), ["completed", "failed", "processing"][number % 3])
        if number % 5 == 0:
            old.save_summary(ACME, "freshdesk", str(number), {"summary of": number})
        old.save_kb_article(ACME, "zendesk", {"id": number, "title": f"how {number}", "locale": "ko"})
    old.save_summary(ACME, "zendesk", "3", {"text": "of an article"})
    old.save_summary(ACME, "freshdesk", "nobody", {"text": "of nobody"})
    (old.base_path / "acme/freshdesk/tickets/torn.json").write_bytes(b'{"ticket_id": "to')


async def contents(storage: Storage) -> list[object]:
    """All that is kept of a company, but for versions, which are times."""
    kept: list[object] = []
    async with storage.unit_of_work(ACME) as uow:
        async for ticket in uow.tickets.stream():
            kept.append((ticket.key, ticket.payload, ticket.saved_at, (await uow.progress.find_many([ticket.key]))[ticket.key].status))
            kept += [(one.number, one.content, one.prompt_id, one.created_at) for one in await uow.summaries.history(ticket.key)]
        async for article in uow.articles.stream():
            kept.append((article.key, article.payload, article.saved_at))
            kept += [(one.number, one.content, one.prompt_id, one.created_at) for one in await uow.summaries.history(article.key)]
    return kept


async def test_adopting_twice_changes_nothing_and_the_tree_is_never_touched(
    storage: MemoryStorage, old: FirstVersion, clock: Clock
) -> None:
    a_mixed_tree(old)
    before = digest(old.base_path)

    first = await adopt(storage, old.base_path)
    kept = await contents(storage)
    clock.advance(timedelta(days=1))
    again = await adopt(storage, old.base_path)

    assert rows(first)["tickets"] == (30, 0, 0, 0, 1)
    assert {row.kind: (row.created, row.unchanged) for row in again.rows if row.platform == "freshdesk"} == {
        "summaries": (0, 16),
        "tickets": (0, 30),
    }
    assert all(row.created == row.updated == row.stale == 0 for row in again.rows)
    assert (again.not_placed, again.remarks, await contents(storage)) == (first.not_placed, first.remarks, kept)
    assert digest(old.base_path) == before


async def test_a_dry_run_says_the_same_and_keeps_nothing(storage: MemoryStorage, old: FirstVersion) -> None:
    a_mixed_tree(old)
    before = digest(old.base_path)

    foreseen = await adopt(storage, old.base_path, dry_run=True)
    companies = await list_companies(storage)
    done = await adopt(storage, old.base_path)

    assert (companies, foreseen, digest(old.base_path)) == ([], done, before)


@pytest.mark.parametrize("kept_batches", range(8))
async def test_an_interrupted_run_goes_on_to_the_same_result(
    clock: Clock, old: FirstVersion, kept_batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_mixed_tree(old)
    monkeypatch.setattr(adopting, "BATCH_RECORDS", 10)
    whole, broken = MemoryStorage(clock), FaultyStorage(MemoryStorage(clock))
    await adopt(whole, old.base_path)
    broken.commits.extend(unavailable(kept_batches))

    with pytest.raises(StorageUnavailable):
        await adopt(broken, old.base_path)
    await adopt(broken, old.base_path)

    assert await contents(broken) == await contents(whole)


ADOPTS = """
import asyncio, os, sys
from pathlib import Path
from deskstore.adapters.file import FileStorage
from deskstore.services import adopting

async def main():
    adopting.BATCH_RECORDS = 10
    storage = FileStorage(Path(sys.argv[2]))
    left = int(sys.argv[3])
    def die(_):
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), 9)
    await adopting.adopt(storage, Path(sys.argv[1]), on_progress=die)
    await storage.aclose()

asyncio.run(main())
"""


def kill_run(tree: Path, to: Path, batches: int) -> int:
    """Adopt in a process that ends after so many batches; its exit code."""
    return subprocess.run([sys.executable, "-c", ADOPTS, str(tree), str(to), str(batches)], check=False).returncode


async def test_a_killed_run_goes_on_to_the_same_result_on_files(old: FirstVersion, tmp_path: Path) -> None:
    a_mixed_tree(old)
    whole = FileStorage(tmp_path / "whole")
    await adopt(whole, old.base_path)

    for batches in (1, 3, 6):
        killed = await asyncio.to_thread(kill_run, old.base_path, tmp_path / "killed", batches)
        assert killed == -9
    resumed = FileStorage(tmp_path / "killed")
    await adopt(resumed, old.base_path)

    assert await contents(resumed) == await contents(whole)
    await whole.aclose()
    await resumed.aclose()


async def test_what_the_first_version_saved_since_is_taken_over_too(storage: MemoryStorage, old: FirstVersion, clock: Clock) -> None:
    old.save_ticket(ACME, "freshdesk", raw())
    old.save_summary(ACME, "freshdesk", "42", {"text": "one"})
    await adopt(storage, old.base_path)

    old.save_ticket(ACME, "freshdesk", raw(subject="changed", updated_at="2026-01-03T00:00:00Z"))
    old.update_processing_status(ACME, "freshdesk", "42", "completed")
    old.save_summary(ACME, "freshdesk", "42", {"text": "two"})
    clock.advance(timedelta(hours=1))
    report = await adopt(storage, old.base_path)

    key = ticket_key("freshdesk", "42")
    assert rows(report) == {"summaries": (1, 0, 0, 0, 0), "tickets": (0, 1, 0, 0, 0)}
    assert (await get_ticket(storage, ACME, "freshdesk", "42")).fields.subject == "changed"
    assert (await processing_of(storage, key)).status == COMPLETED
    assert [one.data["text"] for one in await summary_history(storage, ACME, key)] == ["one", "two"]


async def test_what_deskstore_received_later_stays(storage: MemoryStorage, old: FirstVersion, clock: Clock) -> None:
    old.save_ticket(ACME, "freshdesk", raw())
    await adopt(storage, old.base_path)
    clock.advance(timedelta(hours=1))
    await save_ticket(storage, ACME, "freshdesk", freshdesk(company_id=35000138))
    await update_processing_status(storage, ACME, "freshdesk", "42", "failed")

    report = await adopt(storage, old.base_path)

    assert rows(report) == {"tickets": (0, 0, 0, 1, 0)}
    assert (await get_ticket(storage, ACME, "freshdesk", "42")).data == freshdesk(company_id=35000138)
    assert (await processing_of(storage, ticket_key("freshdesk", "42"))).status == FAILED


async def test_after_a_fresh_import_the_tree_still_gives_status_and_summaries(storage: MemoryStorage, old: FirstVersion) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())
    old.save_ticket(ACME, "freshdesk", raw(processed_data={"topic": "x"}))
    old.update_processing_status(ACME, "freshdesk", "42", "completed")

    report = await adopt(storage, old.base_path)

    key = ticket_key("freshdesk", "42")
    assert rows(report) == {"summaries": (1, 0, 0, 0, 0), "tickets": (0, 0, 0, 1, 0)}
    assert (await get_ticket(storage, ACME, "freshdesk", "42")).data == freshdesk()
    assert (await processing_of(storage, key)).status == COMPLETED
    assert len(await summary_history(storage, ACME, key)) == 1


async def test_a_ticket_that_a_worker_holds_is_left_to_it(storage: MemoryStorage, old: FirstVersion, clock: Clock) -> None:
    old.save_ticket(ACME, "freshdesk", raw())
    await adopt(storage, old.base_path)
    await claim_tickets(storage, ACME, "freshdesk", 1, worker="w")
    old.now = datetime(2026, 1, 1)  # noqa: DTZ001 - it kept naive times
    old.update_processing_status(ACME, "freshdesk", "42", "completed")
    clock.advance(timedelta(minutes=1))

    await adopt(storage, old.base_path)

    assert (await processing_of(storage, ticket_key("freshdesk", "42"))).status == PROCESSING


class ClaimedMeanwhile(WrappedStorage):
    """A worker takes the ticket between the adoption's reading and its commit."""

    is_armed = False

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        if self.is_armed:
            self.is_armed = False
            await self.claim(ACME, "freshdesk", 1, worker="w", lease=timedelta(minutes=5))
        return await super().apply(backend, changes, before_commit)


async def test_a_worker_that_takes_a_ticket_meanwhile_keeps_it(old: FirstVersion, clock: Clock) -> None:
    storage = ClaimedMeanwhile(MemoryStorage(clock))
    old.save_ticket(ACME, "freshdesk", raw())
    await adopt(storage, old.base_path)
    old.update_processing_status(ACME, "freshdesk", "42", "completed")
    storage.is_armed = True

    report = await adopt(storage, old.base_path)

    assert rows(report) == {"tickets": (0, 0, 1, 0, 0)}
    assert (await processing_of(storage, ticket_key("freshdesk", "42"))).status == PROCESSING


async def test_a_stored_record_that_cannot_be_trusted_costs_no_other(clock: Clock, old: FirstVersion) -> None:
    damaged = CorruptRecord(ticket_key("freshdesk", "2"), "a place", "a reason")
    storage = DamagedStorage(MemoryStorage(clock), damaged)
    for number in (1, 2, 3):
        old.save_ticket(ACME, "freshdesk", raw(number))
        old.save_summary(ACME, "freshdesk", number, {"n": number})

    report = await adopt(storage, old.base_path)

    assert rows(report) == {"summaries": (2, 0, 0, 0, 1), "tickets": (2, 0, 0, 0, 1)}
    assert report.damaged == 2
    assert "a place: a reason" in reasons(report)["acme/freshdesk/tickets/2.json"]


class DamagedStorage(FaultyStorage):
    """One of the stored records is damaged."""

    def __init__(self, beneath: Storage, error: CorruptRecord) -> None:
        super().__init__(beneath)
        self.error = error

    async def heads(self, reads: Any, keys: Any) -> Any:  # Any: handed on as it is
        if self.error.key in keys:
            raise self.error
        return await super().heads(reads, keys)


# -- progress, companies, and trees that are not adopted ----------------------------------------------------------------------------------


async def test_progress_is_compared_with_a_recount(storage: MemoryStorage, old: FirstVersion) -> None:
    a_mixed_tree(old)
    old.put_progress(ACME, "freshdesk", {"total_tickets": 31, "processed_tickets": 5, "failed_tickets": "5", "progress_percentage": 16.13})

    report = await adopt(storage, old.base_path)

    progress = await get_processing_progress(storage, ACME, "freshdesk")
    assert (progress.total, progress.completed, progress.failed) == (30, 5, 5)
    assert [(one.name, one.recorded, one.counted) for one in report.differences] == [
        ("total_tickets", 31, 30),
        ("failed_tickets", "'5'", 5),
    ]
    assert "acme/freshdesk/progress/progress.json" not in reasons(report)


@pytest.mark.parametrize("progress", [[1], {"total_tickets": 1, "processed_tickets": 0, "failed_tickets": 0}])
async def test_progress_that_agrees_needs_no_word_and_a_broken_one_is_named(
    storage: MemoryStorage, old: FirstVersion, progress: object
) -> None:
    old.save_ticket(ACME, "freshdesk", raw())
    path = old.put_progress(ACME, "freshdesk", progress)

    report = await adopt(storage, old.base_path)

    assert report.differences == ()
    assert [*reasons(report)] == ([str(path.relative_to(old.base_path))] if isinstance(progress, list) else [])


async def test_one_company_can_be_chosen(storage: MemoryStorage, old: FirstVersion) -> None:
    for company_id in (ACME, "globex", "initech"):
        old.save_ticket(company_id, "freshdesk", raw())

    report = await adopt(storage, old.base_path, companies=["globex", "initech"])

    assert await list_companies(storage) == ["globex", "initech"]
    assert [row.company_id for row in report.rows] == ["globex", "initech"]
    with pytest.raises(ConfigurationError, match="no directory 'nobody'"):
        await adopt(storage, old.base_path, companies=["nobody"])


async def test_the_same_ids_in_two_companies_stay_apart(storage: MemoryStorage, old: FirstVersion) -> None:
    old.save_ticket(ACME, "freshdesk", raw(subject="ours"))
    old.save_ticket("globex", "freshdesk", raw(subject="theirs"))
    old.save_summary(ACME, "freshdesk", "42", {"whose": "ours"})

    await adopt(storage, old.base_path)

    assert (await get_ticket(storage, ACME, "freshdesk", "42")).fields.subject == "ours"
    assert (await get_ticket(storage, "globex", "freshdesk", "42")).fields.subject == "theirs"
    assert await summary_history(storage, "globex", Key(TICKET, "freshdesk", "42")) == []


@pytest.mark.parametrize("place", [".deskstore", "acme/.deskstore"])
async def test_a_tree_of_deskstores_own_is_refused(storage: MemoryStorage, old: FirstVersion, place: str) -> None:
    old.save_ticket(ACME, "freshdesk", raw())
    (old.base_path / place).mkdir()

    with pytest.raises(ConfigurationError, match="kept by deskstore already"):
        await adopt(storage, old.base_path)

    assert await list_companies(storage) == []


@pytest.mark.parametrize("place", [".", "..", "acme"])
async def test_a_tree_is_never_adopted_into_itself(old: FirstVersion, place: str) -> None:
    old.save_ticket(ACME, "freshdesk", raw())
    before = digest(old.base_path)
    storage = FileStorage(old.base_path / place)

    with pytest.raises(ConfigurationError, match="choose a DATA_PATH outside the tree"):
        await adopt(storage, old.base_path)

    await storage.aclose()
    assert digest(old.base_path) == before


async def test_a_directory_that_is_not_there_is_an_error(storage: MemoryStorage, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await adopt(storage, tmp_path / "nowhere")


async def test_an_empty_tree_is_nothing(storage: MemoryStorage, tmp_path: Path) -> None:
    report = await adopt(storage, tmp_path)

    assert report == AdoptReport()


async def test_more_than_a_batch_is_adopted_and_told_of(storage: MemoryStorage, old: FirstVersion) -> None:
    for number in range(2_100):
        old.save_ticket(ACME, "docs", {"ticket_id": number})
    told: list[int] = []

    await adopt(storage, old.base_path, on_progress=told.append)

    assert told == [1_000, 2_000, 2_100]
    assert (await get_platform_stats(storage, ACME))[0].tickets == 2_100
