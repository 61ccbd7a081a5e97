"""Exports are read as the exact slices of their source, whatever they are wrapped and packed in, and hostile ones in bounded memory."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, cast

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from deskstore.domain.errors import InvalidRecord
from deskstore.formats.json import MAX_BYTES
from deskstore.formats.streams import Reject, Slice, one_line, read_records, write_lines
from deskstore.formats.streams.places import REJECT_BYTES
from deskstore.formats.streams.reading import RecordReader
from deskstore.formats.streams.scanning import Window, is_whole
from tests.formats import payloads as made

Payload = dict[str, Any]  # Any: payloads hold anything

TICKETS = [made.freshdesk_ticket(id=1), made.zendesk_ticket(id=2), made.intercom_conversation(id="3"), made.jira_issue(id="4")]


def text(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


PAYLOADS = [text(ticket) for ticket in TICKETS]


async def found_in(source: bytes, **options: Any) -> tuple[list[Slice | Reject], RecordReader]:  # Any: passed on
    async with read_records(io.BytesIO(source), name="export", **options) as reader:
        return [found async for found in reader], reader


async def payloads_of(source: bytes) -> list[bytes]:
    found, _ = await found_in(source)
    assert all(isinstance(one, Slice) for one in found)
    return [one.payload for one in found if isinstance(one, Slice)]


def pretty(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode()


# -- forms -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "detected"),
    [
        (b"\n".join(PAYLOADS), "NDJSON"),
        (b"\n".join(PAYLOADS) + b"\n", "NDJSON"),
        (b"\r\n".join(PAYLOADS) + b"\r\n", "NDJSON"),
        (b"\xef\xbb\xbf\n\n" + b"\n \n".join(PAYLOADS) + b"\n\t\n", "NDJSON"),
        (b"[" + b",".join(PAYLOADS) + b"]", "a JSON array"),
        (b"\xef\xbb\xbf [\r\n  " + b" ,\r\n  ".join(PAYLOADS) + b"\r\n]\r\n", "a JSON array"),
        (b'{"tickets": [' + b", ".join(PAYLOADS) + b'], "next_page": null, "count": 4}', "JSON, records under 'tickets'"),
        (b'{"total": 4,\n "results": [\n' + b",\n".join(PAYLOADS) + b"]}", "JSON, records under 'results'"),
        (
            b'{"type": "conversation.list", "pages": {}, "conversations": [' + b",".join(PAYLOADS) + b"]}",
            "JSON, records under 'conversations'",
        ),
        (b'{"meldungen": [' + b",".join(PAYLOADS) + b'], "tags": ["a"], "users": []}', "JSON, records under 'meldungen'"),
        (b'{"users": [{"id": 9}], "tickets": [' + b",".join(PAYLOADS) + b"]}", "JSON, records under 'tickets'"),
        (
            b"\n".join(b'{"tickets":[' + b",".join(page) + b'],"count":2}' for page in (PAYLOADS[:2], PAYLOADS[2:])),
            "NDJSON, records under 'tickets'",
        ),
        (
            b"".join(b'{\n"data": [' + b",\n".join(page) + b"]}\n" for page in (PAYLOADS[:2], [], PAYLOADS[2:])),
            "JSON, records under 'data'",
        ),
        (b"[" + b",".join(PAYLOADS[:2]) + b"]\n[" + b",".join(PAYLOADS[2:]) + b"]", "a JSON array"),
        (b"\n".join(b'{"ticket":' + payload + b"}" for payload in PAYLOADS), "NDJSON, records under 'ticket'"),
        (
            b"[" + b",".join(b'{"helpdesk_ticket":' + payload + b"}" for payload in PAYLOADS) + b"]",
            "a JSON array, records under 'helpdesk_ticket'",
        ),
        (
            b"\n".join(b'{"stream":"tickets","data":' + payload + b',"emitted_at":1700000000000}' for payload in PAYLOADS),
            "NDJSON, Airbyte records",
        ),
        (
            b'{"type":"LOG","log":{"level":"INFO"}}\n'
            + b"\n".join(b'{"type":"RECORD","record":{"stream":"tickets","data":' + payload + b',"emitted_at":1}}' for payload in PAYLOADS)
            + b'\n{"type":"STATE","state":{"data":{}}}',
            "NDJSON, Airbyte records",
        ),
        (
            b'{"type":"SCHEMA","stream":"tickets","schema":{},"key_properties":["id"]}\n'
            + b"\n".join(b'{"type":"RECORD","stream":"tickets","record":' + payload + b"}" for payload in PAYLOADS)
            + b'\n{"type":"STATE","value":{"a":1}}\n',
            "NDJSON, Singer records",
        ),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress], ids=["plain", "gzip", "zstd"])
async def test_every_form_of_export_gives_the_exact_payloads(source: bytes, detected: str, pack: Callable[[bytes], bytes]) -> None:
    found, reader = await found_in(pack(source))

    assert [one.payload for one in found if isinstance(one, Slice)] == PAYLOADS
    assert [one.value for one in found if isinstance(one, Slice)] == TICKETS
    assert len(found) == len(PAYLOADS)
    assert str(reader.detected).removesuffix(", gzip").removesuffix(", zstd") == detected


@pytest.mark.parametrize(
    "payload", [pretty(ticket) for ticket in TICKETS] + PAYLOADS + [b'{"id":1}', b'{\r\n"id":1}', b'  {"id": 1,\n"a": [{}]}']
)
async def test_one_document_is_one_record_with_its_own_white_space(payload: bytes) -> None:
    assert await payloads_of(payload) == [payload.strip()]
    assert await payloads_of(payload + b"\n") == [payload.strip()]
    assert await payloads_of(payload + b"\n\n" + payload) == [payload.strip()] * 2


async def test_places_name_file_line_record_and_byte() -> None:
    lines = b'\n{"id": 1}\r\n\r\n  {"id": 2}\n'
    array = b'[\n{"id": 1},\n\n  {"id": 2}]'
    wrapped = b'{"stream": "tickets", "data": {"id": 1}, "emitted_at": 1}\n{"stream": "tickets", "data": {"id": 2}, "emitted_at": 1}\n'

    for source in (lines, array, wrapped):
        found, _ = await found_in(source)
        first, second = found
        assert [first.place.record, second.place.record] == [1, 2]
        assert [source[one.place.offset :][:9] for one in found] == [b'{"id": 1}', b'{"id": 2}']
        assert [one.place.line for one in found] == [source.count(b"\n", 0, one.place.offset) + 1 for one in found]
        assert str(first.place) == f"export, line {first.place.line}"
    assert [one.stream for one in found if isinstance(one, Slice)] == ["tickets", "tickets"]


async def test_a_record_is_never_taken_for_a_page() -> None:
    records: list[Payload] = [
        {"id": 1, "tickets": [{"id": 2}]},
        {"subject": "x", "status": 2, "conversations": [made.freshdesk_conversation()]},
        {"number": 7, "messages": [{"id": 1}]},
        made.freshdesk_ticket(conversations=[made.freshdesk_conversation()]),
        made.zendesk_ticket(comments=[made.zendesk_comment()]),
        {"type": "RECORD", "id": 5},
        {"id": 6, "type": "STATE"},
    ]

    for source in ([text(record)] for record in records):
        found, _ = await found_in(source[0], id_fields=["number"])
        assert [one.payload for one in found if isinstance(one, Slice)] == source
    assert await payloads_of(b"\n".join(map(text, records))) == [text(record) for record in records]


async def test_a_record_is_never_taken_for_a_note_of_a_connector() -> None:
    records = [
        b'{"number":1,"type":"LOG","subject":"a"}',
        b'{"number":2,"type":"STATE"}',
        b'{"number":3,"type":"CONTROL","control":"of a valve"}',
        b'{"number":4,"type":"RECORD","record":{"artist":"x"}}',
    ]

    found, _ = await found_in(b"\n".join(records), id_fields=["number"])

    assert [one.payload for one in found if isinstance(one, Slice)] == records


async def test_an_empty_page_and_an_empty_array_hold_no_record() -> None:
    for source in (b'{"tickets": [], "count": 0}', b"[]", b' [ ] \n{"results":[]}'):
        found, reader = await found_in(source)
        assert (found, reader.detected is not None) == ([], True)


RECORDS = st.dictionaries(st.text(max_size=8), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(['"', "\\", '\\"', "]}", "[{", "\\\\"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
), max_size=5).map(lambda record: {"id": 1} | record)  # fmt: skip


@given(
    st.lists(RECORDS, min_size=1, max_size=6), st.integers(1, 17), st.sampled_from(["lines", "array", "page", "documents"]), st.booleans()
)
@example([{"id": 1, "a": '\\"'}, {"id": 1, "b": "\\"}], 1, "array", True)
async def test_slices_are_exact_however_the_text_arrives_in_pieces(records: list[Payload], size: int, form: str, ascii_only: bool) -> None:
    payloads = [json.dumps(record, ensure_ascii=ascii_only).encode() for record in records]
    source = {
        "lines": b"\n".join(payloads),
        "array": b"[" + b" ,\n".join(payloads) + b"]",
        "page": b'{"n": [1, {"x": "]"}], "tickets": [' + b",".join(payloads) + b"]}",
        "documents": b"\n\n".join(payload.replace(b'{"id"', b'{\n"id"', 1) for payload in payloads),
    }[form]
    pieces = [source[at : at + size] for at in range(0, len(source), size)]

    async with read_records(cast(IO[bytes], Trickle(pieces))) as reader:
        found = [one.payload async for one in reader if isinstance(one, Slice)]

    assert [one.replace(b"{\n", b"{", 1) for one in found] == payloads


class Trickle(io.RawIOBase):
    """A reader that gives what it was given, piece by piece."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__()
        self.pieces = iter(pieces)
        self.rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        piece = self.rest or next(self.pieces, b"")
        self.rest = piece[size:] if size >= 0 else b""
        return piece[:size] if size >= 0 else piece


