"""Exports as the platforms give them: in whole with the right ids, statuses and times, out again untouched, and into any other storage."""

import gzip
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard

from deskstore.adapters.file import FileStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.identifiers import ARTICLE, TICKET, Kind
from deskstore.domain.ports import Storage
from deskstore.domain.records import Article, Ticket
from deskstore.formats.json import MAX_BYTES, MAX_DEPTH
from deskstore.services.exporting import export_records
from deskstore.services.importing import import_records
from deskstore.services.tickets import save_ticket
from tests.formats import payloads as made

ACME = "acme"
PLATFORMS = ("freshdesk", "intercom", "jira", "zendesk", "my helpdesk")

ODD = [
    b'{"id":1.0,"id":1,"x":-0.0,"big":123456789012345678901234567890,"s":"\\ud800 \\u0000","payload":{"payload":"}"}}',
    b'{"id":"deep","a":' + b'{"a":' * (MAX_DEPTH - 2) + b"[]" + b"}" * (MAX_DEPTH - 1),
    json.dumps({"id": "\U0001f3ab" * 255}).encode(),
]

LONG = b'{"id":"long","a":"' + b"x" * (MAX_BYTES - 20) + b'"}'
WHITE = b'\t {"id":"white"}  '

Pack = Callable[[Sequence[bytes]], bytes]
Build = Callable[..., dict[str, Any]]  # Any: payloads hold anything


def pages(payloads: Sequence[bytes]) -> bytes:
    return b'{"results": [\r\n' + b",\r\n".join(payloads) + b'\r\n], "next_page": null, "count": 3}'


def array(payloads: Sequence[bytes]) -> bytes:
    return b"\xef\xbb\xbf[" + b",\n".join(payloads) + b"]\n"


def lines(payloads: Sequence[bytes]) -> bytes:
    return b"\n".join(payloads)


def crlf_lines(payloads: Sequence[bytes]) -> bytes:
    return b"\xef\xbb\xbf" + b"".join(payload + b"\r\n" for payload in payloads)


def gzipped(payloads: Sequence[bytes]) -> bytes:
    return gzip.compress(array(payloads))


def zstandard_lines(payloads: Sequence[bytes]) -> bytes:
    return zstandard.ZstdCompressor().compress(lines(payloads))


async def kept(storage: Storage, company_id: str, kind: Kind) -> list[Ticket | Article]:
    async with storage.unit_of_work(company_id) as uow:
        records = uow.tickets.stream() if kind == TICKET else uow.articles.stream()
        return [record async for record in records]


def written(path: Path, export: bytes) -> Path:
    path.write_bytes(export)
    return path


@pytest.mark.parametrize("pack", [pages, array, lines, crlf_lines, gzipped, zstandard_lines])
@pytest.mark.parametrize(
    ("platform", "build", "ids", "kind", "status", "created"),
    [
        ("freshdesk", made.freshdesk_ticket, [7, 8, 9], TICKET, "2", "2024-05-18T04:36:04Z"),
        ("freshdesk", made.freshdesk_v1_ticket, [7, 8, 9], TICKET, "2", "2014-12-31T02:27:09Z"),
        ("freshdesk", made.freshdesk_article, [4, 5, 6], ARTICLE, "2", "2020-10-06T11:05:53Z"),
        ("zendesk", made.zendesk_ticket, [35436, 35437, 4], TICKET, "solved", "2019-06-03T02:23:47Z"),
        ("zendesk", made.zendesk_article, [7253394974479, 2, 3], ARTICLE, "draft", "2023-07-10T16:07:17Z"),
        ("intercom", made.intercom_conversation, ["147", "148", "149"], TICKET, "snoozed", "2014-05-23T13:16:13Z"),
        ("intercom", made.intercom_ticket, ["493", "494", "495"], TICKET, "in_progress", "2024-05-29T22:19:37Z"),
        ("intercom", made.intercom_article, ["39", "40", "41"], ARTICLE, "published", "2024-12-18T15:54:19Z"),
        ("jira", made.jira_issue, ["12338", "12339", "12340"], TICKET, "진행 중", "2015-12-02T15:39:15Z"),
        ("jira", made.jsm_request, ["107001", "107002", "107003"], TICKET, "Waiting for Support", "2015-10-08T07:42:00Z"),
        ("my helpdesk", made.generic_ticket, ["T-1", "T-2", "티켓/3"], TICKET, "open", "2024-01-15T10:30:00Z"),
    ],
    ids=lambda value: getattr(value, "__name__", "") or None,
)
async def test_every_export_of_every_platform_comes_in_whole(
    storage: MemoryStorage,
    tmp_path: Path,
    platform: str,
    build: Build,
    ids: list[object],
    kind: Kind,
    status: str,
    created: str,
    pack: Pack,
) -> None:
    payloads = {str(one): json.dumps(build(one), ensure_ascii=False).encode() for one in ids}

    report = await import_records(storage, ACME, platform, [written(tmp_path / "export", pack([*payloads.values()]))])

    records = await kept(storage, ACME, kind)
    assert (report.created, report.records, report.kind) == (3, 3, kind)
    assert {record.key.id: record.payload for record in records} == payloads
    assert {(record.key.platform, record.fields.status, record.fields.created_at) for record in records} == {
        (platform, status, datetime.fromisoformat(created))
    }


