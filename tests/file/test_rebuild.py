"""A lost or damaged database is made anew from the files, and never hands out, forgets or repeats what it must not."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

import orjson
import pytest
from attrs import evolve, frozen

from deskstore.adapters.file import FileStorage, layout
from deskstore.adapters.file.layout import record_path, summary_path
from deskstore.domain.errors import ClaimLost, CompanyMoved, CorruptRecord, StorageError, StorageUnavailable, StoreReplaced
from deskstore.domain.findings import Mended
from deskstore.domain.identifiers import ticket_key
from deskstore.domain.paging import Filter
from deskstore.domain.processing import CLOCK_SKEW, COMPLETED, FAILED, LONGEST_LEASE, PENDING, PROCESSING, Processing, Progress
from deskstore.services.doctoring import accept_edits, repair_company
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk, Everything, token_of
from deskstore.testing.makers import PLATFORM, a_summary, a_ticket, an_article
from tests.file.conftest import Settle
from tests.file.trees import Damage, contents_of, spoil

T = TypeVar("T")
Loss = Callable[[Path], None]
BACK_OFF: Final = timedelta(hours=3)
DATABASE_FILES: Final = ("state.sqlite3", "state.sqlite3-wal", "state.sqlite3-shm")
WAIT: Final = LONGEST_LEASE + CLOCK_SKEW


def _without(*names: str) -> Loss:
    def lose(own: Path) -> None:
        for name in names:
            (own / name).unlink(missing_ok=True)

    return lose


def _overwritten(at: int, by: bytes) -> Loss:
    def lose(own: Path) -> None:
        with (own / "state.sqlite3").open("r+b") as database:
            database.seek(at)
            database.write(by)

    return lose


LOSSES: Final[dict[str, Loss]] = {
    "removed": _without(*DATABASE_FILES),
    "removed without its log": _without("state.sqlite3"),
    "emptied": lambda own: os.truncate(own / "state.sqlite3", 0),
    "cut in the middle": lambda own: os.truncate(own / "state.sqlite3", (own / "state.sqlite3").stat().st_size // 2),
    "garbage at its beginning": _overwritten(0, b"no database at all"),
    "garbage on its first page": _overwritten(100, b"\xff" * 3_000),
    "removed with company.json": _without(*DATABASE_FILES, "company.json"),
    "removed with all that is deskstore's own": shutil.rmtree,
}


@frozen(kw_only=True)
class Kept:
    """A company as it was before its database was lost."""

    everything: Everything
    files: dict[str, bytes]
    claimed: Processing
    highest: int  #: version of anything


@pytest.fixture
async def kept(desk: Desk, base: Path, clock: ManualClock) -> Kept:
    """Five tickets, of which one is pending, one completed, one failed for now, one for good, and one claimed; everything in files."""
    await desk.keep(*(a_ticket(str(number), text=f"text {number}") for number in range(1, 6)), an_article("1", "ko"), an_article("1"))
    clock.move(timedelta(minutes=1))
    one, two, three, four = [await desk.processing(ticket_key(PLATFORM, str(number))) for number in range(1, 5)]
    await desk.settle(one.completed(now=clock()))
    await desk.settle(two.failed("no answer", now=clock(), retry_at=clock() + BACK_OFF))
    await desk.settle(three.failed("never", now=clock(), retry_at=None))
    (claimed,) = await desk.claim()
    assert claimed.key == four.key
    await desk.summarise(a_summary(one.key, "text 1"), a_summary(one.key, "older"), a_summary(an_article("1", "ko").key))
    everything = await desk.everything()
    await desk.storage.aclose()
    versions = [record.version for record in everything.records] + [each.version for each in everything.processing]
    highest = max(*versions, *(summary.version for summary in everything.summaries))
    return Kept(everything=everything, files=contents_of(base), claimed=claimed, highest=highest)


@pytest.fixture
def own(base: Path) -> Path:
    """The directory of the company that is deskstore's own."""
    return base / "acme" / layout.OWN


@pytest.fixture
def reopened(new_storage: Callable[[], FileStorage]) -> Callable[[], Desk]:
    return lambda: Desk(new_storage(), "acme")


async def _everything(desk: Desk) -> Everything:
    """All of a company; a first read may find the damage and name it, the next one rebuilds."""
    with suppress(StorageUnavailable):
        return await desk.everything()
    return await desk.everything()


