"""The tree of files is the one that is promised: readable, exact, private, and inside its directory whatever things are called."""

from __future__ import annotations

import os
import random
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import orjson
import pytest
from attrs import asdict, evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from deskstore.adapters.file import FileStorage, layout
from deskstore.adapters.file.body import NotOurs, record_in
from deskstore.adapters.file.company import checksum
from deskstore.adapters.file.envelope import Settled, read_record, record_file, settled_json, with_settled
from deskstore.adapters.file.index import row_of
from deskstore.adapters.file.vouching import read_row
from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.identifiers import Key, article_key, ticket_key
from deskstore.domain.payloads import parse
from deskstore.domain.processing import Processing, fresh
from deskstore.domain.records import Article, Ticket
from deskstore.testing import strategies
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract.fixtures import PROPERTY, a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import PLATFORM, a_summary, a_ticket, an_article
from deskstore.testing.strategies import HOSTILE_NAMES, HOSTILE_PAYLOADS
from tests.file.conftest import Settle
from tests.file.trees import contents_of, tree_of

SETTLED: Final = settled_json(Settled.of(fresh(ticket_key("p", "1"), now=datetime(2026, 11, 22, tzinfo=UTC))))
#: payloads that hold what ends an envelope, or a file
DECEPTIVE: Final = (
    b'{"a":1,"payload":{"id":7},"processing":{"status":"completed"}}',
    b'{"a":",\\"payload\\":","processing":null,"payload":"}\\n"}',
    b'{"a":{"x":1}}\n',
    b'{\n"a":1\n}\n}'[:-2],
    b'{"deskstore":99,"company":"theirs","kind":"article","id":"1","sha256":"00","payload_bytes":0}',
)


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


async def test_the_tree_is_the_promised_one(desk: Desk, base: Path, settle: Settle) -> None:
    await desk.keep(a_ticket("42"), an_article("7"), an_article("7", "ko"))
    await desk.summarise(a_summary(a_ticket("42").key), a_summary(a_ticket("42").key), a_summary(an_article("7", "ko").key))
    await desk.claim()

    await settle(desk)

    assert {path for path in tree_of(base) if not (base / path).is_dir()} == {
        "acme/zendesk/tickets/42.json",
        "acme/zendesk/articles/~/7.json",
        "acme/zendesk/articles/ko/7.json",
        "acme/zendesk/summaries/tickets/42/1.json",
        "acme/zendesk/summaries/tickets/42/2.json",
        "acme/zendesk/summaries/articles/ko/7/1.json",
        "acme/.deskstore/company.json",
        "acme/.deskstore/state.sqlite3",
        "acme/.deskstore/lock",
        "acme/.deskstore/checkpoint.lock",
        "acme/.deskstore/waiting.lock",
    }


@pytest.mark.usefixtures("umask")
async def test_everything_is_its_owners_alone_whatever_the_umask(desk: Desk, base: Path, new_storage: Callable[[], FileStorage]) -> None:
    await desk.fill("ours")
    await Desk(new_storage(), "acme").everything()

    rights = tree_of(base)

    wrong = {path: oct(mode) for path, mode in rights.items() if mode != (0o700 if (base / path).is_dir() else 0o600)}
    assert wrong == {}
    assert {"acme/.deskstore/state.sqlite3-wal", "acme/.deskstore/state.sqlite3-shm", "acme/.deskstore/tmp"} <= rights.keys()
    assert tree_of(base.parent)["data"] == 0o700


@pytest.mark.usefixtures("umask")
async def test_a_rebuilt_database_is_its_owners_alone_as_well(desk: Desk, base: Path, settle: Settle) -> None:
    await desk.fill("ours")
    await desk.storage.aclose()
    (base / "acme" / layout.DATABASE).write_bytes(b"garbage")

    await (await settle(desk)).everything()

    files = [base / "acme" / path for path in tree_of(base / "acme") if (base / "acme" / path).is_file()]
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in files if path.name.startswith("state.sqlite3")} == {
        path.name: "0o600" for path in files if path.name.startswith("state.sqlite3")
    }


async def test_each_file_is_one_json_object_that_holds_the_exact_bytes(desk: Desk, base: Path, settle: Settle, clock: ManualClock) -> None:
    payloads = [*HOSTILE_PAYLOADS, *DECEPTIVE]
    tickets = [a_ticket(str(number), payload=payload) for number, payload in enumerate(payloads)]
    await desk.keep(*tickets)
    for ticket in tickets[::2]:
        await desk.settle((await desk.processing(ticket.key)).completed(now=clock()))
    desk = await settle(desk)

    for ticket in tickets:
        body = (base / "acme" / layout.record_path(ticket.key)).read_bytes()
        value = parse(body)
        found = await desk.find(ticket.key)

        assert found is not None
        assert found.payload == ticket.payload
        assert body.endswith(b',"payload":' + ticket.payload + b"}\n")
        assert (value["sha256"], value["payload_bytes"]) == (sha256(ticket.payload).hexdigest(), len(ticket.payload))
        assert (value["company"], value["platform"], value["kind"], value["id"]) == ("acme", PLATFORM, "ticket", ticket.ticket_id)


