"""What a dict must be, what comes back of it, and the one key that is not its own."""

import asyncio
import json as standard
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import InvalidRecord
from deskstore.domain.ports import Storage
from deskstore.facade import RESERVED, DictStorage
from deskstore.formats import json
from deskstore.services.tickets import find_ticket, save_ticket
from deskstore.testing.strategies import HOSTILE_PAYLOADS, payloads

ACME = "acme"
MINE = "my helpdesk"


def nested(depth: int) -> dict[str, Any]:  # Any: itself
    inner: dict[str, Any] = {}
    for _ in range(depth - 1):
        inner = {"in": inner}
    return inner


async def back(desk: DictStorage) -> dict[str, Any]:  # Any: a payload
    found = await desk.get_ticket(ACME, MINE, "1")
    assert found is not None
    return {key: value for key, value in found.items() if key != RESERVED}


@pytest.mark.parametrize(
    "value",
    [
        -0.0,
        1e16,
        5e-324,
        2**53 + 1,
        2**63,
        2**64,
        10**40,
        -(10**40),
        1.0,
        True,
        "\x00",
        "\ud800",
        "가\U0001f600",
        {"": {"\x00": None, "a.b": []}},
        nested(199),
    ],
    ids=repr,
)
async def test_values_keep_their_type_and_every_digit(desk: DictStorage, value: object) -> None:
    payload = {"id": 1, "value": value}

    await desk.save_ticket(ACME, MINE, payload)

    assert json.same_value(await back(desk), payload)


async def test_a_tuple_comes_back_as_a_list_and_any_mapping_will_do(desk: DictStorage) -> None:
    await desk.save_ticket(ACME, MINE, MappingProxyType({"id": 1, "pair": (1, 2)}))

    assert await back(desk) == {"id": 1, "pair": [1, 2]}


BAD: list[object] = [
    float("nan"),
    float("inf"),
    float("-inf"),
    {1: "a number for a key"},
    {"deep": [{None: 1}]},
    {1, 2},
    b"bytes",
    datetime(2026, 1, 1, tzinfo=UTC),
    object(),
    nested(200),
    nested(100_000),
    "x" * 16 * 2**20,
]


@pytest.mark.parametrize("value", BAD, ids=[f"{number}-{type(value).__name__}" for number, value in enumerate(BAD)])
async def test_what_is_no_json_is_refused_and_leaves_no_trace(desk: DictStorage, value: object) -> None:
    payload = {"id": 1, "value": value}

    with pytest.raises(InvalidRecord):
        await desk.save_ticket(ACME, MINE, payload)
    with pytest.raises(InvalidRecord):
        await desk.save_kb_article(ACME, MINE, payload)

    assert await desk.list_companies() == []


@pytest.mark.parametrize("value", BAD, ids=[f"{number}-{type(value).__name__}" for number, value in enumerate(BAD)])
async def test_a_summary_that_is_no_json_is_refused_and_leaves_no_trace(desk: DictStorage, value: object) -> None:
    await desk.save_ticket(ACME, MINE, {"id": 1})
    before = await desk.get_ticket(ACME, MINE, "1")

    with pytest.raises(InvalidRecord):
        await desk.save_summary(ACME, MINE, "1", {"value": value})

    assert await desk.get_ticket(ACME, MINE, "1") == before


@pytest.mark.parametrize("payload", [{}, {"id": None}, {"id": True}, {"id": 1.5}, {"id": ""}, {"id": [1]}, {"ticket_id": {}}])
async def test_without_a_usable_id_nothing_is_kept(desk: DictStorage, payload: dict[str, object]) -> None:
    with pytest.raises(InvalidRecord):
        await desk.save_ticket(ACME, MINE, payload)

    assert await desk.list_companies() == []


@pytest.mark.parametrize("data", [None, [], "{}", b'{"id": 1}', 1, [("id", 1)]])
async def test_what_is_no_dict_is_refused(desk: DictStorage, data: object) -> None:
    given_by_mistake = cast("dict[str, object]", data)

    for call in (
        desk.save_ticket(ACME, MINE, given_by_mistake),
        desk.save_kb_article(ACME, MINE, given_by_mistake),
        desk.save_summary(ACME, MINE, "1", given_by_mistake),
    ):
        with pytest.raises(InvalidRecord, match="pass a dict"):
            await call


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=payloads())
def test_any_payload_comes_back_as_its_value_and_is_saved_again_unchanged(payload: bytes) -> None:
    value = {**json.load(payload), "id": 1}
    value.pop(RESERVED, None)

    asyncio.run(there_and_back(value))


