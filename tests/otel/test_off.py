"""Where nobody watches, nothing is there that could cost anything."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType

import pytest

import deskstore
from deskstore.adapters.file import FileStorage
from deskstore.adapters.hybrid import HybridStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.observing import ObservedStorage
from deskstore.bootstrap import Settings, StorageType, open_sides, open_storage
from deskstore.domain.errors import ConfigurationError
from deskstore.domain.unit import BufferedUnit
from deskstore.services.importing import import_records
from deskstore.services.migrating import plan_migration
from deskstore.services.tickets import get_ticket, save_ticket
from deskstore.testing.contract.fixtures import a_new_company
from tests.payloads import as_bytes, freshdesk

LONG = {
    "adopt",
    "create_backup",
    "cut_over",
    "erase_requester",
    "export_records",
    "finish_migration",
    "import_records",
    "repair_migration",
    "restore_backup",
    "roll_back",
    "start_migration",
    "undo_restore",
    "verify_migration",
    "work_off",
}


async def test_without_the_setting_the_storage_and_its_units_are_the_plain_ones(tmp_path: Path) -> None:
    async with open_storage(Settings(data_path=tmp_path)) as storage:
        unit = storage.unit_of_work("acme")

    assert type(storage) is FileStorage
    assert type(unit) is BufferedUnit


async def test_with_the_setting_it_is_an_observed_one(tmp_path: Path) -> None:
    async with open_storage(Settings(data_path=tmp_path, otel=True)) as storage:
        await save_ticket(storage, "acme", "freshdesk", freshdesk(1))
        found = await get_ticket(storage, "acme", "freshdesk", "1")

    assert type(storage) is ObservedStorage
    assert found.ticket_id == "1"


async def test_with_the_setting_both_sides_of_a_hybrid_storage_are_observed_too(tmp_path: Path, shared_postgres_url: str) -> None:
    company_id = a_new_company()
    asked = Settings(storage_type=StorageType.HYBRID, data_path=tmp_path, database_url=shared_postgres_url, otel=True)

    async with open_storage(asked) as storage:
        await save_ticket(storage, company_id, "freshdesk", freshdesk(1))
        found = await get_ticket(storage, company_id, "freshdesk", "1")

    assert isinstance(storage, ObservedStorage)
    assert isinstance(storage.beneath, HybridStorage)
    assert [type(side) for side in (storage.beneath.near, storage.beneath.far)] == [ObservedStorage, ObservedStorage]
    assert found.ticket_id == "1"


async def test_both_sides_of_a_move_are_observed(tmp_path: Path, shared_postgres_url: str) -> None:
    asked = Settings(data_path=tmp_path, database_url=shared_postgres_url, otel=True)

    async with open_sides(asked) as (near, far):
        plan = await plan_migration(near, far, "nobody")

    assert [type(side) for side in (near, far)] == [ObservedStorage, ObservedStorage]
    assert plan.company_id == "nobody"


def test_use_cases_of_one_unit_are_the_functions_themselves() -> None:
    wrapped = {name for name in deskstore.__all__ if hasattr(getattr(deskstore, name), "__wrapped__") and name != "stop_on_signals"}

    assert wrapped - {"open_sides", "open_storage"} == LONG


async def test_unobserved_nothing_of_observing_is_called_but_one_function_a_run(tmp_path: Path) -> None:
    export = tmp_path / "export.json"
    export.write_bytes(as_bytes([freshdesk(number) for number in range(100)]))
    storage = MemoryStorage()

    async def short() -> None:
        await save_ticket(storage, "acme", "freshdesk", freshdesk(1))
        await get_ticket(storage, "acme", "freshdesk", "1")

    async def long() -> None:
        await import_records(storage, "acme", "freshdesk", [export], batch_records=10)

    assert await _of_observing(short) == set()
    assert await _of_observing(long) == {"told"}


async def test_without_opentelemetry_the_setting_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "deskstore.adapters.otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'deskstore\[otel\]'"):
        async with open_storage(Settings(data_path=tmp_path, otel=True)):
            pass


async def _of_observing(work: Callable[[], Awaitable[None]]) -> set[str]:
    """The functions that a piece of work called in modules that observe."""
    called: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        module: str = frame.f_globals.get("__name__", "")
        if event == "call" and "observing" in module:
            called.add(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        await work()
    finally:
        sys.setprofile(before)
    return called