# -- out again, and into another storage ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def two_storages(direction: str, tmp_path: Path) -> AsyncIterator[tuple[Storage, Storage]]:
    names = direction.split(" to ")
    storages = [FileStorage(tmp_path / str(place)) if name == "files" else MemoryStorage() for place, name in enumerate(names)]
    yield storages[0], storages[1]
    for storage in storages:
        await storage.aclose()


async def content(storage: Storage, company_id: str) -> dict[tuple[str, ...], bytes]:
    return {tuple(record.key): record.sha256 for kind in (TICKET, ARTICLE) for record in await kept(storage, company_id, kind)}


async def fill(storage: Storage, folder: Path) -> None:
    """Records of every platform, some under one id, and payloads at the limits of what can be kept."""
    exports: list[tuple[str, dict[str, Any]]] = [  # Any: as above
        ("freshdesk", made.freshdesk_ticket()),
        ("freshdesk", made.freshdesk_article(7)),
        ("zendesk", made.zendesk_ticket()),
        ("zendesk", made.zendesk_article()),
        ("zendesk", made.zendesk_article(locale="en-us")),
        ("intercom", made.intercom_conversation()),
        ("jira", made.jira_issue()),
        ("my helpdesk", made.generic_ticket("../티켓 3")),
    ]
    for number, (platform, payload) in enumerate(exports):
        await import_records(storage, ACME, platform, [written(folder / f"{number}.json", json.dumps(payload).encode())])
    for odd in ODD:
        await save_ticket(storage, ACME, "my helpdesk", odd)


@pytest.mark.parametrize(
    ("direction", "name"),
    [("memory to files", "out.ndjson"), ("files to memory", "out.ndjson.gz"), ("files to files", "out.ndjson.zst")],
)
async def test_an_export_with_envelopes_into_another_storage_gives_equal_content(
    two_storages: tuple[Storage, Storage], tmp_path: Path, name: str
) -> None:
    ours, theirs = two_storages
    await fill(ours, tmp_path)
    for payload in (LONG, WHITE):
        await save_ticket(ours, ACME, "my helpdesk", payload)

    for kind in (TICKET, ARTICLE):
        await export_records(ours, ACME, tmp_path / name, kind=kind, envelope=True)
        await import_records(theirs, "copy", None, [tmp_path / name])

    assert len(await content(ours, ACME)) == 8 + len(ODD) + 2
    assert await content(theirs, "copy") == await content(ours, ACME)


@pytest.mark.parametrize("direction", ["memory to files", "files to memory", "files to files"])
async def test_a_plain_export_into_another_storage_gives_equal_bytes(two_storages: tuple[Storage, Storage], tmp_path: Path) -> None:
    ours, theirs = two_storages
    await fill(ours, tmp_path)

    for kind in (TICKET, ARTICLE):
        for platform in PLATFORMS:
            await export_records(ours, ACME, tmp_path / "out.ndjson", kind=kind, platform=platform)
            if (tmp_path / "out.ndjson").stat().st_size:
                await import_records(theirs, ACME, platform, [tmp_path / "out.ndjson"], kind=kind)

    assert await content(theirs, ACME) == await content(ours, ACME)