async def _answer(call: Awaitable[T]) -> T | StorageError:
    """What a call gives, or the error of ours that it raises; any other one fails the test."""
    try:
        return await call
    except StorageError as error:
        return error


def _set_apart(base: Path) -> bytes:
    """Move all companies aside, to be copied from there; gives the bytes of the database."""
    sound = base.rename(base.with_name("sound"))
    return (sound / "acme" / layout.DATABASE).read_bytes()


@contextmanager
def _damaged_copy(base: Path, at: int, by: bytes) -> Generator[None, None, None]:
    shutil.copytree(base.with_name("sound"), base)
    _overwritten(at, by)(base / "acme" / layout.OWN)
    yield
    shutil.rmtree(base)


@pytest.mark.parametrize("loss", LOSSES)
async def test_all_that_files_hold_is_there_again(
    kept: Kept, own: Path, base: Path, reopened: Callable[[], Desk], loss: str, caplog: pytest.LogCaptureFixture
) -> None:
    LOSSES[loss](own)
    desk = reopened()

    listed = await desk.storage.companies()
    found = await _everything(desk)

    assert listed == ["acme"]
    assert found.records == kept.everything.records
    assert found.summaries == kept.everything.summaries
    assert contents_of(base) == kept.files
    assert found.stats == kept.everything.stats
    processing = {one.key.id: one for one in found.processing}
    for before in kept.everything.processing:
        if before.status != PROCESSING:
            assert processing[before.key.id] == before
    assert [processing[str(number)].status for number in range(1, 6)] == [COMPLETED, FAILED, FAILED, PENDING, PENDING]
    assert processing["4"].claim is None
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "may be missing" in warning.message
    assert "rebuilt" in warning.message


@pytest.mark.parametrize("loss", ["removed", "removed with all that is deskstore's own"])
async def test_an_article_in_a_locale_named_summaries_is_there_again(
    desk: Desk, own: Path, reopened: Callable[[], Desk], loss: str
) -> None:
    article = await desk.kept(an_article("1", "summaries"))
    await desk.summarise(a_summary(article.key))
    before = await desk.everything()
    await desk.storage.aclose()

    LOSSES[loss](own)
    desk = reopened()

    assert await desk.storage.companies() == ["acme"]
    assert await _everything(desk) == before


@pytest.mark.usefixtures("kept")
async def test_progress_after_a_rebuild_equals_a_recount(own: Path, reopened: Callable[[], Desk]) -> None:
    LOSSES["removed"](own)

    found = await reopened().everything()

    changed = max(one.changed_at for one in found.processing)
    assert found.progress == [Progress(platform=PLATFORM, pending=2, completed=1, failed=2, last_updated=changed)]
    assert found.progress[0].total == 5


async def test_nothing_is_handed_out_until_the_longest_lease_has_passed(
    kept: Kept, own: Path, reopened: Callable[[], Desk], clock: ManualClock
) -> None:
    LOSSES["removed"](own)
    desk = reopened()

    at_once = await desk.claim(10)
    clock.move(WAIT - timedelta(microseconds=1))
    too_early = await desk.claim(10)
    clock.move(timedelta(microseconds=1))
    in_time = await desk.claim(10)

    assert (at_once, too_early) == ([], [])
    assert {one.key.id for one in in_time} == {kept.claimed.key.id, "5"}


@pytest.mark.usefixtures("kept")
async def test_the_wait_outlives_the_process_that_rebuilt(
    own: Path, reopened: Callable[[], Desk], settle: Settle, clock: ManualClock
) -> None:
    LOSSES["removed"](own)
    desk = await settle(Desk(reopened().storage, "acme"))
    assert (await desk.everything()).records

    desk = await settle(desk)

    assert await desk.claim(10) == []
    clock.move(WAIT)
    assert len(await desk.claim(10)) == 2


@pytest.mark.usefixtures("kept")
async def test_a_back_off_survives(own: Path, reopened: Callable[[], Desk], clock: ManualClock) -> None:
    LOSSES["removed"](own)
    desk = reopened()
    await desk.everything()
    clock.move(WAIT)
    assert "2" not in {one.key.id for one in await desk.claim(10)}

    clock.move(BACK_OFF)

    assert "2" in {one.key.id for one in await desk.claim(10)}


