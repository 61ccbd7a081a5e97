"""Tickets through their use cases."""

import asyncio

import pytest

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import CompanyRequired, InvalidRecord, TicketNotFound, VersionConflict
from deskstore.domain.identifiers import ticket_key
from deskstore.domain.processing import COMPLETED, PENDING
from deskstore.domain.receiving import CREATED, STALE, UNCHANGED, UPDATED
from deskstore.formats.json import MAX_BYTES
from deskstore.services.companies import get_platform_stats, list_companies
from deskstore.services.processing import update_processing_status
from deskstore.services.receiving import Payload
from deskstore.services.tickets import delete_ticket, find_ticket, get_ticket, list_tickets, save_ticket, save_tickets
from tests.payloads import as_bytes, freshdesk
from tests.services.racing import RacingStorage

ACME = "acme"


async def test_a_ticket_comes_back_byte_for_byte(storage: MemoryStorage) -> None:
    payload = b'{"id": 42,  "x":1.10, "id":42, "big": 123456789012345678901234567890}'

    received = await save_ticket(storage, ACME, "freshdesk", payload)

    assert (received.outcome, received.key) == (CREATED, ticket_key("freshdesk", "42"))
    assert (await get_ticket(storage, ACME, "freshdesk", "42")).payload == payload


async def test_the_fields_of_the_platform_are_read(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk(subject="Help", status=4))

    fields = (await get_ticket(storage, ACME, "freshdesk", "42")).fields
    assert (fields.subject, fields.status) == ("Help", "4")


async def test_the_same_bytes_again_are_unchanged_and_keep_the_version(storage: MemoryStorage) -> None:
    payload = as_bytes(freshdesk())
    first = await save_ticket(storage, ACME, "freshdesk", payload)

    again = await save_ticket(storage, ACME, "freshdesk", payload)

    assert (again.outcome, again.version) == (UNCHANGED, first.version)


async def test_a_dict_of_equal_value_is_unchanged_and_the_stored_bytes_stay(storage: MemoryStorage) -> None:
    payload = as_bytes(freshdesk())
    await save_ticket(storage, ACME, "freshdesk", payload)

    again = await save_ticket(storage, ACME, "freshdesk", dict(reversed(freshdesk().items())))

    assert again.outcome is UNCHANGED
    assert (await get_ticket(storage, ACME, "freshdesk", "42")).payload == payload


async def test_bytes_of_equal_value_are_an_update(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "freshdesk", b'{"id":42}')

    again = await save_ticket(storage, ACME, "freshdesk", b'{"id": 42}')

    assert again.outcome is UPDATED


async def test_a_dict_is_not_changed_by_saving_it(storage: MemoryStorage) -> None:
    given = freshdesk()

    await save_ticket(storage, ACME, "freshdesk", given)

    assert given == freshdesk()


async def test_an_older_payload_is_stale_unless_forced(storage: MemoryStorage) -> None:
    newer, older = freshdesk(updated_at="2026-02-02T00:00:00Z"), freshdesk(updated_at="2026-01-03T00:00:00Z")
    await save_ticket(storage, ACME, "freshdesk", newer)

    refused = await save_ticket(storage, ACME, "freshdesk", older)
    forced = await save_ticket(storage, ACME, "freshdesk", older, force=True)

    assert (refused.outcome, forced.outcome) == (STALE, UPDATED)
    assert (await get_ticket(storage, ACME, "freshdesk", "42")).data == older


async def test_many_tickets_are_received_in_their_order(storage: MemoryStorage) -> None:
    payloads: list[Payload] = [freshdesk(1), freshdesk(2), freshdesk(1, status=5), as_bytes(freshdesk(1, status=5)), freshdesk(2)]

    received = await save_tickets(storage, ACME, "freshdesk", payloads)

    assert [one.outcome for one in received] == [CREATED, CREATED, UPDATED, UPDATED, UNCHANGED]
    assert [one.key.id for one in received] == ["1", "2", "1", "1", "2"]
    assert received[3].version == (await get_ticket(storage, ACME, "freshdesk", "1")).version