@given(RECORDS, st.integers(1, 9))
async def test_a_values_end_is_found_in_pieces_of_any_size(record: Payload, size: int) -> None:
    payload = text(record)
    pieces = iter([payload[at : at + size] for at in range(0, len(payload), size)] + [b"  ]}"])

    async def more() -> bytes:
        return next(pieces, b"")

    window = Window(more)
    await window.significant()
    assert window.take(await window.value_end()) == payload
    assert is_whole(payload)
    assert not is_whole(payload[:-1])


# -- packing -----------------------------------------------------------------------------------------------------------------------------


async def test_packed_sources_may_have_several_frames_and_padding() -> None:
    half = b"\n".join(PAYLOADS[:2]) + b"\n"
    zstd = zstandard.ZstdCompressor().compress
    skipped = b"\x50\x2a\x4d\x18\x04\x00\x00\x00junk"

    assert await payloads_of(gzip.compress(half) + gzip.compress(half) + b"\x00" * 512) == PAYLOADS[:2] * 2
    assert await payloads_of(zstd(half) + zstd(half)) == PAYLOADS[:2] * 2
    assert await payloads_of(skipped + zstd(half)) == PAYLOADS[:2]


async def test_content_tells_the_packing_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "export.json.gz"
    path.write_bytes(PAYLOADS[0])

    async with read_records(path) as reader:
        found = [one async for one in reader]

    assert len(found) == 1
    assert reader.source.size_bytes == reader.source.taken_bytes == len(PAYLOADS[0])
    assert found[0].place.file == str(path)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress], ids=["gzip", "zstd"])