async def test_the_token_of_a_lost_claim_is_worth_nothing(kept: Kept, own: Path, reopened: Callable[[], Desk], clock: ManualClock) -> None:
    LOSSES["removed"](own)
    desk = reopened()

    with pytest.raises(ClaimLost):
        await desk.settle(kept.claimed.completed(now=clock()), token=token_of(kept.claimed))

    assert (await desk.processing(kept.claimed.key)).status == PENDING


async def test_versions_after_a_rebuild_exceed_those_before(
    kept: Kept, own: Path, reopened: Callable[[], Desk], clock: ManualClock
) -> None:
    LOSSES["removed"](own)
    desk = reopened()
    clock.move(timedelta(seconds=1))

    new = await desk.kept(a_ticket("new"))
    changed = await desk.received(kept.everything.tickets[0], "another text")
    settled = await desk.settle((await desk.processing(kept.claimed.key)).completed(now=clock()))
    (summary,) = await desk.summarise(a_summary(new.key))

    assert min(new.version, changed.version, settled.version, summary.version) > kept.highest


async def test_a_new_record_is_newer_than_all_before_even_when_the_clock_went_back(
    kept: Kept, own: Path, reopened: Callable[[], Desk], clock: ManualClock
) -> None:
    LOSSES["removed"](own)
    clock.move(-timedelta(days=1))

    new = await reopened().kept(a_ticket("new"))

    assert new.version > kept.highest


@pytest.mark.usefixtures("kept")
async def test_the_store_keeps_its_id_and_where_the_company_lives(own: Path, reopened: Callable[[], Desk]) -> None:
    before = orjson.loads((own / "company.json").read_bytes())
    LOSSES["removed"](own)

    replica = reopened().replica()

    state = await replica.state()
    assert state is not None
    assert (await replica.store_id(), state.primary, state.epoch) == (
        before["store_id"],
        before["state"]["primary"],
        before["state"]["epoch"],
    )


async def test_a_lost_database_does_not_bring_back_a_primary_that_was_given_up(desk: Desk, own: Path, reopened: Callable[[], Desk]) -> None:
    await desk.kept(a_ticket())
    state = await desk.replica().state()
    assert state is not None
    assert await desk.replica().compare_and_set_state(state, evolve(state, primary="elsewhere", epoch=state.epoch + 1))
    await desk.storage.aclose()
    LOSSES["removed"](own)

    desk = reopened()

    with pytest.raises(CompanyMoved):
        await desk.keep(a_ticket("another"))
    assert await desk.replica().state() == evolve(state, primary="elsewhere", epoch=state.epoch + 1)


async def test_an_older_database_put_in_place_does_not_bring_back_a_primary_that_was_given_up(
    desk: Desk, own: Path, settle: Settle, reopened: Callable[[], Desk]
) -> None:
    await desk.kept(a_ticket())
    desk = await settle(desk)
    state = await desk.replica().state()
    assert state is not None
    await desk.storage.aclose()
    older = (own / "state.sqlite3").read_bytes()
    desk = reopened()
    assert await desk.replica().compare_and_set_state(state, evolve(state, primary="elsewhere", epoch=state.epoch + 1))
    await desk.storage.aclose()
    (own / "state.sqlite3").write_bytes(older)

    desk = reopened()

    with pytest.raises(CompanyMoved):
        await desk.keep(a_ticket("another"))


@pytest.mark.parametrize(
    "changes",
    [
        {'"epoch": 1': '"epoch": 2', '"erased": false': '"erased": "no"'},
        {'"epoch": 1': '"epoch": 2.5'},
        {'"state": {': '"state": [], "was": {'},
        {'"company": "acme"': '"company": 7'},
        {'"store_id": "': '"store_id": 7, "was": "'},
    ],
)
async def test_a_company_file_that_deskstore_never_wrote_says_nothing_and_is_written_anew(
    desk: Desk, own: Path, reopened: Callable[[], Desk], changes: dict[str, str]
) -> None:
    before = await desk.kept(a_ticket())
    await desk.storage.aclose()
    right = text = (own / "company.json").read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    (own / "company.json").write_text(text)

    desk = reopened()

    assert await desk.storage.companies() == ["acme"]
    assert await desk.find(before.key) == before
    assert text != right == (own / "company.json").read_text()


async def test_a_lost_company_file_is_written_anew(kept: Kept, own: Path, reopened: Callable[[], Desk]) -> None:
    before = (own / "company.json").read_bytes()
    (own / "company.json").unlink()
    desk = reopened()

    assert await desk.storage.companies() == ["acme"]
    found = await desk.everything()

    assert found == kept.everything
    assert (own / "company.json").read_bytes() == before