async def test_more_tickets_than_a_unit_holds_are_all_kept(storage: MemoryStorage) -> None:
    received = await save_tickets(storage, ACME, "freshdesk", (freshdesk(number) for number in range(2_500)))

    assert {one.outcome for one in received} == {CREATED}
    assert [stats.tickets for stats in await get_platform_stats(storage, ACME)] == [2_500]


async def test_one_ticket_that_cannot_be_kept_keeps_all_of_them_out(storage: MemoryStorage) -> None:
    with pytest.raises(InvalidRecord, match="--id-field"):
        await save_tickets(storage, ACME, "freshdesk", [freshdesk(1), {"subject": "no id"}])

    assert await find_ticket(storage, ACME, "freshdesk", "1") is None


async def test_one_byte_more_than_the_largest_payload_is_refused_and_nothing_is_kept(storage: MemoryStorage) -> None:
    largest = b'{"id": 1, "a": "' + b"x" * (MAX_BYTES - 18) + b'"}'

    with pytest.raises(InvalidRecord, match="16"):
        await save_ticket(storage, ACME, "freshdesk", largest.replace(b"x", b"xx", 1))
    assert await list_companies(storage) == []

    await save_ticket(storage, ACME, "freshdesk", largest)
    assert (await get_ticket(storage, ACME, "freshdesk", "1")).payload == largest


async def test_a_lost_race_is_tried_again(storage: MemoryStorage) -> None:
    await asyncio.gather(*(save_ticket(storage, ACME, "freshdesk", freshdesk(status=number)) for number in range(50)))

    assert (await get_ticket(storage, ACME, "freshdesk", "42")).fields.status in {str(number) for number in range(50)}


async def test_a_lost_race_reads_only_the_records_that_lost_again() -> None:
    racing = RacingStorage(rounds=3)

    received = await save_tickets(racing, ACME, "freshdesk", [freshdesk(number, status=3) for number in range(5)])

    assert [one.outcome for one in received] == [UPDATED, CREATED, CREATED, CREATED, CREATED]
    assert racing.asked_for == [5, 1, 1, 1]


async def test_races_without_end_are_given_up() -> None:
    with pytest.raises(VersionConflict):
        await save_ticket(RacingStorage(rounds=1_000), ACME, "freshdesk", freshdesk(0, status=3))


async def test_a_missing_ticket_is_none_or_an_error_as_asked(storage: MemoryStorage) -> None:
    assert await find_ticket(storage, ACME, "freshdesk", "42") is None
    with pytest.raises(TicketNotFound, match="ticket '42' on 'freshdesk' does not exist"):
        await get_ticket(storage, ACME, "freshdesk", "42")
    with pytest.raises(TicketNotFound):
        await delete_ticket(storage, ACME, "freshdesk", "42")


async def test_a_deleted_ticket_is_gone(storage: MemoryStorage) -> None:
    await save_ticket(storage, ACME, "freshdesk", freshdesk())

    await delete_ticket(storage, ACME, "freshdesk", "42")

    assert await find_ticket(storage, ACME, "freshdesk", "42") is None


async def test_a_list_shows_what_passes_all_filters_page_by_page(storage: MemoryStorage) -> None:
    await save_tickets(storage, ACME, "freshdesk", [freshdesk(number, status=2 + number % 2) for number in range(6)])
    await update_processing_status(storage, ACME, "freshdesk", "3", COMPLETED)

    first = await list_tickets(storage, ACME, "freshdesk", status="3", limit=2)
    second = await list_tickets(storage, ACME, "freshdesk", status="3", limit=2, after=first.next)
    pending = await list_tickets(storage, ACME, status="3", processing=PENDING)

    assert [[ticket.ticket_id for ticket in page.items] for page in (first, second, pending)] == [["5", "3"], ["1"], ["5", "1"]]
    assert second.next is None


async def test_nothing_happens_without_a_company(storage: MemoryStorage) -> None:
    with pytest.raises(CompanyRequired):
        await save_ticket(storage, "", "freshdesk", freshdesk())