async def test_a_payload_of_sixteen_mebibytes_comes_back_exactly(desk: Desk, settle: Settle) -> None:
    payload = b'{"a":"' + b"x" * ((16 << 20) - 8) + b'"}'

    await desk.keep(a_ticket(payload=payload))
    found = await (await settle(desk)).find(a_ticket().key)

    assert found is not None
    assert len(payload) == 16 << 20
    assert found.payload == payload


@given(ticket=strategies.tickets())
def test_a_file_gives_back_the_record_it_was_made_of(ticket: Ticket) -> None:
    whole = read_record(record_file("acme", evolve(ticket, version=3), b"null"))[1]

    resettled = read_record(with_settled(record_file("acme", evolve(ticket, version=3), b"null"), b"null"))[1]

    assert whole == resettled == evolve(ticket, version=3)


@given(record=st.one_of(strategies.tickets(), strategies.articles()), settled=st.sampled_from((None, SETTLED)))
def test_every_way_to_read_a_file_gives_the_same(record: Ticket | Article, settled: bytes | None) -> None:
    body = record_file("acme", evolve(record, version=3), settled)
    envelope, expected = read_record(body)

    told, trusted = read_row(body), record_in(body)

    assert trusted == expected
    assert asdict(trusted) == asdict(expected), "each attribute is there, also those that make no difference"
    assert (told.company, told.payload) == ("acme", record.payload)
    processing = None if envelope.processing is None else envelope.processing.processing(record.key)
    assert told.row == row_of(expected, processing, settled, checksum(body))


@given(record=st.one_of(strategies.tickets(), strategies.articles()))
def test_a_file_written_in_another_form_gives_the_same_row(record: Ticket | Article) -> None:
    settled = SETTLED if isinstance(record, Ticket) else None
    body = record_file("acme", evolve(record, version=3), settled)

    spaced = read_row(body.replace(b'{"deskstore":1,', b'{ "deskstore":1,', 1)).row
    reordered = read_row(body.replace(b'{"deskstore":1,"company":"acme",', b'{"company":"acme","deskstore":1,', 1)).row

    expected = read_row(body).row
    assert spaced._replace(crc=0) == reordered._replace(crc=0) == expected._replace(crc=0)


@pytest.mark.parametrize(
    "edit",
    [
        (b'"deskstore":1', b'"deskstore":2'),
        (b'"kind":"ticket"', b'"kind":"letter"'),
        (b'"status":"pending"', b'"status":"unheard of"'),
        (b'"attempts":0', b'"attempts":"none"'),
        (b'"version":3', b'"version":"three"'),
        (b'"subject":', b'"subjekt":'),
        (b'"platform":', b'"plattform":'),
        (b'"created_at":', b'"created_at":7,"created":'),
    ],
    ids=str,
)
def test_an_envelope_that_says_what_none_can_say_is_not_believed(edit: tuple[bytes, bytes]) -> None:
    body = record_file("acme", evolve(a_ticket(), version=3), SETTLED)

    with pytest.raises(NotOurs):
        read_row(body.replace(*edit, 1))


@settings(PROPERTY, max_examples=10)
@given(
    tickets=st.lists(strategies.tickets(), max_size=6, unique_by=lambda one: one.key),
    articles=st.lists(strategies.articles(), max_size=6, unique_by=lambda one: one.key),
)
async def test_files_and_memory_keep_the_same_of_the_same(
    storage: FileStorage, clock: ManualClock, tickets: list[Ticket], articles: list[Article]
) -> None:
    company_id = a_new_company()
    files, memory = Desk(storage, company_id), Desk(MemoryStorage(clock), company_id)
    records: list[Ticket | Article] = [*tickets, *articles]
    for desk in (files, memory):
        await desk.keep(*records)
        await desk.summarise(*(a_summary(record.key, content=record.payload) for record in records))

    assert await files.everything() == await memory.everything()