async def test_a_packed_source_that_is_cut_off_or_damaged_says_so_after_its_records(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(b"\n".join(text(made.freshdesk_ticket(id=number, tags=[str(number**7)])) for number in range(5_000)))
    cut, flipped = packed[: len(packed) // 2], bytearray(packed)
    flipped[len(packed) // 2] ^= 0x55

    for damaged in (cut, bytes(flipped), packed[:-1]):
        seen = 0
        with pytest.raises(InvalidRecord, match=r"export is damaged (gzip|zstd) data after [\d,]+ unpacked bytes"):
            async with read_records(io.BytesIO(damaged), name="export") as reader:
                async for _ in reader:
                    seen += 1
        assert 0 < seen <= 5_000


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"", "export is empty"),
        (b"\xef\xbb\xbf \n", "export is empty"),
        (b"id,subject\n1,hello\n", "export looks like CSV"),
        ('id;제목\n1;"안녕"\n'.encode(), "export looks like CSV"),
        (b"PK\x03\x04rest", "export is a ZIP archive"),
        (b"BZh91AY", "export is compressed with bzip2"),
        (b"1.json".ljust(257, b"\x00") + b"ustar\x0000", "export is a tar archive"),
        (b"SQLite format 3\x00", "export is an SQLite database"),
        ('{"id": 1}'.encode("utf-16"), "export is UTF-16 text"),
        (b"<?xml version='1.0'?>", "export is XML or HTML"),
        (b"\x7fELF\x02\x01\x01\x00", "export is binary"),
        (b"\x93\xfa\x96\x7b\n", "export is binary"),
        (b"hello", "export is not JSON: it begins with 'hello'"),
        (b'"text"', "export is not JSON"),
    ],
)
async def test_a_source_that_is_no_json_is_refused_in_one_clear_line(source: bytes, said: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        await found_in(source)

    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


async def test_a_missing_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_records(tmp_path / "nothing.json")


async def test_a_reader_that_was_given_stays_open() -> None:
    given = io.BytesIO(PAYLOADS[0])

    async with read_records(given) as reader:
        found = [one async for one in reader]

    assert len(found) == 1
    assert not given.closed


# -- hostile ones ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b'{"id": 2, "subject": "x', "not valid JSON"),
        (b'{"id": 2} {"id": 3}', "Extra data"),
        (b'{"id": NaN}', "NaN"),
        (b'{"id": "\xff"}', "not UTF-8"),
        (b"oops", "not valid JSON"),
        (b"[1]", "an array"),
        (b"null", "null"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "200"),
        (b"[" * 10_000, "200"),
        (b'{"id": 2, "x": "' + b"y" * MAX_BYTES + b'"}', "16,777,2"),
    ],
    ids=["half", "two", "nan", "utf-8", "word", "array", "null", "deep", "brackets", "long"],
)
@pytest.mark.parametrize("position", [1, 2])
async def test_a_bad_line_is_rejected_with_its_place_and_the_others_are_read(bad: bytes, said: str, position: int) -> None:
    lines = [b'{"id": 1}', b'{"id": 3}']
    lines.insert(position, bad)

    found, reader = await found_in(b"\n".join(lines))

    rejects = [one for one in found if isinstance(one, Reject)]
    assert [one.payload for one in found if isinstance(one, Slice)] == [b'{"id": 1}', b'{"id": 3}']
    assert [(one.place.line, one.place.record) for one in rejects] == [(position + 1, position + 1)]
    assert said in rejects[0].reason
    assert rejects[0].raw == bad[:REJECT_BYTES]
    assert str(reader.detected) == "NDJSON"


