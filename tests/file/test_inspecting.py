"""What is not as deskstore left it is found, named, and mended as promised, by a look that changes nothing itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

import orjson
import pytest
from attrs import frozen

from deskstore.adapters.file import FileStorage, database, layout
from deskstore.adapters.file.index import Index
from deskstore.adapters.file.layout import record_path, summary_path
from deskstore.adapters.file.offering import read_offer
from deskstore.domain.errors import CorruptRecord, InvalidRecord
from deskstore.domain.findings import Finding, FindingKind, Mended, Remedy
from deskstore.domain.identifiers import Key, article_key, ticket_key
from deskstore.domain.processing import CLOCK_SKEW, LONGEST_LEASE
from deskstore.services.doctoring import inspect_company, inspection_of, repair_company
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.makers import PLATFORM, a_summary, a_ticket, an_article
from tests.crash import kill_sweep
from tests.file.conftest import Settle
from tests.file.trees import Damage, spoil, tree_of

SOUND: Final = ticket_key(PLATFORM, "sound")
LONG: Final = "긴" * 100  #: an id that its file's name cannot hold
UNREADABLE: Final = (Damage.LINKED, Damage.DANGLING, Damage.PIPED, Damage.COVERED, Damage.HUGE)


async def findings(desk: Desk) -> list[Finding]:
    return sorted([one async for one in inspect_company(desk.storage, desk.company_id)], key=lambda one: (one.place, one.kind))


async def told(desk: Desk) -> list[tuple[str, str]]:
    return [(one.kind.value, one.place) for one in await findings(desk)]


async def repaired(desk: Desk) -> dict[str, Mended]:
    return {one.finding.place: one async for one in repair_company(desk.storage, desk.company_id)}


def overwrite(path: Path) -> None:
    path.write_bytes(b"no database at all")


def cut(path: Path) -> None:
    os.truncate(path, 5_000)


@pytest.fixture
def company(base: Path) -> Path:
    return base / "acme"


@pytest.fixture
async def settled(desk: Desk, settle: Settle) -> Desk:
    """A ticket with two summaries, an article, another ticket; all in files, and no journal left."""
    await desk.keep(a_ticket("sound"), a_ticket("42"), an_article("7", "ko"))
    await desk.summarise(a_summary(a_ticket("42").key), a_summary(a_ticket("42").key, "older"))
    return await settle(desk)


# -- finding -------------------------------------------------------------------------------------------------------------------------------


async def test_a_company_as_it_was_left_has_no_findings(settled: Desk) -> None:
    assert await told(settled) == []


async def test_a_company_that_is_not_there_has_no_findings(desk: Desk, base: Path) -> None:
    assert await told(desk) == []
    assert tree_of(base) == {}


async def test_a_look_changes_nothing_and_leaves_no_file_behind(settled: Desk, company: Path) -> None:
    spoil(company / record_path(a_ticket("42").key), Damage.EDITED, company)
    before = tree_of(company)

    await findings(settled)

    assert tree_of(company) == before


@pytest.mark.parametrize("how", Damage)
async def test_every_way_of_damage_is_one_finding_that_names_the_record(settled: Desk, company: Path, how: Damage) -> None:
    key = a_ticket("42").key
    spoil(company / record_path(key), how, company / record_path(SOUND))

    (found,) = [one for one in await findings(settled) if one.kind is not FindingKind.PERMISSIONS]

    expected = {Damage.EDITED: FindingKind.EDITED, Damage.REMOVED: FindingKind.MISSING, Damage.LENGTHENED: FindingKind.EDITED}
    assert (found.kind, found.place, found.key) == (expected.get(how, found.kind), record_path(key), key)
    assert found.kind in (FindingKind.EDITED, FindingKind.MISSING, FindingKind.DAMAGED)
    assert not found.is_healable
    assert found.is_loss


async def test_damage_of_a_record_whose_file_does_not_tell_its_name_is_found_once(desk: Desk, company: Path, settle: Settle) -> None:
    key = (await desk.kept(a_ticket(LONG))).key
    desk = await settle(desk)
    (company / record_path(key)).write_bytes(b"{")

    (found,) = await findings(desk)

    assert (found.kind, found.key) == (FindingKind.DAMAGED, key)


async def test_a_summary_is_found_missing_or_damaged(settled: Desk, company: Path) -> None:
    key = a_ticket("42").key
    (company / summary_path(key, 1)).unlink()
    (company / summary_path(key, 2)).write_bytes(b"{}")

    found = await findings(settled)

    assert [(one.kind, one.key, one.number) for one in found] == [(FindingKind.MISSING, key, 1), (FindingKind.DAMAGED, key, 2)]


async def test_a_file_that_was_added_is_found_and_a_copy_an_editor_left_is_damage(settled: Desk, company: Path) -> None:
    tickets = (company / record_path(SOUND)).parent
    for name, body in (("99", b'{"id": 99}'), ("sound.bak", (tickets / "sound.json").read_bytes()), ("half", b'{"id": ')):
        (tickets / f"{name}.json").touch(mode=0o600)
        (tickets / f"{name}.json").write_bytes(body)

    found = {one.place.rsplit("/", 1)[1]: one for one in await findings(settled)}

    assert found["99.json"].kind is FindingKind.ADDED
    assert found["99.json"].key == ticket_key(PLATFORM, "99")
    assert (found["sound.bak.json"].kind, found["half.json"].kind) == (FindingKind.DAMAGED, FindingKind.DAMAGED)
    assert "another record than its place" in found["sound.bak.json"].what


async def test_what_belongs_to_no_record_is_a_stranger(settled: Desk, company: Path, outside: Path) -> None:
    (company / "notes.txt").touch(mode=0o600)
    (company / PLATFORM / "tickets" / "more").mkdir(mode=0o700)
    (company / PLATFORM / "tickets" / "9.json").symlink_to(outside / "42.json")
    os.mkfifo(company / layout.OWN / "pipe", 0o600)
    summary = company / summary_path(SOUND, 1)
    summary.parent.mkdir(mode=0o700, parents=True)
    summary.touch(mode=0o600)

    found = await told(settled)

    tickets = f"{PLATFORM}/tickets"
    strangers = [f"{layout.OWN}/pipe", "notes.txt", summary_path(SOUND, 1), f"{tickets}/9.json", f"{tickets}/more"]
    assert found == sorted((("stranger", place) for place in strangers), key=lambda one: one[1])


async def test_rights_of_others_are_found_on_files_and_directories(settled: Desk, company: Path) -> None:
    (company / record_path(SOUND)).chmod(0o644)
    (company / PLATFORM).chmod(0o750)
    (company.parent / "acme").chmod(0o755)

    found = await findings(settled)

    assert [(one.kind, one.place) for one in found] == [
        (FindingKind.PERMISSIONS, "."),
        (FindingKind.PERMISSIONS, PLATFORM),
        (FindingKind.PERMISSIONS, record_path(SOUND)),
    ]
    assert found[0].what == "its rights are 755 and should be 700"


async def test_a_company_file_and_a_database_that_disagree_are_found_and_settled(settled: Desk, company: Path) -> None:
    file = company / layout.COMPANY_FILE
    said = orjson.loads(file.read_bytes())
    said["state"]["epoch"] = 7
    file.write_bytes(orjson.dumps(said))

    found = await findings(settled)
    mended = await repaired(settled)

    assert [(one.kind, one.place) for one in found] == [(FindingKind.STATE, layout.COMPANY_FILE)]
    assert mended[layout.COMPANY_FILE].remedy is Remedy.HEALED
    state = await settled.replica().state()
    assert state is not None
    assert state.epoch == 7


async def test_a_lost_company_file_is_found_and_written_anew(settled: Desk, company: Path) -> None:
    (company / layout.COMPANY_FILE).unlink()

    found = await told(settled)
    await repaired(settled)

    assert found == [("state", layout.COMPANY_FILE)]
    assert await told(settled) == []


@pytest.mark.parametrize("lose", [Path.unlink, overwrite, cut])
async def test_a_lost_or_damaged_database_is_found_and_rebuilt(settled: Desk, company: Path, lose: Callable[[Path], object]) -> None:
    lose(company / layout.DATABASE)

    found = await told(settled)
    mended = await repaired(settled)

    assert found == [("database", layout.DATABASE)]
    assert mended[layout.DATABASE].remedy is Remedy.HEALED
    assert len((await settled.everything()).records) == 3
    assert ("claims", layout.DATABASE) in await told(settled)


async def test_a_database_is_not_rebuilt_while_another_process_has_the_company_open(
    settled: Desk, company: Path, new_storage: Callable[[], FileStorage]
) -> None:
    other = Desk(new_storage(), "acme")
    assert await other.find(SOUND) is not None
    (company / layout.DATABASE).unlink()

    mended = await repaired(settled)

    assert mended[layout.DATABASE].remedy is Remedy.LEFT
    assert "close every process" in mended[layout.DATABASE].detail


async def test_the_database_of_another_company_is_named_without_its_name(
    settled: Desk, company: Path, base: Path, new_storage: Callable[[], FileStorage]
) -> None:
    await Desk(settled.storage, "globex").keep(a_ticket())
    await settled.storage.aclose()
    shutil.copy(base / "globex" / layout.DATABASE, company / layout.DATABASE)
    desk = Desk(new_storage(), "acme")

    (found,) = await findings(desk)
    (mended,) = (await repaired(desk)).values()

    assert (found.kind, mended.remedy) == (FindingKind.DATABASE, Remedy.LEFT)
    assert "of another company" in found.what
    assert "globex" not in f"{found} {mended}"


async def test_a_layout_to_come_is_found_and_left_alone(settled: Desk, company: Path) -> None:
    file = company / layout.COMPANY_FILE
    file.write_bytes(orjson.dumps({"layout": 99, "company": "acme"}))

    found = await told(settled)
    mended = await repaired(settled)

    assert found == [("layout", layout.COMPANY_FILE)]
    assert mended[layout.COMPANY_FILE].remedy is Remedy.LEFT
    assert await inspection_of(settled.storage).companies() == ["acme"]
    assert await inspection_of(settled.storage).layout("acme") == 99


async def test_an_interrupted_erasure_is_found_and_finished(settled: Desk, company: Path) -> None:
    file = company / layout.COMPANY_FILE
    said = orjson.loads(file.read_bytes())
    said["state"] |= {"erased": True, "epoch": 2}
    file.write_bytes(orjson.dumps(said))

    found = await told(settled)
    listed = await inspection_of(settled.storage).companies()
    mended = await repaired(settled)

    assert (found, listed) == ([("erasure", layout.COMPANY_FILE)], ["acme"])
    assert mended[layout.COMPANY_FILE].remedy is Remedy.HEALED
    assert layout.OWN not in tree_of(company)


async def test_units_that_wait_in_the_journal_are_told_and_are_no_fault(desk: Desk) -> None:
    await desk.keep(a_ticket("1"), a_ticket("2"))

    (found,) = await findings(desk)

    assert (found.kind, found.is_fault) == (FindingKind.WAITING, False)
    assert found.what.startswith("2 files")


async def test_a_look_while_others_write_finds_nothing_wrong(desk: Desk, new_storage: Callable[[], FileStorage]) -> None:
    await desk.keep(*(a_ticket(str(number)) for number in range(300)))
    onlooker = Desk(new_storage(), "acme")
    stop = asyncio.Event()

    async def write() -> None:
        for turn in range(10_000):
            if stop.is_set():
                return
            key = ticket_key(PLATFORM, str(turn % 300))
            ticket = await desk.kept(a_ticket(f"new {turn}"))
            await desk.delete(ticket)
            await desk.settle((await desk.processing(key)).completed(now=desk.storage.clock()))

    writer = asyncio.create_task(write())
    found = [one for _ in range(5) for one in await findings(onlooker)]
    stop.set()
    await writer

    assert {one.kind for one in found} <= {FindingKind.WAITING}


async def test_the_memory_of_a_look_does_not_grow_with_the_company(desk: Desk, settle: Settle) -> None:
    text = "x" * 30_000
    await desk.keep(*(a_ticket(str(number), text=text) for number in range(800)))
    desk = await settle(desk)
    tracemalloc.start()

    found = await findings(desk)

    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == []
    assert peak_bytes < 800 * len(text) / 3


# -- what another hand wrote ---------------------------------------------------------------------------------------------------------------


def _an_envelope(company: bytes, ticket_id: bytes, *, payload: bytes = b"{}") -> bytes:
    names = b'"kind": "ticket", "platform": "p", "id": %b, "locale": ""' % ticket_id
    return b'{"deskstore": 1, "company": %b, %b, "payload": %b}' % (company, names, payload)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not a JSON object"),
        (b"[1]", "not a JSON object"),
        (b'{"id": NaN}', "not a JSON object"),
        (b'{"id": 1, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not a JSON object"),
        (b'{"id": "\xff"}', "not UTF-8"),
        (b'{"deskstore": 1, "payload": {}}', "'company' is missing"),
        (_an_envelope(b'"acme"', b"7"), "'id' is missing, or no text"),
        (_an_envelope(b'"acme"', b'"8"'), "another record than its place does"),
        (_an_envelope(b'"acme"', b'"7"', payload=b"[]"), "the payload is an array"),
    ],
)
def test_what_can_be_no_record_is_refused_for_its_reason(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidRecord, match=reason):
        read_offer("acme", "p/tickets/7.json", body)


def test_a_record_of_another_company_is_refused_without_a_word_of_it() -> None:
    body = _an_envelope(b'"globex"', b'"7"')

    with pytest.raises(InvalidRecord, match="another company") as caught:
        read_offer("acme", "p/tickets/7.json", body)

    assert "globex" not in str(caught.value)


def test_a_file_that_an_editor_wrote_anew_still_gives_its_payload_exactly() -> None:
    payload = b'{"n": 1e2,\n  "a": "\\u00e9"}'
    head = b'{\n  "deskstore": 1, "company": "acme", "kind": "article", "platform": "p",\n "id": "7", "locale": "ko", '

    found = read_offer("acme", "p/articles/ko/7.json", head + b'"payload" : ' + payload + b"\n}\n\n")

    assert (found.payload, found.key) == (payload, article_key("p", "7", "ko"))


# -- mending -------------------------------------------------------------------------------------------------------------------------------


async def test_what_the_journal_still_holds_is_healed_and_the_edit_is_kept_aside(desk: Desk, company: Path) -> None:
    stored = await desk.kept(a_ticket("42"))
    await desk.keep(a_ticket("another"))  # whose commit begins once the files of the one before are written
    file = company / record_path(stored.key)
    spoil(file, Damage.EDITED, file)
    edited = file.read_bytes()

    (found,) = [one for one in await findings(desk) if one.is_fault]
    mended = await repaired(desk)

    assert (found.kind, found.is_healable, found.is_loss) == (FindingKind.EDITED, True, False)
    assert mended[found.place].remedy is Remedy.HEALED
    assert await desk.find(stored.key) == stored
    assert (company / layout.EDITED / record_path(stored.key)).read_bytes() == edited


@pytest.mark.parametrize("how", Damage)
async def test_what_nothing_holds_is_given_up_set_aside_and_named(settled: Desk, company: Path, how: Damage, settle: Settle) -> None:
    key = a_ticket("42").key
    file = company / record_path(key)
    spoil(file, how, company / record_path(SOUND))
    body = None if how in UNREADABLE or how is Damage.REMOVED else file.read_bytes()

    mended = (await repaired(settled))[record_path(key)]
    again = await settle(settled)

    assert (mended.remedy, mended.finding.key, mended.summaries) == (Remedy.LOST, key, 2)
    assert await again.find(key) is None
    assert [record.key for record in (await again.everything()).records] == [SOUND, article_key(PLATFORM, "7", "ko")]
    assert (await again.progress()).total == 1
    aside = company / layout.EDITED / record_path(key)
    assert body is None or aside.read_bytes() == body
    assert (record_path(key) in tree_of(company / layout.EDITED)) is (how is not Damage.REMOVED)
    assert sorted(os.listdir(company / layout.EDITED / PLATFORM / "summaries/tickets/42")) == ["1.json", "2.json"]
    assert {kind for kind, _ in await told(again)} == {"leftover"}


async def test_a_record_that_comes_again_has_a_newer_version_than_the_lost_one(settled: Desk, company: Path, clock: ManualClock) -> None:
    lost = await settled.find(a_ticket("42").key)
    assert lost is not None
    (company / record_path(lost.key)).unlink()
    await repaired(settled)
    clock.move(-timedelta(days=9))

    again = await settled.kept(a_ticket("42"))

    assert again.version > lost.version
    assert await settled.history(lost.key) == []


async def test_a_damaged_summary_alone_is_given_up(settled: Desk, company: Path) -> None:
    key = a_ticket("42").key
    (company / summary_path(key, 1)).write_bytes(b"{}")

    mended = await repaired(settled)

    assert mended[summary_path(key, 1)].remedy is Remedy.LOST
    assert [one.number for one in await settled.history(key)] == [2]
    assert await settled.find(key) is not None


async def test_a_company_with_a_mirror_gives_nothing_up(settled: Desk, company: Path) -> None:
    key = a_ticket("42").key
    await settled.attach_mirror()
    (company / record_path(key)).unlink()

    mended = await repaired(settled)

    assert mended[record_path(key)].remedy is Remedy.LEFT
    with pytest.raises(CorruptRecord):
        await settled.find(key)


async def test_a_directory_that_became_a_link_gives_no_record_up(settled: Desk, company: Path, outside: Path) -> None:
    tickets = company / PLATFORM / "tickets"
    tickets.rename(outside / "tickets")
    tickets.symlink_to(outside / "tickets", target_is_directory=True)

    mended = await repaired(settled)
    tickets.unlink(missing_ok=True)
    shutil.rmtree(tickets, ignore_errors=True)
    (outside / "tickets").rename(tickets)

    assert {mended[record_path(key)].remedy for key in (SOUND, a_ticket("42").key)} == {Remedy.LEFT}
    assert await settled.find(SOUND) is not None


async def test_strangers_and_added_files_are_set_aside_without_a_loss(settled: Desk, company: Path, outside: Path) -> None:
    (company / "notes.txt").write_text("mine")
    (company / PLATFORM / "tickets" / "9.json").symlink_to(outside / "42.json")
    (company / PLATFORM / "tickets" / "99.json").write_text('{"id": 99}')

    mended = await repaired(settled)
    await repaired(settled)

    remedies = {place: one.remedy for place, one in mended.items() if one.finding.kind is not FindingKind.PERMISSIONS}
    assert set(remedies.values()) == {Remedy.SET_ASIDE}
    assert (company / layout.EDITED / "notes.txt").read_text() == "mine"
    assert {kind for kind, _ in await told(settled)} <= {"leftover", "waiting"}
    assert (outside / "42.json").exists()


@pytest.mark.parametrize("folder", ["", f"{PLATFORM}/tickets/"])
async def test_a_stray_file_whose_name_is_not_utf_8_is_set_aside(settled: Desk, company: Path, folder: str) -> None:
    stray = folder + os.fsdecode(b"\xff.json")
    (company / stray).touch(mode=0o600)
    (company / stray).write_bytes(b"{}")

    mended = await repaired(settled)

    assert (mended[stray].remedy, mended[stray].detail) == (Remedy.SET_ASIDE, f"the old file is in {layout.EDITED}/{folder}\\udcff.json")
    assert (company / layout.EDITED / stray).read_bytes() == b"{}"
    assert not (company / stray).exists()


async def test_what_is_set_aside_twice_stands_beside_the_first(settled: Desk, company: Path) -> None:
    for text in ("first", "second"):
        (company / "notes.txt").write_text(text)
        await repaired(settled)

    aside = company / layout.EDITED
    assert {path.name: path.read_text() for path in aside.iterdir()} == {"notes.txt": "first", "notes.txt.2": "second"}


async def test_rights_of_others_are_taken_away(settled: Desk, company: Path) -> None:
    (company / record_path(SOUND)).chmod(0o666)
    (company / PLATFORM).chmod(0o777)

    mended = await repaired(settled)

    assert {one.remedy for one in mended.values()} == {Remedy.HEALED}
    assert stat.S_IMODE((company / record_path(SOUND)).stat().st_mode) == 0o600
    assert stat.S_IMODE((company / PLATFORM).stat().st_mode) == 0o700


async def test_taking_rights_from_the_files_of_a_database_leaves_it_locked(settled: Desk, company: Path) -> None:
    files = [company / f"{layout.DATABASE}{suffix}" for suffix in ("", "-wal", "-shm")]
    await settled.keep(a_ticket("before"))
    for file in files:
        file.chmod(0o640)

    await repaired(settled)
    look = "import sqlite3, sys; other = sqlite3.connect(sys.argv[1]); other.execute('select * from meta').fetchall(); other.close()"
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", look, str(files[0])], check=True)

    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3  # who believes to be the last one removes the log
    await settled.keep(a_ticket("after"))


async def test_claims_are_released_once(settled: Desk, company: Path) -> None:
    (company / layout.DATABASE).unlink()
    await repaired(settled)
    assert await settled.claim() == []

    first = await inspection_of(settled.storage).release_claims("acme")
    again = await inspection_of(settled.storage).release_claims("acme")

    assert (first, again) == (True, False)
    assert len(await settled.claim()) == 1


async def test_the_wait_for_claims_is_told_until_it_is_over(settled: Desk, company: Path, clock: ManualClock) -> None:
    (company / layout.DATABASE).unlink()
    await repaired(settled)

    during = await told(settled)
    clock.move(LONGEST_LEASE + CLOCK_SKEW)

    assert during == [("claims", layout.DATABASE)]
    assert await told(settled) == []


async def test_the_place_of_all_companies_is_tried(storage: FileStorage, base: Path) -> None:
    before = await storage.inspection().checks()
    await Desk(storage, "acme").keep(a_ticket())

    after = await storage.inspection().checks()

    assert all(check.is_fine for check in (*before, *after))
    assert [check.name for check in after] == ["directory", "writable", "free space", "free inodes", "erasures"]
    assert sorted(os.listdir(base)) == ["acme"]


async def test_erased_companies_that_are_not_deleted_yet_are_told_without_a_name(storage: FileStorage, base: Path) -> None:
    (base / ".erasing" / "something").mkdir(parents=True)

    checks = {check.name: check for check in await storage.inspection().checks()}

    assert not checks["erasures"].is_fine
    assert checks["erasures"].detail.startswith("1 erased companies")


async def test_a_place_that_is_no_directory_is_told(storage: FileStorage, base: Path) -> None:
    os.close(os.open(base, os.O_CREAT | os.O_WRONLY, 0o600))

    (check,) = await storage.inspection().checks()

    assert not check.is_fine


# -- crashes -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_database", [False, True], ids=["an empty file", "a database without tables"])
async def test_a_company_that_was_only_half_made_holds_nobody_up(
    desk: Desk, base: Path, is_database: bool, new_storage: Callable[[], FileStorage]
) -> None:
    await desk.keep(a_ticket())
    await desk.storage.aclose()
    half = base / "half" / layout.DATABASE
    half.parent.mkdir(parents=True)
    half.touch()
    if is_database:
        with closing(sqlite3.connect(half)) as connection:
            connection.execute("pragma journal_mode=wal")
    before = half.read_bytes()

    storage = new_storage()

    assert await storage.companies() == await storage.inspection().companies() == ["acme"]
    assert await findings(Desk(storage, "half")) == []
    assert half.read_bytes() == before
    await Desk(storage, "half").keep(a_ticket())
    assert await storage.companies() == ["acme", "half"]


async def test_a_half_made_database_beside_records_is_a_lost_one(desk: Desk, company: Path, new_storage: Callable[[], FileStorage]) -> None:
    stored = await desk.kept(a_ticket())
    await desk.storage.aclose()
    shutil.rmtree(company / layout.OWN)
    (company / layout.OWN).mkdir()
    (company / layout.DATABASE).touch()

    again = Desk(new_storage(), "acme")
    (finding,) = await findings(again)

    assert (finding.kind, finding.what) == (FindingKind.DATABASE, "it is lost")
    assert (company / layout.DATABASE).read_bytes() == b""
    assert await again.find(stored.key) == stored


def first_commit(folder: Path, acknowledge: Callable[[int], None]) -> None:
    """A company comes to be."""

    async def keep() -> None:
        storage = FileStorage(folder / "data", clock=ManualClock())
        await Desk(storage, "acme").keep(KEPT)
        acknowledge(1)
        await storage.aclose()

    asyncio.run(keep())


def after_first_commit(folder: Path, acked: int, _: int) -> str | None:
    """Whoever looks is not held up, finds what was acknowledged, and makes nothing; the next one to save can."""
    return asyncio.run(_looked_at(folder / "data", acked))


async def _looked_at(data: Path, acked: int) -> str | None:
    storage = FileStorage(data, clock=ManualClock())
    try:
        path = data / "acme" / layout.DATABASE
        was_empty = path.exists() and not path.stat().st_size
        known = await storage.inspection().companies()
        found = await findings(Desk(storage, "acme"))
        if was_empty and path.stat().st_size:
            return "who looked wrote into an empty database"
        if acked and known != ["acme"]:
            return f"the company was acknowledged, and there are {known}"
        if wrong := [one for one in found if one.kind in (FindingKind.DAMAGED, FindingKind.MISSING)]:
            return f"a commit that was killed left {wrong}"
        await Desk(storage, "acme").keep(a_ticket("next"))
        return None
    finally:
        await storage.aclose()


def test_a_kill_while_a_company_comes_to_be_holds_up_nobody_who_looks() -> None:
    report = kill_sweep(first_commit, after_first_commit, every=8, torn=False)

    assert report.ok, report
    assert report.states > 10


SPOILT: Final = {"2": b'{"id": 2, "edited": "by hand"}', "3": b"garbage", "99": b'{"id": 99, "subject": "added"}'}
KEPT: Final = a_ticket("1")


@frozen
class Repair:
    """Repairs a copy of a spoilt company."""

    template: Path

    def __call__(self, folder: Path, acknowledge: Callable[[int], None]) -> None:
        shutil.copytree(self.template, folder / "data")
        acknowledge(1)
        asyncio.run(self._run(folder / "data"))
        acknowledge(2)

    async def _run(self, data: Path) -> None:
        storage = FileStorage(data, clock=ManualClock())
        try:
            await repaired(Desk(storage, "acme"))
        finally:
            await storage.aclose()


def after_repair(folder: Path, acked: int, _: int) -> str | None:
    """Each spoilt file has its finding still or is mended, and none of them is gone."""
    return asyncio.run(_judged(folder / "data", acked)) if acked else None


async def _judged(data: Path, acked: int) -> str | None:
    wrong = _destroyed(data / "acme")
    storage = FileStorage(data, clock=ManualClock())
    try:
        desk = Desk(storage, "acme")
        wrong += await _contradictions(desk, data / "acme", is_done=acked == 2)
        await repaired(desk)
        wrong += [f"{one} was left by a second repair" for one in await told(desk) if one[0] not in ("leftover", "waiting")]
    finally:
        await storage.aclose()
    return "; ".join(wrong + _destroyed(data / "acme")) or None


def _destroyed(company: Path) -> list[str]:
    """What stands in no file any more; the journal may hold it as long as nobody opened the company."""
    bodies = {path.read_bytes() for path in company.rglob("*.json") if path.is_file()}
    with closing(database.connect(str(company / layout.DATABASE), busy_s=5)) as connection:
        bodies |= {body for (body,) in connection.execute("select body from redo where body is not null")}
    return [f"the content of {name} is gone" for name, body in SPOILT.items() if body not in bodies]


async def _contradictions(desk: Desk, company: Path, *, is_done: bool) -> list[str]:
    wrong: list[str] = []
    found = {one.key: one.kind for one in await findings(desk) if one.key}
    with closing(database.connect(str(company / layout.DATABASE), busy_s=5)) as connection:
        index = Index(connection)
        for name in ("2", "3"):
            key: Key = ticket_key(PLATFORM, name)
            if (index.record_crc(key) is not None) is not (key in found):
                wrong.append(f"{key} is in the index or a finding, and not both: {found.get(key)}")
    if is_done and found:
        wrong.append(f"the repair was acknowledged, and finds {found}")
    kept = await desk.find(KEPT.key)
    if kept is None or kept.payload != KEPT.payload:
        wrong.append(f"{KEPT.key} is {kept}")
    return wrong


async def test_a_kill_of_a_repair_leaves_the_finding_or_the_mended_state(desk: Desk, company: Path, base: Path) -> None:
    await desk.keep(KEPT, a_ticket("2"), a_ticket("3"))
    await desk.summarise(a_summary(a_ticket("2").key))
    await desk.storage.aclose()
    for name, body in SPOILT.items():
        file = company / record_path(ticket_key(PLATFORM, name))
        file.touch(mode=0o600)
        file.write_bytes(body)

    report = kill_sweep(Repair(base), after_repair, every=11)

    assert report.ok, report
    assert report.states > 10
