"""Exports that come in: every record once, in order, through interruptions."""

import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from deskstore.adapters.memory import MemoryBackend, MemoryStorage
from deskstore.domain.changes import Changes, Committed
from deskstore.domain.errors import ConfigurationError, CorruptRecord, InvalidRecord, StorageUnavailable
from deskstore.domain.identifiers import TICKET, Key, Kind
from deskstore.domain.ports import BeforeCommit
from deskstore.formats.platforms import Options
from deskstore.services import receiving
from deskstore.services.articles import list_article_locales
from deskstore.services.companies import get_platform_stats, list_companies
from deskstore.services.importing import ImportProgress, ImportReport, import_records
from deskstore.services.tickets import find_ticket, get_ticket, list_tickets, save_ticket
from tests.payloads import as_bytes, freshdesk

ACME = "acme"


def lines(path: Path, records: Sequence[object]) -> Path:
    path.write_bytes(b"".join((record if isinstance(record, bytes) else as_bytes(record)) + b"\n" for record in records))
    return path


def counts(report: ImportReport) -> tuple[int, int, int, int, int]:
    return report.created, report.updated, report.unchanged, report.stale, report.rejected


async def test_a_freshdesk_array_goes_in_and_comes_out_byte_for_byte(storage: MemoryStorage, tmp_path: Path) -> None:
    payloads = [json.dumps(freshdesk(number), indent=2).encode() for number in range(3)]
    path = tmp_path / "all_tickets.json"
    path.write_bytes(b"[\n" + b",\n".join(payloads) + b"\n]\n")

    report = await import_records(storage, ACME, "freshdesk", [path])

    assert (counts(report), report.kind, str(report.detected[str(path)])) == ((3, 0, 0, 0, 0), TICKET, "a JSON array")
    for number, payload in enumerate(payloads):
        assert (await get_ticket(storage, ACME, "freshdesk", str(number))).payload == payload


async def test_the_same_export_again_is_unchanged(storage: MemoryStorage, tmp_path: Path) -> None:
    path = lines(tmp_path / "tickets.ndjson", [freshdesk(number) for number in range(250)])

    first = await import_records(storage, ACME, "freshdesk", [path], batch_records=100)
    again = await import_records(storage, ACME, "freshdesk", [path], batch_records=100)

    assert (counts(first), counts(again)) == ((250, 0, 0, 0, 0), (0, 0, 250, 0, 0))
    assert again.resumed_at == 0


async def test_what_a_later_export_no_longer_lists_stays(storage: MemoryStorage, tmp_path: Path) -> None:
    first = lines(tmp_path / "1.ndjson", [freshdesk(1), freshdesk(2)])
    later = lines(tmp_path / "2.ndjson", [freshdesk(2), freshdesk(3), freshdesk(4, deleted=True)])

    await import_records(storage, ACME, "freshdesk", [first])
    report = await import_records(storage, ACME, "freshdesk", [later])

    assert counts(report) == (2, 0, 1, 0, 0)
    page = await list_tickets(storage, ACME, "freshdesk")
    assert sorted(ticket.ticket_id for ticket in page.items) == ["1", "2", "3", "4"]


async def test_a_company_id_in_a_payload_names_no_company(storage: MemoryStorage, tmp_path: Path) -> None:
    payload = as_bytes(freshdesk(1, company_id="globex", _deskstore={"company_id": "globex"}))

    report = await import_records(storage, ACME, "freshdesk", [lines(tmp_path / "t.ndjson", [payload])])

    assert counts(report) == (1, 0, 0, 0, 0)
    assert await list_companies(storage) == [ACME]
    assert (await get_ticket(storage, ACME, "freshdesk", "1")).payload == payload


async def test_several_files_and_a_compressed_one_are_one_run(storage: MemoryStorage, tmp_path: Path) -> None:
    first = lines(tmp_path / "1.json", [freshdesk(1), freshdesk(2)])
    second = tmp_path / "2.json.gz"
    second.write_bytes(gzip.compress(as_bytes([freshdesk(2), freshdesk(3)])))

    report = await import_records(storage, ACME, "freshdesk", [first, second])

    assert counts(report) == (3, 0, 1, 0, 0)