@pytest.mark.parametrize("bad", [b'{"id": 2, "subject": "x', b'{"id": 2} {"id": 3}', b'{"id": NaN}', b'{"id": "\xff"}', b"oops"])
async def test_a_bad_first_line_does_not_hide_that_these_are_lines(bad: bytes) -> None:
    found, reader = await found_in(bad + b'\n{"id": 1}\n{"id": 3}')

    first, *others = found
    assert isinstance(first, Reject)
    assert (first.place.line, first.raw) == (1, bad)
    assert [one.payload for one in others if isinstance(one, Slice)] == [b'{"id": 1}', b'{"id": 3}']
    assert str(reader.detected) == "NDJSON"


@pytest.mark.parametrize("wrap", ["[%s]", '{"tickets":[%s],"count":3}'])
@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b'{"id": NaN}', "NaN"),
        (b'{"id": "\xff"}', "not UTF-8"),
        (b'{"id": 2,}', "not valid JSON"),
        (b"7", "not a JSON object"),
        (b'"text ]}"', "not a JSON object"),
        (b"[[1]]", "not a JSON object"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "200"),
        (b'{"id": 2, "x": "' + b"\\" * MAX_BYTES + b'"}', "16,777,216"),
    ],
    ids=["nan", "utf-8", "comma", "number", "text", "array", "deep", "long"],
)
async def test_a_bad_item_of_a_list_is_rejected_and_the_others_are_read(wrap: str, bad: bytes, said: str) -> None:
    source = wrap.encode() % (b'{"id": 1},' + bad + b', {"id": 3}')

    found, _ = await found_in(source)

    rejects = [one for one in found if isinstance(one, Reject)]
    assert [one.payload for one in found if isinstance(one, Slice)] == [b'{"id": 1}', b'{"id": 3}']
    assert [one.place.record for one in rejects] == [2]
    assert said in rejects[0].reason
    assert rejects[0].raw == bad[:REJECT_BYTES]


