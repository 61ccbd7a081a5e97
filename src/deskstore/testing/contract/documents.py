"""Whatever document a use case receives, every storage takes or refuses it alike, and knows it when it comes again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deskstore.domain.errors import InvalidRecord
from deskstore.domain.receiving import CREATED, UNCHANGED
from deskstore.formats.json import MAX_BYTES, MAX_DEPTH, load
from deskstore.services.receiving import Payload
from deskstore.services.tickets import get_ticket, save_ticket
from deskstore.testing.desk import Desk
from deskstore.testing.strategies import HOSTILE_PAYLOADS

_PLATFORM = "documents"


def _with_id(payload: bytes) -> bytes:
    """The same document with an id, so that it can be received."""
    inside = payload.lstrip()[1:]
    return b'{ "id" :\t"7"' + (inside if inside.startswith(b"}") else b"," + inside)


def _of_depth(depth: int) -> bytes:
    return b'{"id":"7","a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def _of_length(length: int) -> bytes:
    return b'{"id":"7","a":"' + b"x" * (length - 17) + b'"}'


@pytest.mark.parametrize("payload", HOSTILE_PAYLOADS, ids=range(len(HOSTILE_PAYLOADS)))
async def test_a_document_that_is_received_is_kept_byte_for_byte_and_known_when_it_comes_again(desk: Desk, payload: bytes) -> None:
    document = _with_id(payload)

    received = await save_ticket(desk.storage, desk.company_id, _PLATFORM, document)
    again = [await save_ticket(desk.storage, desk.company_id, _PLATFORM, one) for one in (document, load(document))]

    stored = await get_ticket(desk.storage, desk.company_id, _PLATFORM, "7")
    assert (received.outcome, stored.payload, stored.version) == (CREATED, document, received.version)
    assert [one.outcome for one in again] == [UNCHANGED, UNCHANGED]
    assert stored.data == load(document)


@pytest.mark.parametrize("given", [bytes, load], ids=["as bytes", "as a dict"])
async def test_a_document_may_be_as_deep_and_as_long_as_the_rule_allows_and_no_more(desk: Desk, given: Callable[[bytes], Payload]) -> None:
    for largest in (_of_depth(MAX_DEPTH), _of_length(MAX_BYTES)):
        await save_ticket(desk.storage, desk.company_id, _PLATFORM, given(largest))
        before = await get_ticket(desk.storage, desk.company_id, _PLATFORM, "7")
        assert before.data == load(largest)

        for beyond in (_of_depth(MAX_DEPTH + 1), _of_depth(1_025), _of_length(MAX_BYTES + 1)):
            with pytest.raises(InvalidRecord):
                await save_ticket(desk.storage, desk.company_id, _PLATFORM, beyond)

        assert await get_ticket(desk.storage, desk.company_id, _PLATFORM, "7") == before
