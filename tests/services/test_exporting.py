"""Exports: payloads as they came, one a line, that go in again."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deskstore.adapters.memory import MemoryBackend, MemoryStorage, MemoryTickets
from deskstore.domain.errors import CorruptRecord
from deskstore.domain.identifiers import ARTICLE, TICKET, Key
from deskstore.domain.paging import EVERYTHING, Filter
from deskstore.domain.records import Ticket
from deskstore.formats.json import MAX_BYTES
from deskstore.formats.platforms import Options
from deskstore.services.articles import save_article
from deskstore.services.exporting import export_records
from deskstore.services.importing import import_records
from deskstore.services.tickets import get_ticket, save_ticket, save_tickets

ACME = "acme"


async def exported(storage: MemoryStorage, company_id: str = ACME, **named: object) -> list[bytes]:
    to = io.BytesIO()
    await export_records(storage, company_id, to, **named)  # type: ignore[arg-type]  # named as the caller named them
    return to.getvalue().splitlines(keepends=True)


async def test_payloads_are_written_untouched_ascending_one_a_line(storage: MemoryStorage) -> None:
    await save_tickets(storage, ACME, "docs", [b'{ "id":2 }', b'{"id":10,"x":1.10}'])
    await save_ticket(storage, ACME, "chat", b'{"id":3}')
    await save_article(storage, ACME, "docs", b'{"id":4}')

    assert await exported(storage) == [b'{"id":3}\n', b'{"id":10,"x":1.10}\n', b'{ "id":2 }\n']
    assert await exported(storage, platform="chat") == [b'{"id":3}\n']
    assert await exported(storage, kind=ARTICLE) == [b'{"id":4}\n']


async def test_raw_line_breaks_become_spaces_and_escaped_ones_stay(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "docs", b'{\r\n "id": 1,\n "text": "a\\nb"\n}')

    assert await exported(storage) == [b'{   "id": 1,  "text": "a\\nb" }\n']


async def test_an_export_with_envelopes_gives_another_company_equal_keys_and_bytes(storage: MemoryStorage, tmp_path: Path) -> None:
    source = tmp_path / "t.ndjson"
    source.write_bytes(b'{"ref":"A-1","x":1e5}\n{"ref":"A-2"}\n')
    await import_records(storage, ACME, "docs", [source], options=Options(id_field="ref"))
    await save_article(storage, ACME, "zendesk", b'{"id":1,"big":123456789012345678901234567890}', locale="ko")

    for kind in (TICKET, ARTICLE):
        await export_records(storage, ACME, tmp_path / "out.ndjson", kind=kind, envelope=True)
        await import_records(storage, "copy", None, [tmp_path / "out.ndjson"])

    for kind in (TICKET, ARTICLE):
        ours, theirs = [
            [json.loads(line) for line in await exported(storage, company, kind=kind, envelope=True)] for company in (ACME, "copy")
        ]
        assert [(one["platform"], one["id"], one["locale"], one["sha256"]) for one in ours] == [
            (one["platform"], one["id"], one["locale"], one["sha256"]) for one in theirs
        ]
        assert ours


async def test_a_damaged_record_is_reported_and_the_others_are_written() -> None:
    storage = DamagedStorage()
    await save_tickets(storage, ACME, "docs", [b'{"id":1}', b'{"id":2}', b'{"id":3}'])
    to = io.BytesIO()

    report = await export_records(storage, ACME, to)

    assert (to.getvalue(), report.records) == (b'{"id":1}\n{"id":3}\n', 2)
    assert [error.key and error.key.id for error in report.damaged] == ["2"]


class DamagedStorage(MemoryStorage):
    """Cannot read ticket 2."""

    def backend(self, company_id: str) -> MemoryBackend:
        backend = MemoryBackend(self, company_id)
        setattr(backend, "tickets", _Damaged(backend, TICKET, Ticket))  # noqa: B010 - a test may break what it likes
        return backend


class _Damaged(MemoryTickets):
    async def stream(self, where: Filter = EVERYTHING, *, after: Key | None = None) -> AsyncIterator[Ticket]:
        async for ticket in super().stream(where, after=after):
            if ticket.ticket_id == "2":
                raise CorruptRecord(ticket.key, "2.json", "it was changed by hand")
            yield ticket


OUTER, BROKEN = b'  {"id":1,"status":"open"}\t ', b'{"id":2,\r\n "text":"a \\"b\\" \\ud800"\n}\n'
AT_THE_LIMIT = b'{"id":3,\n"quotes":"' + b'\\"' * ((MAX_BYTES - 22) // 2) + b'"}'


@pytest.mark.parametrize("payload", [OUTER, BROKEN, AT_THE_LIMIT], ids=["white space around it", "line breaks", "the largest, as text"])
async def test_an_export_with_envelopes_gives_back_every_byte(storage: MemoryStorage, payload: bytes, tmp_path: Path) -> None:
    key = (await save_ticket(storage, ACME, "docs", payload)).key
    await export_records(storage, ACME, tmp_path / "t.ndjson", envelope=True)

    report = await import_records(storage, "copy", None, [tmp_path / "t.ndjson"])

    assert (report.created, report.rejected) == (1, 0)
    assert (await get_ticket(storage, "copy", "docs", key.id)).payload == payload


@pytest.mark.parametrize("payload", [b'{"id":1,"text":"a"}', b'{"id":1,\n"text":"a"}'], ids=["as it is", "as text"])
async def test_an_envelope_whose_payload_is_not_the_one_it_was_made_for_is_rejected(
    storage: MemoryStorage, payload: bytes, tmp_path: Path
) -> None:
    await save_ticket(storage, ACME, "docs", payload)
    [line] = await exported(storage, envelope=True)
    other = line.replace(b'{"id":1,"text":"a"}', b'{"id":1,"text":"b"}').replace(b'\\"a\\"', b'\\"b\\"')
    (tmp_path / "t.ndjson").write_bytes(other)

    report = await import_records(storage, "copy", None, [tmp_path / "t.ndjson"])

    assert other != line
    assert report.rejected == 1
    assert "its payload is not the one that was exported" in report.rejects[0].reason