@pytest.mark.parametrize(
    "source",
    [
        b'[{"id": 1}, {"id": 2}, {"id": 3, "subject": "x',
        b'[{"id": 1}, {"id": 2},',
        b'[{"id": 1}, {"id": 2}',
        b'{"tickets": [{"id": 1}, {"id": 2}, {"id":',
        b'{"tickets": [{"id": 1}, {"id": 2}], "next',
        b'{"tickets": [{"id": 1}, {"id": 2}]',
    ],
)
async def test_a_list_that_is_cut_off_gives_its_records_and_says_so(source: bytes) -> None:
    found, _ = await found_in(source)

    assert [one.payload for one in found if isinstance(one, Slice)] == [b'{"id": 1}', b'{"id": 2}']
    assert [one.reason for one in found if isinstance(one, Reject)] == ["the text ends in the middle of it: the file was cut off"]


async def test_a_record_that_is_cut_off_or_too_long_is_not_taken_for_a_page_of_its_attachments() -> None:
    begun = pretty(made.freshdesk_ticket(id=1, attachments=[{"id": 5}, {"id": 6}], z="x" * MAX_BYTES))

    for source, reason in ((begun[:3_000], "cut off"), (begun, "16,777,216")):
        found, _ = await found_in(source)
        assert [(type(one), reason in getattr(one, "reason", "")) for one in found] == [(Reject, True)]


async def test_a_page_that_is_broken_behind_its_records_ends_with_an_error_after_them() -> None:
    seen: list[Slice | Reject] = []

    with pytest.raises(InvalidRecord, match=r"export is broken JSON at byte \d+: nothing behind can be read"):
        async with read_records(io.BytesIO(b'{"tickets":\n[{"id": 1}, {"id": 2}], "next" , {'), name="export") as reader:
            async for one in reader:
                seen.append(one)

    assert [one.payload for one in seen if isinstance(one, Slice)] == [b'{"id": 1}', b'{"id": 2}']


async def test_a_record_at_the_limit_of_depth_is_read_inside_any_envelope() -> None:
    deepest = b'{"id":1,"a":' + b'{"a":' * 198 + b"{}" + b"}" * 199
    envelopes = [b"%s\n%s", b"[%s,%s]", b'{"results":[%s,%s]}', b'{"ticket":%s}\n{"ticket":%s}']

    for envelope in envelopes:
        assert await payloads_of(envelope % (deepest, deepest)) == [deepest, deepest]