async def test_an_open_reader_is_a_source_too(storage: MemoryStorage) -> None:
    report = await import_records(storage, ACME, "freshdesk", [io.BytesIO(as_bytes(freshdesk()))])

    assert counts(report) == (1, 0, 0, 0, 0)


async def test_of_one_ticket_in_two_states_the_newer_stands_whichever_comes_first(storage: MemoryStorage, tmp_path: Path) -> None:
    old, new = freshdesk(status=2, updated_at="2026-01-03T00:00:00Z"), freshdesk(status=5, updated_at="2026-01-04T00:00:00Z")
    path = lines(tmp_path / "t.ndjson", [old, new, old, new])

    report = await import_records(storage, ACME, "freshdesk", [path])

    assert counts(report) == (1, 1, 1, 1, 0)
    assert (await get_ticket(storage, ACME, "freshdesk", "42")).fields.status == "5"


@pytest.mark.parametrize("between", [0, 3, 250])
async def test_a_repeated_id_that_nothing_orders_is_rejected_and_importing_again_reports_unchanged(
    storage: MemoryStorage, tmp_path: Path, between: int
) -> None:
    others = [{"id": f"other-{number}"} for number in range(between)]
    path = lines(
        tmp_path / "a.ndjson", [{"id": "a", "text": "first"}, *others, {"id": "a", "text": "second"}, {"id": "a", "text": "first"}]
    )

    first = await import_records(storage, ACME, "docs", [path], rejects=tmp_path / "r.ndjson", batch_records=100)
    again = await import_records(storage, ACME, "docs", [path], rejects=tmp_path / "r.ndjson", batch_records=100)

    assert (counts(first), counts(again)) == ((1 + between, 0, 1, 0, 1), (0, 0, 2 + between, 0, 1))
    assert (await get_ticket(storage, ACME, "docs", "a")).data["text"] == "first"
    (line,) = (tmp_path / "r.ndjson").read_text().splitlines()
    rejected = json.loads(line)
    assert (rejected["file"], rejected["line"]) == (str(path), between + 2)
    assert "duplicate id: ticket 'a' on 'docs'" in rejected["reason"]
    assert "--id-field" in rejected["reason"]
    assert "--locale" in rejected["reason"]
    assert json.loads(rejected["raw"]) == {"id": "a", "text": "second"}


