"""Freshdesk-like tickets, made from a seed: 95 % of 1 to 4 KB, 5 % of about 20 KB, 30 % of them in Korean."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

import orjson

from deskstore.domain.records import Ticket, new_ticket
from deskstore.formats import platforms

COMPANY: Final = "bench"
PLATFORM: Final = "freshdesk"
STATUS: Final = "4"  #: the one that pages ask for; a fifth of all tickets have it
NOW: Final = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
UNIT: Final = 1_000

_BEGINNING: Final = datetime(2020, 1, 1, tzinfo=UTC)
_ENGLISH: Final = (
    "The invoice of last month shows the old address although we changed it in March. ",
    "After the update the mobile app asks for the password again and again. ",
    "Could you please tell us when the replacement will be delivered? ",
    "Our agents cannot assign tickets to the night shift any more. ",
    "The export stops at 10,000 rows and the page says only that something went wrong. ",
)
_KOREAN: Final = (
    "지난달 청구서에 예전 주소가 표시됩니다. 3월에 변경했는데 반영되지 않았습니다. ",
    "업데이트 이후 모바일 앱에서 비밀번호를 계속 다시 요구합니다. ",
    "교체품이 언제 배송되는지 알려 주시겠습니까? ",
    "야간 근무 상담원에게 더 이상 티켓을 배정할 수 없습니다. ",
    "내보내기가 만 행에서 멈추고 오류가 발생했다는 메시지만 나옵니다. ",
)
_SURROUNDING_BYTES: Final = 560  #: of a payload without its text
_ROOT: Final = "https://example.freshdesk.com"


def payloads(seed: int, count: int, *, size_bytes: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Ids and payloads, the same for the same seed; of one size if a size is given."""
    chance = random.Random(seed)
    for number in range(1, count + 1):
        yield str(number), _payload(number, size_bytes or _size(chance), chance)


def tickets(seed: int, count: int) -> Iterator[Ticket]:
    """The same payloads as tickets that were never saved."""
    for _, payload in payloads(seed, count):
        yield new_ticket(platforms.ticket(PLATFORM, payload), now=NOW)


def units(seed: int, count: int) -> Iterator[Sequence[Ticket]]:
    """The same tickets, a thousand at a time."""
    source = tickets(seed, count)
    while unit := list(islice(source, UNIT)):
        yield unit


def write_lines(path: Path, seed: int, count: int, *, size_bytes: int | None = None) -> None:
    """The same payloads as NDJSON."""
    with path.open("wb") as file:
        file.writelines(payload + b"\n" for _, payload in payloads(seed, count, size_bytes=size_bytes))


def _size(chance: random.Random) -> int:
    return chance.randint(18_000, 22_000) if chance.random() < 0.05 else chance.randint(1_000, 4_000)


def _payload(number: int, size_bytes: int, chance: random.Random) -> bytes:
    text = _text(max(size_bytes - _SURROUNDING_BYTES, 80), _KOREAN if chance.random() < 0.3 else _ENGLISH, chance)
    created = _BEGINNING + timedelta(seconds=chance.randrange(200_000_000))
    return orjson.dumps(
        {
            "cc_emails": [],
            "fwd_emails": [],
            "reply_cc_emails": [],
            "fr_escalated": False,
            "spam": False,
            "email_config_id": None,
            "group_id": chance.randrange(10**10),
            "priority": chance.randint(1, 4),
            "requester_id": chance.randrange(10**11),
            "responder_id": chance.randrange(10**11),
            "source": chance.randint(1, 9),
            "status": chance.randint(2, 6),
            "subject": text[:60],
            "company_id": chance.randrange(10**8),
            "id": number,
            "type": "Question",
            "created_at": _moment(created),
            "updated_at": _moment(created + timedelta(hours=chance.randrange(2_000))),
            "tags": ["billing", "mobile"],
            "custom_fields": {"cf_order": str(chance.randrange(10**7)), "cf_url": f"{_ROOT}/a/tickets/{number}"},
            "description_text": text,
        }
    )


def _text(size_bytes: int, sentences: Sequence[str], chance: random.Random) -> str:
    parts: list[str] = []
    while size_bytes > 0:
        parts.append(chance.choice(sentences))
        size_bytes -= len(parts[-1].encode())
    return "".join(parts)


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