@pytest.mark.parametrize("how", [Damage.TRUNCATED, Damage.FLIPPED, Damage.REPLACED, Damage.LINKED, Damage.EMPTIED])
async def test_a_file_that_does_not_vouch_for_itself_is_left_out_and_named(
    kept: Kept, own: Path, base: Path, reopened: Callable[[], Desk], how: Damage, caplog: pytest.LogCaptureFixture
) -> None:
    record, summary = record_path(ticket_key(PLATFORM, "2")), summary_path(ticket_key(PLATFORM, "1"), 2)
    spoil(base / "acme" / record, how, base / "acme" / record_path(ticket_key(PLATFORM, "3")))
    spoil(base / "acme" / summary, how, base / "acme" / summary_path(ticket_key(PLATFORM, "1"), 1))
    LOSSES["removed"](own)
    desk = reopened()

    with pytest.raises(CorruptRecord) as caught:
        await desk.find(ticket_key(PLATFORM, "2"))
    others = [await desk.find(ticket_key(PLATFORM, number)) for number in "1345"]

    assert (caught.value.key, caught.value.place) == (ticket_key(PLATFORM, "2"), record)
    assert others == [ticket for ticket in kept.everything.tickets if ticket.ticket_id != "2"]
    named = [entry.getMessage() for entry in caplog.records if entry.levelno == logging.ERROR]
    assert [file for file in (record, summary) if any(file in message for message in named)] == [record, summary]


@pytest.mark.parametrize("version", [2**63 - 1, 2**63, 2**64, -1, 0])
async def test_a_file_with_a_version_that_was_never_given_is_left_out_and_stops_nothing(
    desk: Desk, own: Path, base: Path, reopened: Callable[[], Desk], version: int
) -> None:
    one, two = await desk.kept(a_ticket("1")), await desk.kept(a_ticket("2"))
    await desk.storage.aclose()
    file = base / "acme" / record_path(one.key)
    file.write_text(file.read_text().replace(f'"version":{one.version},"saved', f'"version":{version},"saved'))
    LOSSES["removed"](own)
    desk = reopened()

    with pytest.raises(CorruptRecord):
        await desk.find(one.key)

    assert await desk.find(two.key) == two
    assert (await desk.kept(a_ticket("3"))).version > two.version


async def test_a_summary_number_that_nobody_counts_up_to_makes_no_deletion_slow(
    desk: Desk, own: Path, base: Path, reopened: Callable[[], Desk]
) -> None:
    key = (await desk.kept(a_ticket())).key
    await desk.summarise(a_summary(key))
    await desk.storage.aclose()
    file, far = base / "acme" / summary_path(key, 1), 300_000
    file.with_name(f"{far}.json").write_bytes(file.read_bytes().replace(b'"number":1,', b'"number":%d,' % far))
    LOSSES["removed"](own)
    desk = reopened()
    stored = await desk.find(key)
    assert stored is not None
    numbers = [summary.number for summary in await desk.history(key)]

    await asyncio.wait_for(desk.delete(stored), 5)

    assert numbers == [1, far]
    assert await desk.history(key) == []


async def _streamed(desk: Desk) -> tuple[list[str], list[CorruptRecord]]:
    """The ids that a stream of tickets gives which goes on behind each error, and the errors."""
    found, errors, after = list[str](), list[CorruptRecord](), None
    while True:
        try:
            async for ticket in desk.unit().tickets.stream(after=after):
                found.append(ticket.ticket_id)
            return found, errors
        except CorruptRecord as error:
            errors.append(error)
            if error.key is None:
                return found, errors
            after = error.key