async def there_and_back(value: dict[str, Any]) -> None:  # Any: a payload
    storage = MemoryStorage()
    desk = DictStorage(storage)
    await desk.save_ticket(ACME, MINE, value)
    first = await desk.get_ticket(ACME, MINE, "1")
    assert first is not None
    await desk.save_ticket(ACME, MINE, first)
    assert await desk.get_ticket(ACME, MINE, "1") == first
    first.pop(RESERVED)
    assert json.same_value(first, value)
    await storage.aclose()


async def test_hostile_bytes_are_shown_as_their_value_and_kept_when_saved_again(desk: DictStorage, storage: Storage) -> None:
    for number, hostile in enumerate(HOSTILE_PAYLOADS):
        members = hostile.strip()[1:-1].strip()
        payload = b'{%b "id": %d}' % (members + b"," if members else b"", number)
        await save_ticket(storage, ACME, MINE, payload)
        stored = await find_ticket(storage, ACME, MINE, str(number))

        found = await desk.get_ticket(ACME, MINE, str(number))
        assert found is not None
        await desk.save_ticket(ACME, MINE, found)

        assert stored is not None
        assert stored.payload == payload
        assert await find_ticket(storage, ACME, MINE, str(number)) == stored


# -- the reserved key ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", [None, {}, "x", [], {"company_id": "a"}, {"version": 1, "platform": "b"}])
async def test_a_payload_with_the_reserved_key_of_its_own_is_refused(desk: DictStorage, own: object) -> None:
    for save in (desk.save_ticket, desk.save_kb_article):
        with pytest.raises(InvalidRecord, match="has a key '_deskstore' of its own"):
            await save(ACME, MINE, {"id": 1, RESERVED: own})

    assert await desk.list_companies() == []


async def test_what_stands_beside_a_payload_is_no_part_of_it(desk: DictStorage) -> None:
    await desk.save_ticket(ACME, MINE, {"id": 1, "subject": "x"})
    found = await desk.get_ticket(ACME, MINE, "1")
    assert found is not None
    changed = {**found, RESERVED: {**found[RESERVED], "processing_status": "completed", "summary": {"a": 1}, "version": 9}}

    await desk.save_ticket(ACME, MINE, changed)

    assert await desk.get_ticket(ACME, MINE, "1") == found


async def test_a_ticket_can_be_copied_to_another_company_as_it_was_returned(desk: DictStorage) -> None:
    await desk.save_ticket(ACME, MINE, {"id": 1, "subject": "x"})

    for found in await desk.list_tickets(ACME):
        await desk.save_ticket("copy", "other", found)

    (copied,) = await desk.list_tickets("copy")
    assert copied.pop(RESERVED)["company_id"] == "copy"
    assert copied == {"id": 1, "subject": "x"}


async def test_what_was_returned_may_travel_as_json(desk: DictStorage) -> None:
    await desk.save_ticket(ACME, MINE, {"id": 1, "subject": "\ud800 \x00"})
    found = await desk.get_ticket(ACME, MINE, "1")

    travelled = standard.loads(standard.dumps(found))
    await desk.save_ticket(ACME, MINE, travelled)

    assert travelled == found == await desk.get_ticket(ACME, MINE, "1")


@pytest.mark.parametrize("own", ["null", '"x"', '{"payload_value": 1}'])
async def test_a_reserved_key_that_came_with_an_import_is_shown_beside_and_kept(desk: DictStorage, storage: Storage, own: str) -> None:
    await save_ticket(storage, ACME, MINE, b'{"id": 1, "_deskstore": %b}' % own.encode())
    stored = await find_ticket(storage, ACME, MINE, "1")
    found = await desk.get_ticket(ACME, MINE, "1")
    assert found is not None

    await desk.save_ticket(ACME, MINE, found)
    await desk.save_ticket(ACME, MINE, {**found, "more": True})

    now = await find_ticket(storage, ACME, MINE, "1")
    assert found[RESERVED]["payload_value"] == standard.loads(own)
    assert stored is not None
    assert now is not None
    assert now.data == {**stored.data, "more": True}
