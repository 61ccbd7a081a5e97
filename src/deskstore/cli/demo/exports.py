"""Made-up exports of made-up companies, in the shape of each platform; the same ones at every run."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from attrs import frozen

Made = dict[str, Any]  # Any: JSON

BEGIN: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
_MATTERS: Final = (
    ("Cannot log in", "Since this morning the page says that my password is wrong."),
    ("배송이 늦어지고 있습니다", "주문한 지 열흘이 지났는데 아직 도착하지 않았습니다. 확인 부탁드립니다."),
    ("Invoice shows the wrong address", "Please send it again with our new address, “Lindenstraße 5”."),
    ("Refund for order", "I returned the parcel two weeks ago 📦 and have not heard of you."),
)


@frozen(kw_only=True)
class Export:
    """One file that a helpdesk gave a company."""

    company_id: str
    platform: str
    file: str
    records: int
    make: Callable[[int], Made]
    write: Callable[[Path, Iterable[Made]], None]


def array(path: Path, records: Iterable[Made]) -> None:
    """A JSON array, indented as people export it."""
    path.write_text(json.dumps([*records], indent=2, ensure_ascii=False), encoding="utf-8")


def page(path: Path, records: Iterable[Made]) -> None:
    """A page with the records under its key `tickets`."""
    path.write_text(json.dumps({"tickets": [*records], "next_page": None}), encoding="utf-8")


def packed_lines(path: Path, records: Iterable[Made]) -> None:
    """NDJSON, compressed."""
    path.write_bytes(gzip.compress("".join(json.dumps(record) + "\n" for record in records).encode(), mtime=0))


def when(number: int) -> str:
    """A time for record number so and so."""
    return (BEGIN + timedelta(minutes=17 * number)).strftime("%Y-%m-%dT%H:%M:%SZ")


def freshdesk(company: str) -> Callable[[int], Made]:
    """Tickets of Freshdesk; its numbers begin at 1 for every customer, so companies share them."""

    def make(number: int) -> Made:
        subject, text = _MATTERS[number % len(_MATTERS)]
        return {
            "id": number + 1,
            "subject": f"{subject} ({company} {number + 1})",
            "description_text": text,
            "status": 2 + number % 4,
            "priority": 1 + number % 4,
            "requester_id": 67_000_000_000 + number % 40,
            "responder_id": None,
            "company_id": 7,
            "custom_fields": {"cf_amount": 10.50, "cf_serial": 12345678901234567890 + number},
            "created_at": when(number),
            "updated_at": when(number + 3),
        }

    return make


def zendesk(number: int) -> Made:
    """Tickets of Zendesk."""
    subject, text = _MATTERS[number % len(_MATTERS)]
    return {
        "id": 9_000 + number,
        "subject": subject,
        "raw_subject": subject,
        "description": text,
        "status": ("new", "open", "pending", "solved")[number % 4],
        "priority": None,
        "requester_id": 361_000_000 + number,
        "custom_fields": [{"id": 24_801_110, "value": "blue"}],
        "created_at": when(number),
        "updated_at": when(number + 1),
        "generated_timestamp": 1_767_600_000 + number,
    }


def zendesk_article(number: int) -> Made:
    """Articles of Zendesk's help center: each in two languages, under one id."""
    locale, title = (("en-us", "How to reset a password"), ("ko", "비밀번호 재설정 방법"))[number % 2]
    body = f"<h1>{title}</h1>"
    at = when(number)
    return {
        "id": 7_250_000_000_000 + number // 2,
        "locale": locale,
        "title": title,
        "body": body,
        "section_id": 5,
        "draft": False,
        "updated_at": at,
    }


def intercom(number: int) -> Made:
    """Conversations of Intercom; ids are text, times are seconds."""
    at = int((BEGIN + timedelta(hours=number)).timestamp())
    source = {
        "type": "conversation",
        "subject": "",
        "body": f"<p>{_MATTERS[number % len(_MATTERS)][1]}</p>",
        "author": {"id": f"u{number}"},
    }
    return {"type": "conversation", "id": str(1_400 + number), "state": "open", "created_at": at, "updated_at": at, "source": source}


EXPORTS: Final = (
    Export(company_id="acme", platform="freshdesk", file="acme-freshdesk.json", records=120, make=freshdesk("acme"), write=array),
    Export(company_id="acme", platform="zendesk", file="acme-zendesk.json", records=60, make=zendesk, write=page),
    Export(company_id="acme", platform="zendesk", file="acme-articles.ndjson.gz", records=20, make=zendesk_article, write=packed_lines),
    Export(company_id="globex", platform="freshdesk", file="globex-freshdesk.json", records=90, make=freshdesk("globex"), write=array),
    Export(company_id="globex", platform="intercom", file="globex-intercom.ndjson.gz", records=40, make=intercom, write=packed_lines),
)


def make_exports(folder: Path) -> None:
    """Write all of them."""
    folder.mkdir()
    for export in EXPORTS:
        export.write(folder / export.file, map(export.make, range(export.records)))