async def test_a_record_that_changed_since_the_last_import_is_an_update_and_no_repetition(storage: MemoryStorage, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.ndjson", [{"id": 1, "text": "old"}, {"id": 2}])
    await import_records(storage, ACME, "docs", [path])

    report = await import_records(storage, ACME, "docs", [lines(path, [{"id": 1, "text": "new"}, {"id": 2}])])

    assert counts(report) == (0, 1, 1, 0, 0)


async def test_bad_records_are_rejected_with_their_line_and_come_in_once_mended(storage: MemoryStorage, tmp_path: Path) -> None:
    path = lines(tmp_path / "t.ndjson", [freshdesk(1), b'{"id": NaN, "subject": "x"}', b'{"subject": "no id", "status": 2}', freshdesk(2)])
    rejects = tmp_path / "rejects.ndjson"

    report = await import_records(storage, ACME, "freshdesk", [path], rejects=rejects)

    assert counts(report) == (2, 0, 0, 0, 2)
    assert [reject.place.line for reject in report.rejects] == [2, 3]
    rejects.write_text(rejects.read_text().replace("NaN", "3").replace('{\\"subject', '{\\"id\\": 4, \\"subject'))
    mended = await import_records(storage, ACME, "freshdesk", [rejects], rejects=tmp_path / "again.ndjson", kind=TICKET)
    assert counts(mended) == (2, 0, 0, 0, 0)
    assert (await get_ticket(storage, ACME, "freshdesk", "3")).payload == b'{"id": 3, "subject": "x"}'
    assert not (tmp_path / "again.ndjson").exists()


async def test_one_bad_line_among_very_many_is_named_and_kept_to_be_mended(storage: MemoryStorage, tmp_path: Path) -> None:
    many, bad = 10_000, 7_654
    path = lines(
        tmp_path / "t.ndjson", [b'{"id": %d}' % number if number != bad else b'{"id": %d,}' % number for number in range(1, many + 1)]
    )
    rejects = tmp_path / "rejects.ndjson"

    report = await import_records(storage, ACME, "docs", [path], rejects=rejects)

    assert counts(report) == (many - 1, 0, 0, 0, 1)
    (rejected,) = [json.loads(line) for line in rejects.read_bytes().splitlines()]
    assert (rejected["file"], rejected["line"], rejected["raw"]) == (str(path), bad, '{"id": 7654,}')
    assert "not valid JSON" in rejected["reason"]
    rejects.write_text(rejects.read_text().replace("7654,}", "7654}"))
    assert counts(await import_records(storage, ACME, "docs", [rejects])) == (1, 0, 0, 0, 0)
    assert counts(await import_records(storage, ACME, "docs", [path])) == (0, 0, many - 1, 0, 1)


async def test_bytes_that_are_no_text_survive_the_rejects_file(storage: MemoryStorage, tmp_path: Path) -> None:
    path = lines(tmp_path / "t.ndjson", [freshdesk(1), b'{"id": 2, "subject": "\xff"}'])
    rejects = tmp_path / "rejects.ndjson"

    await import_records(storage, ACME, "freshdesk", [path], rejects=rejects)
    again = await import_records(storage, ACME, "freshdesk", [rejects], rejects=tmp_path / "again.ndjson")

    assert again.rejected == 1
    assert rejects.read_text().splitlines()[0].count("raw_base64") == 1
    assert again.rejects[0].reason == (await import_records(storage, ACME, "freshdesk", [path])).rejects[0].reason


async def test_of_a_bomb_whole_batches_are_kept_and_nothing_of_the_one_it_breaks(storage: MemoryStorage, tmp_path: Path) -> None:
    path = tmp_path / "t.ndjson.gz"
    path.write_bytes(gzip.compress(b"".join(b'{"id": %d}\n' % number for number in range(250)) + b" " * 80 * 2**20))

    with pytest.raises(InvalidRecord, match="unpacks to more than 200 times its size: unpack it yourself if you trust it"):
        await import_records(storage, ACME, "docs", [path], batch_records=100)

    assert [stats.tickets for stats in await get_platform_stats(storage, ACME)] == [200]


async def test_a_file_of_something_else_is_refused_before_anything_of_any_file_comes_in(storage: MemoryStorage, tmp_path: Path) -> None:
    tickets = lines(tmp_path / "tickets.ndjson", [freshdesk(1)])
    comments = tmp_path / "comments.json"
    comments.write_bytes(as_bytes([{"id": 1, "ticket_id": 2, "body": "hello", "user_id": 3}]))

    with pytest.raises(InvalidRecord, match=r"comments\.json: it is a Freshdesk conversation: .* export the tickets"):
        await import_records(storage, ACME, "freshdesk", [tickets, comments])

    assert await list_companies(storage) == []


@pytest.mark.parametrize("kind", [None, TICKET])
async def test_an_article_among_tickets_is_rejected_naming_the_way(storage: MemoryStorage, tmp_path: Path, kind: Kind | None) -> None:
    article = {"id": 9, "title": "How", "folder_id": 1, "description": "so"}

    report = await import_records(storage, ACME, "freshdesk", [lines(tmp_path / "t.ndjson", [freshdesk(1), article])], kind=kind)

    assert counts(report) == (1, 0, 0, 0, 1)
    assert report.rejects[0].reason == "it is a Freshdesk article: import it with --kind article"


async def test_what_is_neither_ticket_nor_article_comes_in_only_if_somebody_names_it(storage: MemoryStorage, tmp_path: Path) -> None:
    path = lines(tmp_path / "t.ndjson", [{"id": 9, "name": "an agent"}])

    with pytest.raises(InvalidRecord, match="neither a ticket nor an article"):
        await import_records(storage, ACME, "freshdesk", [path])

    assert (await import_records(storage, ACME, "freshdesk", [path], kind=TICKET)).created == 1


async def test_an_import_of_which_nothing_is_kept_leaves_no_company(storage: MemoryStorage, tmp_path: Path) -> None:
    report = await import_records(storage, ACME, "docs", [lines(tmp_path / "t.ndjson", [{"no": "id"}, {"none": 1}])])

    assert report.rejected == 2
    assert await list_companies(storage) == []


async def test_a_dry_run_says_what_would_become_of_the_records_and_keeps_nothing(storage: MemoryStorage, tmp_path: Path) -> None:
    records = [{"id": number % 200, "text": number} for number in range(300)]
    await save_ticket(storage, ACME, "docs", as_bytes({"id": 0, "text": 0}))
    path = lines(tmp_path / "t.ndjson", records)

    dry = await import_records(storage, ACME, "docs", [path], dry_run=True, batch_records=100, rejects=tmp_path / "r.ndjson")

    assert not (tmp_path / "r.ndjson").exists()
    assert [stats.tickets for stats in await get_platform_stats(storage, ACME)] == [1]
    assert counts(dry) == counts(await import_records(storage, ACME, "docs", [path])) == (199, 0, 1, 0, 100)


async def test_articles_take_their_locale_from_the_option_where_they_have_none(storage: MemoryStorage, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.ndjson", [{"id": 4, "title": "How", "body": "so"}])

    for locale in ("en", "ko"):
        await import_records(storage, ACME, "docs", [path], locale=locale)

    assert await list_article_locales(storage, ACME, "docs", "4") == ["en", "ko"]


async def test_another_field_can_hold_the_id(storage: MemoryStorage, tmp_path: Path) -> None:
    path = lines(tmp_path / "t.ndjson", [{"ref": {"no": "A-7"}}])

    await import_records(storage, ACME, "docs", [path], options=Options(id_field="ref.no"))

    assert await find_ticket(storage, ACME, "docs", "A-7")


async def test_without_a_platform_only_records_that_say_theirs_come_in(storage: MemoryStorage, tmp_path: Path) -> None:
    exported = {"deskstore": 1, "kind": "ticket", "platform": "docs", "id": "1", "payload": {"id": 1}}
    report = await import_records(storage, ACME, None, [lines(tmp_path / "t.ndjson", [exported, freshdesk(1)])])

    assert (report.created, report.rejected) == (1, 1)
    assert "name one with --platform, probably freshdesk" in report.rejects[0].reason


async def test_without_a_platform_a_file_whose_records_do_not_say_theirs_is_refused_once(storage: MemoryStorage, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"t\.ndjson: nothing says which platform it is from: name one with --platform"):
        await import_records(storage, ACME, None, [lines(tmp_path / "t.ndjson", [freshdesk(number) for number in range(3)])])


async def test_progress_is_told_behind_each_batch(storage: MemoryStorage, tmp_path: Path) -> None:
    path = lines(tmp_path / "t.ndjson", [freshdesk(number) for number in range(250)])
    told: list[ImportProgress] = []

    await import_records(storage, ACME, "freshdesk", [path], on_progress=told.append, batch_records=100)

    assert [progress.records for progress in told] == [100, 200, 250]
    assert told[-1].read_bytes == path.stat().st_size


# -- interruptions -------------------------------------------------------------------------------------------------------------------------


class FailingStorage(MemoryStorage):
    """Goes down at a commit, before it was made or after."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0
        self.fails_at: int | None = None
        self.fails_after = False

    def backend(self, company_id: str) -> MemoryBackend:
        return _FailingBackend(self, company_id)


class _FailingBackend(MemoryBackend):
    def __init__(self, storage: FailingStorage, company_id: str) -> None:
        super().__init__(storage, company_id)
        self.failing = storage

    async def apply(self, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        self.failing.commits += 1
        fails = self.failing.commits == self.failing.fails_at
        if fails and not self.failing.fails_after:
            raise StorageUnavailable("down before the commit")
        committed = await super().apply(changes, before_commit)
        if fails:
            raise StorageUnavailable("down behind the commit")
        return committed


def hostile_export(folder: Path) -> list[Path]:
    """Two files with repetitions near and far, ordered and not, and lines that are broken."""
    first: list[object] = [{"id": number % 70, "text": number % 140} for number in range(210)]
    first.insert(5, b"{broken")
    second: list[object] = [
        {"id": number % 50, "text": number, "updated_at": f"2026-01-0{1 + number % 9}T00:00:00Z"} for number in range(250)
    ]
    return [lines(folder / "1.ndjson", first), lines(folder / "2.ndjson", second)]


async def contents(storage: MemoryStorage) -> dict[str, bytes]:
    async with storage.unit_of_work(ACME) as uow:
        return {ticket.ticket_id: ticket.payload async for ticket in uow.tickets.stream()}


@pytest.mark.parametrize(
    ("fails_at", "fails_after", "resumes_at"),
    [(1, False, 0), (1, True, 100), (3, False, 200), (4, True, 400), (5, True, 461), (6, False, 461)],
)
async def test_an_interrupted_import_resumes_and_equals_an_uninterrupted_one(
    tmp_path: Path, fails_at: int, fails_after: bool, resumes_at: int
) -> None:
    files = hostile_export(tmp_path)
    whole, broken = MemoryStorage(), FailingStorage()
    expected = await import_records(whole, ACME, "docs", files, batch_records=100, rejects=tmp_path / "whole.ndjson")
    broken.fails_at, broken.fails_after = fails_at, fails_after

    with pytest.raises(StorageUnavailable):
        await import_records(broken, ACME, "docs", files, batch_records=100, rejects=tmp_path / "broken.ndjson")
    resumed = await import_records(broken, ACME, "docs", files, batch_records=100, rejects=tmp_path / "broken.ndjson")

    assert counts(resumed) == counts(expected)
    assert await contents(broken) == await contents(whole)
    assert (tmp_path / "broken.ndjson").read_bytes() == (tmp_path / "whole.ndjson").read_bytes()
    assert resumed.resumed_at == resumes_at


async def test_an_import_killed_at_any_record_resumes_and_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    records: list[object] = [{"id": number % 7, "text": number % 14} for number in range(21)]
    records += [{"id": 100, "text": day, "updated_at": f"2026-01-0{day}T00:00:00Z"} for day in (2, 1, 3, 3)]
    path = lines(tmp_path / "t.ndjson", [*records[:5], b"{broken", *records[5:]])
    whole = FailingStorage()
    expected = await import_records(whole, ACME, "docs", [path], batch_records=1, rejects=tmp_path / "whole.ndjson")

    for fails_at in range(1, whole.commits + 1):
        for fails_after in (False, True):
            broken = FailingStorage()
            broken.fails_at, broken.fails_after = fails_at, fails_after
            with pytest.raises(StorageUnavailable):
                await import_records(broken, ACME, "docs", [path], batch_records=1, rejects=tmp_path / "broken.ndjson")
            resumed = await import_records(broken, ACME, "docs", [path], batch_records=1, rejects=tmp_path / "broken.ndjson")

            assert counts(resumed) == counts(expected) or (fails_at == whole.commits and fails_after)
            assert await contents(broken) == await contents(whole)
            assert (tmp_path / "broken.ndjson").read_bytes() == (tmp_path / "whole.ndjson").read_bytes()
    assert (whole.commits, expected.rejected) == (len(records) + 2, 8)


async def interrupted(storage: FailingStorage, files: Sequence[Path], rejects: Path) -> None:
    storage.fails_at = storage.commits + 3
    with pytest.raises(StorageUnavailable):
        await import_records(storage, ACME, "docs", files, batch_records=100, rejects=rejects)


async def test_an_interrupted_import_of_files_that_changed_since_begins_anew(tmp_path: Path) -> None:
    storage, files = FailingStorage(), hostile_export(tmp_path)
    await interrupted(storage, files, tmp_path / "r.ndjson")
    files[0].write_bytes(files[0].read_bytes().replace(b'"text": 0}', b'"text": -1}'))

    report = await import_records(storage, ACME, "docs", files, batch_records=100, rejects=tmp_path / "r.ndjson")

    assert (report.began_anew, report.resumed_at) == (True, 0)


async def test_an_interrupted_import_of_a_file_that_grew_since_goes_on(tmp_path: Path) -> None:
    storage, (path, _) = FailingStorage(), hostile_export(tmp_path)
    await interrupted(storage, [path], tmp_path / "r.ndjson")
    path.write_bytes(path.read_bytes() + as_bytes({"id": "last"}))

    report = await import_records(storage, ACME, "docs", [path], batch_records=100, rejects=tmp_path / "r.ndjson")

    assert report.resumed_at == 200
    assert await find_ticket(storage, ACME, "docs", "last")


async def test_an_interrupted_import_whose_rejects_are_gone_begins_anew(tmp_path: Path) -> None:
    storage, files = FailingStorage(), hostile_export(tmp_path)
    await interrupted(storage, files, tmp_path / "r.ndjson")

    report = await import_records(storage, ACME, "docs", files, batch_records=100, rejects=tmp_path / "other.ndjson")

    assert report.resumed_at == 0
    assert len((tmp_path / "other.ndjson").read_bytes().splitlines()) == report.rejected


async def test_restart_begins_anew(tmp_path: Path) -> None:
    storage, files = FailingStorage(), hostile_export(tmp_path)
    await interrupted(storage, files, tmp_path / "r.ndjson")

    report = await import_records(storage, ACME, "docs", files, batch_records=100, rejects=tmp_path / "r.ndjson", restart=True)

    assert report.resumed_at == 0


async def test_another_standard_input_than_the_interrupted_one_is_refused(tmp_path: Path) -> None:
    storage, (path, other) = FailingStorage(), hostile_export(tmp_path)
    storage.fails_at = 2
    with pytest.raises(StorageUnavailable):
        await import_records(storage, ACME, "docs", [io.BytesIO(path.read_bytes())], batch_records=100)

    with pytest.raises(ConfigurationError, match="--restart"):
        await import_records(storage, ACME, "docs", [io.BytesIO(other.read_bytes())], batch_records=100)


async def test_rejects_that_cannot_be_written_stop_the_import(storage: MemoryStorage, tmp_path: Path) -> None:
    path = lines(tmp_path / "t.ndjson", [{"id": 1}, {"no": "id"}])

    with pytest.raises(ConfigurationError, match="name another file with --rejects"):
        await import_records(storage, ACME, "docs", [path], batch_records=100, rejects=tmp_path / "missing" / "r.ndjson")

    assert await list_companies(storage) == []


class DamagedStorage(MemoryStorage):
    """Cannot read ticket 2."""

    def backend(self, company_id: str) -> MemoryBackend:
        backend = MemoryBackend(self, company_id)
        heads = backend.tickets.heads

        async def damaged(keys: Sequence[Key]) -> object:
            for key in keys:
                if key.id == "2":
                    raise CorruptRecord(key, "2.json", "it was changed by hand")
            return await heads(keys)

        setattr(backend.tickets, "heads", damaged)  # noqa: B010 - a test may break what it likes
        return backend


async def test_a_damaged_stored_record_is_reported_and_the_rest_comes_in(tmp_path: Path) -> None:
    storage = DamagedStorage()
    path = lines(tmp_path / "t.ndjson", [{"id": 1}, {"id": 2}, {"id": 3}])

    report = await import_records(storage, ACME, "docs", [path])

    assert (counts(report), report.damaged) == ((2, 0, 0, 0, 1), 1)
    assert "it was changed by hand" in report.rejects[0].reason


async def test_a_batch_holds_no_more_than_its_bytes(storage: MemoryStorage, tmp_path: Path) -> None:
    size = receiving.BATCH_BYTES // 3
    path = lines(tmp_path / "t.ndjson", [{"id": number, "text": "x" * size} for number in range(7)])
    told: list[ImportProgress] = []

    await import_records(storage, ACME, "docs", [path], on_progress=told.append)

    assert [progress.records for progress in told] == [2, 4, 6, 7]
    assert len((await list_tickets(storage, ACME)).items) == 7