@pytest.mark.parametrize("how", [Damage.TRUNCATED, Damage.FLIPPED, Damage.REPLACED, Damage.LINKED, Damage.EMPTIED])
@pytest.mark.usefixtures("kept")
async def test_pages_streams_and_copies_never_pass_over_a_file_that_does_not_vouch_for_itself(
    own: Path, base: Path, reopened: Callable[[], Desk], how: Damage
) -> None:
    key = ticket_key(PLATFORM, "2")
    spoil(base / "acme" / record_path(key), how, base / "acme" / record_path(ticket_key(PLATFORM, "3")))
    LOSSES["removed"](own)
    desk = reopened()

    found, errors = await _streamed(desk)
    with pytest.raises(CorruptRecord) as of_page:
        await desk.unit().tickets.page(Filter(status="closed"))
    with pytest.raises(CorruptRecord) as of_copies:
        assert [copy async for copy in desk.replica().copies("ticket")]

    assert found == ["1", "3", "4", "5"]
    assert [(error.key, error.place) for error in (*errors, of_page.value, of_copies.value)] == [(key, record_path(key))] * 3
    assert [ticket.ticket_id for ticket in (await desk.unit().tickets.page(Filter(), limit=3)).items] == ["5", "4", "3"]
    assert [article.locale for article in (await desk.unit().articles.page(Filter())).items] == ["ko", ""]
    assert (await desk.unit().tickets.page(Filter(platform="jira"))).items == ()


@pytest.mark.usefixtures("kept")
async def test_a_file_whose_name_does_not_tell_its_record_is_named_behind_all_others(
    own: Path, base: Path, reopened: Callable[[], Desk], settle: Settle
) -> None:
    key = ticket_key(PLATFORM, "한" * 200)
    desk = reopened()
    await desk.keep(a_ticket(key.id))
    await settle(desk)
    (base / "acme" / record_path(key)).write_bytes(b"{}")
    LOSSES["removed"](own)
    desk = reopened()

    found, errors = await _streamed(desk)
    with pytest.raises(CorruptRecord) as of_page:
        await desk.unit().tickets.page(Filter())

    assert found == ["1", "2", "3", "4", "5"]
    assert [(error.key, error.place) for error in (*errors, of_page.value)] == [(None, record_path(key))] * 2


@pytest.mark.usefixtures("kept")
async def test_a_directory_that_became_a_link_is_not_passed_over_after_a_rebuild(
    own: Path, base: Path, outside: Path, reopened: Callable[[], Desk]
) -> None:
    tickets = base / "acme" / PLATFORM / "tickets"
    shutil.rmtree(tickets)
    tickets.symlink_to(outside)
    LOSSES["removed"](own)

    _, errors = await _streamed(reopened())

    assert [error.place for error in errors] == [f"{PLATFORM}/tickets"]


@pytest.mark.usefixtures("kept")
async def test_a_summary_that_does_not_vouch_for_itself_is_not_passed_over(own: Path, base: Path, reopened: Callable[[], Desk]) -> None:
    key = ticket_key(PLATFORM, "1")
    (base / "acme" / summary_path(key, 2)).write_bytes(b"{}")
    LOSSES["removed"](own)
    desk = reopened()

    for read in (lambda: desk.history(key), lambda: desk.current(key), lambda: desk.unit().summaries.current_many([key])):
        with pytest.raises(CorruptRecord) as caught:
            await read()
        assert (caught.value.key, caught.value.place) == (key, summary_path(key, 2))


@pytest.mark.usefixtures("kept")
async def test_what_can_be_no_record_by_its_name_is_no_doubt_after_a_rebuild(own: Path, base: Path, reopened: Callable[[], Desk]) -> None:
    for stray in (".DS_Store", "2.json~", "2.json.tmp", os.fsdecode(b"\xff.json")):
        (base / "acme" / PLATFORM / "tickets" / stray).write_bytes(b"x")
    LOSSES["removed"](own)

    assert await _streamed(reopened()) == (["1", "2", "3", "4", "5"], [])


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("mend", [repair_company, accept_edits])
async def test_once_the_doctor_has_seen_to_it_reads_go_on(
    own: Path, base: Path, reopened: Callable[[], Desk], mend: Callable[[FileStorage, str], AsyncIterator[Mended]]
) -> None:
    (base / "acme" / record_path(ticket_key(PLATFORM, "2"))).write_bytes(b'{"id": "2"}')
    LOSSES["removed"](own)
    desk = reopened()
    with pytest.raises(CorruptRecord):
        await desk.everything()

    assert isinstance(desk.storage, FileStorage)
    assert len([mended async for mended in mend(desk.storage, "acme")]) == 1

    kept = ["1", "2", "3", "4", "5"] if mend is accept_edits else ["1", "3", "4", "5"]
    assert await _streamed(desk) == (kept, [])
    assert len((await desk.unit().tickets.page(Filter())).items) == len(kept)


