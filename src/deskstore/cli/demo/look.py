"""
What a demo sees from the outside: exports, files and tables, read by nothing of what it shows.

Everything is a mapping from where a record belongs to the hash of its payload, so that two places that hold the same are equal.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from deskstore.adapters.embedded import looking


class Place(NamedTuple):
    """Where a record belongs."""

    company_id: str
    platform: str
    id: str
    locale: str  #: empty for a ticket


Held = Mapping[Place, str]
_DECODER: Final = json.JSONDecoder()
_BETWEEN: Final = re.compile(r"[\s,]*")


def in_export(company_id: str, platform: str, file: Path) -> dict[Place, str]:
    """What a helpdesk gave a company: an array, a page with one, or lines."""
    data = file.read_bytes()
    text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode()
    held: dict[Place, str] = {}
    for record in _objects(text if ".ndjson" in file.name else text[text.index("[") + 1 :]):
        value = json.loads(record)
        locale = str(value["locale"]) if "section_id" in value else ""
        held[Place(company_id, platform, str(value["id"]), locale)] = digest(record.encode())
    return held


def in_files(data_path: Path) -> dict[Place, str]:
    """What the JSON files of all companies hold: an envelope, and the payload's own bytes behind it."""
    held: dict[Place, str] = {}
    for pattern in ("*/*/tickets/*.json", "*/*/articles/*/*.json"):
        for path in data_path.glob(pattern):
            head, _, rest = path.read_bytes().partition(b',"payload":')
            envelope = json.loads(head + b"}")
            place = Place(envelope["company"], envelope["platform"], envelope["id"], envelope["locale"])
            held[place] = digest(rest.removesuffix(b"}\n"))
    return held


async def in_tables(owner_url: str) -> dict[Place, str]:
    """What the tables hold, as their owner sees them, whom no policy binds."""
    return {Place(*row[:4]): digest(row[4].encode()) for row in await looking.payloads(owner_url)}


def lacks(held: Held, wanted: Held) -> int:
    """How many of the wanted records are not there, or are not the same."""
    return sum(held.get(place) != digest for place, digest in wanted.items())


def _objects(text: str) -> Iterator[str]:
    """The JSON objects that stand one after another, each as it is written."""
    at = 0
    while (found := _BETWEEN.match(text, at)) and text.startswith("{", found.end()):
        _, at = _DECODER.raw_decode(text, found.end())
        yield text[found.end() : at]


def digest(payload: bytes) -> str:
    """What stands for a payload here."""
    return sha256(payload).hexdigest()