async def test_no_name_leads_out_of_the_companys_directory(base: Path, storage: FileStorage, settle: Settle, seed: int) -> None:
    names = [*HOSTILE_NAMES, *(_drawn(random.Random(seed)) for _ in range(60))]
    for company_id in ("a/../../b", "acme"):
        desk = Desk(storage, company_id)
        await desk.keep(
            *(a_ticket(name) for name in names),
            *(a_ticket("1", platform=name[:50].strip() or "x") for name in names),
            *(an_article("1", name[:35].strip()) for name in names if name[:35].strip()),
        )
        await desk.summarise(*(a_summary(a_ticket(name).key) for name in names[:20]))

    await settle(Desk(storage, "acme"))

    assert {Path(path).parts[0] for path in tree_of(base.parent)} == {"data"}
    assert len({Path(path).parts[0] for path in tree_of(base)}) == 2
    for path in tree_of(base):
        steps = Path(path).parts
        assert ".." not in steps
        assert all(len(step.encode()) <= 255 for step in steps)
        assert len(steps) < 3 or steps[1] == layout.OWN or steps[2] in ("tickets", "articles", "summaries")


async def test_different_ids_never_share_a_file_where_names_fold_and_normalise(desk: Desk, base: Path, settle: Settle) -> None:
    twins = ["a", "A", "é", "e\u0301", "É", "ß", "SS", "ss", "ﬁ", "fi", "İ", "i̇", "ı", "K", "\u212a", "ſ", "s", "한", "\u1112\u1161\u11ab"]
    await desk.keep(*(a_ticket(name, text=name) for name in twins), *(a_ticket("1", platform=name, text=name) for name in twins))

    desk = await settle(desk)

    files = [path for path in contents_of(base / "acme") if layout.OWN not in path]
    folded = {unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold()) for path in files}
    assert len(folded) == len(files) == 2 * len(twins)
    for name in twins:
        for key in (ticket_key(PLATFORM, name), ticket_key(name, "1")):
            found = await desk.find(key)
            assert found is not None
            assert found.fields.subject == name


async def test_a_stray_file_never_appears_as_a_record(desk: Desk, base: Path, settle: Settle) -> None:
    stored = await desk.kept(a_ticket("42"))
    desk = await settle(desk)
    tickets = base / "acme/zendesk/tickets"
    for name in (".DS_Store", "42.json~", "42.json.bak", ".42.json.swp", "42.json.tmp", "notes.txt", "Thumbs.db", "x.json"):
        (tickets / name).write_bytes((tickets / "42.json").read_bytes())
    (tickets / "lost+found").mkdir()
    (base / "acme/backup").mkdir()
    (base / "acme/backup/42.json").write_bytes(b"{}")

    found = await desk.everything()
    await desk.keep(a_ticket("43"))
    desk = await settle(desk)

    assert (found.tickets, found.stats[0].tickets) == ([stored], 1)
    assert [ticket.ticket_id for ticket in (await desk.everything()).tickets] == ["42", "43"]
    assert (tickets / "notes.txt").exists()


async def test_no_temporary_file_stays_behind(desk: Desk, base: Path, settle: Settle) -> None:
    await desk.fill("ours")
    left = base / "acme/.deskstore/tmp/left.by.a.killed.process"

    await desk.storage.aclose()
    left.write_bytes(b"half a rec")
    await (await settle(desk)).everything()

    assert list(left.parent.iterdir()) == []


async def test_what_a_deleted_record_had_leaves_no_file(desk: Desk, base: Path, settle: Settle) -> None:
    await desk.fill("ours")
    for record in (await desk.everything()).records:
        await desk.delete(record)

    desk = await settle(desk)

    assert contents_of(base) == {}
    assert (await desk.everything()).stats == []


async def test_a_file_says_how_the_processing_was_last_settled(desk: Desk, base: Path, settle: Settle, clock: ManualClock) -> None:
    key = (await desk.kept(a_ticket())).key
    failed: Processing = (await desk.processing(key)).failed("오류 \x00", now=clock(), retry_at=clock())
    await desk.settle(failed)
    await desk.claim()
    await settle(desk)

    envelope = orjson.loads((base / "acme" / layout.record_path(key)).read_bytes())

    assert (envelope["processing"]["status"], envelope["processing"]["error"]) == ("failed", "오류 \ufffd")
    assert "claim" not in envelope["processing"]
    assert "token" not in (base / "acme" / layout.record_path(key)).read_text()


def test_a_key_is_found_where_its_place_says() -> None:
    keys: list[Key] = [ticket_key("zendesk", "1"), article_key("zendesk", "1"), article_key("zendesk", "1", "tickets")]

    places = [layout.record_path(key) for key in keys] + [layout.summary_path(key, 1) for key in keys]

    assert len(set(places)) == 6


def _drawn(source: random.Random) -> str:
    """A name of pieces that mean something to a file system."""
    pieces = ["..", "/", "\\", ".", "~", "%2e", "a", "A", "한", "\u0301", ":", "con", "nul", " ", ".json", ".deskstore", "$HOME", "*"]
    return "".join(source.choice(pieces) for _ in range(source.randint(1, 30))).strip() or "x"