@pytest.mark.usefixtures("kept")
async def test_a_record_of_another_company_is_not_taken_in(own: Path, base: Path, reopened: Callable[[], Desk]) -> None:
    theirs = Desk(reopened().storage, "theirs")
    await theirs.keep(a_ticket("99", text="their secret"))
    await theirs.storage.aclose()
    place = record_path(ticket_key(PLATFORM, "99"))
    shutil.copy(base / "theirs" / place, base / "acme" / place)
    LOSSES["removed"](own)

    desk = reopened()

    found, errors = await _streamed(desk)
    assert found == ["1", "2", "3", "4", "5"]
    assert [error.key for error in errors] == [ticket_key(PLATFORM, "99")]
    with pytest.raises(CorruptRecord):
        await desk.find(ticket_key(PLATFORM, "99"))


async def test_whatever_page_of_the_database_is_garbage_nothing_false_is_read(kept: Kept, base: Path, clock: ManualClock) -> None:
    size = len(_set_apart(base))
    for page in range(size // 4_096):
        with _damaged_copy(base, page * 4_096, random.Random(page).randbytes(4_096)):
            storage = FileStorage(base, clock=clock)

            found = await _everything(Desk(storage, "acme"))
            await storage.aclose()

            assert found.records == kept.everything.records, f"page {page}"
            assert found.summaries == kept.everything.summaries, f"page {page}"
            assert found.progress[0].total == found.stats[0].tickets == len(found.tickets), f"page {page}"


async def test_a_flipped_bit_anywhere_in_the_database_gives_no_record_that_was_never_saved(
    kept: Kept, base: Path, clock: ManualClock, seed: int
) -> None:
    body = _set_apart(base)
    saved = {record.key: record for record in kept.everything.records}
    for at in random.Random(seed).sample([at for at, byte in enumerate(body) if byte], 25):
        with _damaged_copy(base, at, bytes([body[at] ^ 1 << at % 8])):
            storage = FileStorage(base, clock=clock)
            desk = Desk(storage, "acme")

            found = [await _answer(desk.find(key)) for key in saved]
            outcomes = [await _answer(desk.everything()), await _answer(desk.claim(10)), await _answer(desk.keep(a_ticket("new")))]
            await storage.aclose()

            assert all(record is None or isinstance(record, StorageError) or record in saved.values() for record in found), f"byte {at}"
            assert all(str(error) for error in outcomes if isinstance(error, StorageError)), f"byte {at}"


async def test_a_rebuild_that_was_cut_off_begins_again(kept: Kept, own: Path, reopened: Callable[[], Desk]) -> None:
    LOSSES["removed"](own)
    with closing(sqlite3.connect(own / "state.sqlite3", isolation_level=None)) as connection:
        connection.execute("pragma journal_mode=wal")
        connection.execute("begin immediate")
        connection.execute("create table meta (name text primary key, value) without rowid")
        connection.execute("insert into meta values ('company', 'acme')")

    found = await reopened().everything()

    assert found.records == kept.everything.records


@pytest.mark.usefixtures("kept")
async def test_a_database_that_is_damaged_is_set_aside_and_not_deleted(own: Path, reopened: Callable[[], Desk]) -> None:
    LOSSES["garbage at its beginning"](own)
    damaged = (own / "state.sqlite3").read_bytes()

    await _everything(reopened())

    assert (own / "damaged/state.sqlite3").read_bytes() == damaged


@pytest.mark.usefixtures("kept")
async def test_a_database_lost_again_is_set_aside_beside_the_first(own: Path, reopened: Callable[[], Desk]) -> None:
    for _ in range(2):
        LOSSES["garbage at its beginning"](own)
        desk = reopened()
        await _everything(desk)
        await desk.storage.aclose()

    assert {"state.sqlite3", "state.sqlite3.2"} <= {path.name for path in (own / "damaged").iterdir()}


async def test_a_database_that_vanishes_while_in_use_is_refused_and_not_made_anew(
    desk: Desk, own: Path, reopened: Callable[[], Desk]
) -> None:
    stored = await desk.kept(a_ticket())
    await desk.keep(a_ticket("later"))  # which comes after the files of the one before were written
    _without(*DATABASE_FILES)(own)

    with pytest.raises(StoreReplaced, match="removed or replaced"):
        await desk.keep(a_ticket("another"))
    with pytest.raises(StoreReplaced, match="removed or replaced"):
        await desk.find(stored.key)
    await desk.storage.aclose()

    assert not (own / "state.sqlite3").exists()
    assert await reopened().find(stored.key) == stored
