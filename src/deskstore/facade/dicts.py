"""
Payloads and what deskstore keeps beside them, as one dict.

A ticket is given as its payload's own keys and one more, `_deskstore`, under which the rest stands. Whoever saves such a dict again saves
the payload: `_deskstore` is taken off. A payload that came with a key of that name, as an import may bring one, loses nothing: what it
holds there is given under `_deskstore` as `payload_value`, and put back by a save.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

from deskstore.domain.errors import InvalidRecord

if TYPE_CHECKING:
    from deskstore.domain.payloads import Parsed
    from deskstore.domain.ports import UnitOfWork
    from deskstore.domain.processing import Processing
    from deskstore.domain.records import Ticket
    from deskstore.domain.summaries import Summary

RESERVED: Final = "_deskstore"  #: the one key of a returned dict that is not the payload's own
SHADOWED: Final = "payload_value"  #: under it, what the payload itself holds under the reserved key
_OURS: Final = frozenset({"company_id", "platform", "ticket_id", "processing_status", "version"})  #: by which a save knows what it returned


def payload_of(data: Mapping[str, Any], what: str) -> bytes:  # Any: a payload holds whatever the platform sent
    """
    The payload that a dict holds, without what deskstore returned beside it; the dict is not changed.

    Raises:
        InvalidRecord: It is no dict, breaks the rule for JSON, or has a reserved key of its own.
    """
    from deskstore.formats import json  # slow to load, and a first call may need none

    given = checked(data, what)
    if RESERVED not in given:
        return json.dump(given)
    payload = {key: value for key, value in given.items() if key != RESERVED}
    beside: object = given[RESERVED]
    if not (isinstance(beside, Mapping) and beside.keys() >= _OURS):
        raise InvalidRecord(
            f"{what} has a key {RESERVED!r} of its own, which is reserved for what deskstore returns beside a payload: rename the key, or "
            "save the payload's bytes with deskstore.save_ticket() or save_article()"
        )
    if SHADOWED in beside:
        payload[RESERVED] = cast("Mapping[str, object]", beside)[SHADOWED]
    return json.dump(payload)


def checked(data: object, what: str) -> Mapping[str, Any]:  # Any: a payload holds whatever the platform sent
    """The same data, once it is known to be a dict; raises InvalidRecord."""
    if not isinstance(data, Mapping):
        raise InvalidRecord(f"{what} is of type {type(data).__name__}: pass a dict")
    return cast("Mapping[str, Any]", data)


def as_dict(company_id: str, ticket: Ticket, processing: Processing | None, summary: Summary | None) -> Parsed:
    """
    A ticket's payload, and under the reserved key what is kept beside it.

    Args:
        processing: None for a ticket that was removed a moment ago.
    """
    from deskstore.formats import json  # likewise

    payload = json.load(ticket.payload)
    beside: Parsed = {
        "company_id": company_id,
        "platform": ticket.platform,
        "ticket_id": ticket.ticket_id,
        "processing_status": processing and processing.status.value,
        "attempts": processing.attempts if processing else 0,
        "error": processing and processing.error,
        "status_updated_at": written(processing.changed_at if processing else None),
        "summary": summary and json.load(summary.content),
        "summary_is_stale": summary is not None and summary.is_stale(ticket.fields.text_digest),
        "version": ticket.version,
        "created_at": written(ticket.fields.created_at),
        "updated_at": written(ticket.fields.updated_at),
        "saved_at": written(ticket.saved_at),
    }
    if RESERVED in payload:
        beside[SHADOWED] = payload[RESERVED]
    return {**payload, RESERVED: beside}


async def as_dicts(uow: UnitOfWork, tickets: Sequence[Ticket]) -> list[Parsed]:
    """The tickets as dicts, with two reads for what stands beside all of them."""
    if not tickets:
        return []
    keys = [ticket.key for ticket in tickets]
    come_to = await uow.progress.find_many(keys)
    written_of = await uow.summaries.current_many(keys)
    return [as_dict(uow.company_id, ticket, come_to.get(ticket.key), written_of.get(ticket.key)) for ticket in tickets]


def written(moment: datetime | None) -> str | None:
    """A time as JSON has it: ISO 8601, in UTC."""
    return None if moment is None else moment.isoformat()
