"""
Exports: one payload a line, untouched, as every import reads it.

A raw line break inside a payload, which JSON allows as white space only, becomes a space; everything else stays as the platform sent it.
With `envelope` each line is an object of our own that holds the payload last, and that gives an import the same keys and bytes again: a
payload with raw line breaks is a text there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

import orjson
from attrs import frozen

from deskstore.domain.errors import CorruptRecord
from deskstore.domain.identifiers import TICKET, Kind
from deskstore.domain.paging import Filter
from deskstore.domain.ports import Storage
from deskstore.domain.records import Article, Ticket
from deskstore.formats.streams import one_line, write_lines
from deskstore.services.observing import use_case
from deskstore.services.sound import sound_records

ENVELOPE: Final = 1  #: the layout of an envelope, which stands under its key "deskstore"


@frozen(kw_only=True)
class ExportReport:
    """What was written."""

    records: int
    damaged: tuple[CorruptRecord, ...] = ()  #: records that were left out, because what is stored cannot be trusted


@use_case
async def export_records(
    storage: Storage,
    company_id: str,
    to: Path | IO[bytes],
    *,
    kind: Kind = TICKET,
    platform: str | None = None,
    envelope: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> ExportReport:
    """
    Write a company's tickets or articles, one a line, ascending by platform, id and locale.

    Args:
        to: A file, which has its name only once it is whole and is compressed where the name ends in .gz or .zst; or an open binary writer.
        on_progress: Called with the number of records so far, after each.

    Raises:
        OSError: The file cannot be written.
    """
    damaged: list[CorruptRecord] = []
    async with write_lines(to) as lines:
        async for record in sound_records(storage, company_id, kind, Filter(platform=platform), damaged=damaged):
            await lines.write(enveloped(record) if envelope else record.payload)
            if on_progress is not None:
                on_progress(lines.count)
        return ExportReport(records=lines.count, damaged=tuple(damaged))


def enveloped(record: Ticket | Article) -> bytes:
    """A record with our metadata, the payload last: as it is where that is one line, else as text."""
    kind, platform, identifier, locale = record.key
    ours: dict[str, object] = {"deskstore": ENVELOPE, "kind": kind, "platform": platform, "id": identifier, "locale": locale}
    ours |= {"version": record.version, "saved_at": record.saved_at, "sha256": record.sha256.hex()}
    payload = record.payload
    is_one_line = one_line(payload) is payload
    return orjson.dumps(ours)[:-1] + b',"payload":' + (payload if is_one_line else orjson.dumps(payload.decode())) + b"}"