async def test_a_page_longer_than_a_record_may_be_is_read_record_by_record() -> None:
    payload = text(made.freshdesk_ticket(id=1, description="가" * 50_000))
    count = MAX_BYTES // len(payload) + 5
    source = (
        b'{"tags": ["a"], "users": [{"x": 1}], "count": 5, "tickets": [' + b",".join([payload] * count) + b'], "more": {"a": [{"id": 9}]}}'
    )

    found, reader = await found_in(source)

    assert [one.payload for one in found if isinstance(one, Slice)] == [payload] * count
    assert str(reader.detected) == "JSON, records under 'tickets'"


async def test_the_lists_of_a_long_page_are_not_taken_for_records_under_names_nobody_knows() -> None:
    users = b"[" + b",".join([text(made.freshdesk_ticket(id=1, description="x" * 100_000))] * (MAX_BYTES // 100_000 + 5)) + b"]"

    found, _ = await found_in(b'{"users": ' + users + b', "groups": [{"x": 1}]}')

    assert [type(one) for one in found] == [Reject]
    assert "under a name that is not known ('users', 'groups'): pass that list alone" in getattr(found[0], "reason", "")


async def test_a_bomb_is_refused_and_text_that_shrinks_well_is_read() -> None:
    line = text(made.freshdesk_ticket(description_text="x" * 100_000)) + b"\n"

    assert len(await payloads_of(gzip.compress(line * 300, 1))) == 300
    for bomb in (gzip.compress(b"[" + b" " * (80 * 2**20)), zstandard.ZstdCompressor().compress(b"[" + b" " * (80 * 2**20))):
        with pytest.raises(InvalidRecord, match="unpacks to more than 200 times its size"):
            await found_in(bomb)


PEAK = """
    import asyncio, resource, sys
    from deskstore.domain.errors import InvalidRecord
    from deskstore.formats.streams import read_records

    class Endless:
        def __init__(self, begin, repeat, size):
            self.rest, self.repeat, self.left = begin, repeat * (65536 // len(repeat) + 1), size
        def read(self, size):
            if self.left <= 0:
                return b""
            if len(self.rest) < size:
                self.rest += self.repeat * (size // len(self.repeat) + 1)
            piece, self.rest = self.rest[:size], self.rest[size:]
            self.left -= len(piece)
            return piece

    async def main(begin, repeat, megabytes):
        count = 0
        try:
            async with read_records(Endless(begin, repeat, megabytes * 2**20)) as reader:
                async for _ in reader:
                    count += 1
        except InvalidRecord:
            pass
        return count

    begin, repeat = (part.encode().decode("unicode_escape").encode("latin-1") for part in sys.argv[1:3])
    asyncio.run(main(begin, repeat, 4))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = asyncio.run(main(begin, repeat, int(sys.argv[3])))
    print(count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def grown(begin: str, repeat: str, megabytes: int) -> tuple[int, int]:
    """How many things were found, and by how many MiB memory grew from 4 MiB of such text to so many."""
    arguments = [sys.executable, "-c", textwrap.dedent(PEAK), begin, repeat, str(megabytes)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    count, growth = map(int, done.stdout.split())
    return count, growth


def test_memory_does_not_grow_with_the_number_of_records() -> None:
    record = '{"id": 12345, "subject": "' + "x" * 2_000 + '", "tags": ["a", "b"], "custom_fields": {"a": [1, 2]}},\\n'

    count, growth = grown("[", record, 40)
    lines, lines_growth = grown(record.replace(",\\n", "\\n"), record.replace(",\\n", "\\n"), 40)

    assert count > 18_000
    assert lines > 18_000
    assert growth <= 8
    assert lines_growth <= 8


@pytest.mark.parametrize(
    ("begin", "repeat"),
    [
        ('{"id": "', "x"),
        ('{"id": "', "\\\\\\\\"),
        ('[{"id": "', "\\\\\\\\"),
        ("[", "["),
        ('{"a": "b"}\\n{"a": "', "x"),
        ('{"tickets": [{"a": "', 'x\\\\"'),
    ],
    ids=["text", "backslashes", "backslashes-in-array", "brackets", "line", "page"],
)
def test_memory_stays_bounded_on_one_endless_piece(begin: str, repeat: str) -> None:
    _, growth = grown(begin, repeat, 40)

    assert growth <= 120  # a record of 16 MiB, held a few times over


# -- writing -----------------------------------------------------------------------------------------------------------------------------


NOWHERE = Path("/dev/null")


def is_device(path: Path) -> bool:
    return path.is_char_device()


def names_in(folder: Path) -> list[str]:
    return [child.name for child in folder.iterdir()]


@pytest.mark.parametrize("name", ["out.ndjson", "out.ndjson.gz", "out.ndjson.zst"])
async def test_what_is_written_is_read_back_payload_by_payload(tmp_path: Path, name: str) -> None:
    path = tmp_path / name

    async with write_lines(path) as lines:
        for payload in PAYLOADS * 300:
            await lines.write(payload)

    assert lines.count == len(PAYLOADS) * 300
    async with read_records(path) as reader:
        assert [one.payload async for one in reader if isinstance(one, Slice)] == PAYLOADS * 300
    assert names_in(tmp_path) == [name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["out.ndjson", "out.gz", "out.zst"])
async def test_a_file_that_is_not_finished_leaves_the_old_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"old")

    with pytest.raises(KeyError):
        async with write_lines(path) as lines:
            await lines.write(PAYLOADS[0])
            await lines.flush()
            raise KeyError("the caller's own")

    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == [name]


async def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "out.ndjson"
    link.symlink_to("elsewhere/real.ndjson")

    for _ in ("the file is not there yet", "the file is there"):
        async with write_lines(link) as lines:
            await lines.write(PAYLOADS[0])

    assert link.is_symlink()
    assert (tmp_path / "elsewhere" / "real.ndjson").read_bytes() == PAYLOADS[0] + b"\n"
    assert names_in(tmp_path / "elsewhere") == ["real.ndjson"]


@pytest.mark.parametrize("name", ["pipe", "pipe.gz", "pipe.zst"])
async def test_a_pipe_stays_one_and_gets_the_lines(tmp_path: Path, name: str) -> None:
    pipe = tmp_path / name
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_bytes)

        async with write_lines(pipe) as lines:
            for payload in PAYLOADS * 300:
                await lines.write(payload)

        assert await payloads_of(read.result(30)) == PAYLOADS * 300
    assert pipe.is_fifo()
    assert names_in(tmp_path) == [name]


async def test_waiting_for_somebody_who_reads_a_pipe_can_be_interrupted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), write_lines(tmp_path / "pipe"):
            raise AssertionError("nobody reads")

    assert names_in(tmp_path) == ["pipe"]


async def test_a_device_stays_one() -> None:
    async with write_lines(NOWHERE) as lines:
        await lines.write(PAYLOADS[0])

    assert is_device(NOWHERE)


async def test_an_open_writer_gets_the_lines_and_stays_open() -> None:
    to = io.BytesIO()

    async with write_lines(to) as lines:
        await lines.write(b'{\r\n  "a": "x\\ny"\r\n}')

    assert to.getvalue() == b'{    "a": "x\\ny"  }\n'


@given(RECORDS, st.sampled_from([None, 0, 1, 2, "\t"]))
def test_a_payload_on_one_line_keeps_its_value(record: Payload, indent: int | str | None) -> None:
    payload = json.dumps(record, indent=indent).encode()

    line = one_line(payload)

    assert json.loads(line) == record
    assert b"\n" not in line
    assert len(line) == len(payload)
    assert indent is not None or line is payload


def test_importing_the_formats_loads_no_library_for_packing_and_no_event_loop() -> None:
    heavy = "{'zstandard', 'aiofiles', 'gzip', 'asyncio', 'msgspec', 'decimal'}"
    script = f"import sys, deskstore.formats.streams, deskstore.formats.platforms; print(sorted({heavy} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
