"""A package beside deskstore names a storage, and STORAGE_TYPE opens it; what is wrong with one is told in a line."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deskstore.adapters.memory import MemoryStorage
from deskstore.bootstrap import Layer, Settings, StorageType, open_storage
from deskstore.domain.adapting import CONTRACT_VERSION, Adapter, Variable
from deskstore.domain.errors import ConfigurationError
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket
from tests.cli.conftest import Deskstore, data_path, deskstore
from tests.packages import install
from tests.test_bootstrap import modules_after
from tests.test_start import FACADE, LISTED, STATUS

__all__ = ["data_path", "deskstore"]  # fixtures

Install = Callable[..., None]

SHELF = f"""
from deskstore import Adapter, Variable
from deskstore.adapters.memory import MemoryStorage

OPENED = []

def opened(values, clock):
    OPENED.append(dict(values))
    return MemoryStorage(clock)

ADAPTER = Adapter(
    storage=MemoryStorage,
    open=opened,
    contract={CONTRACT_VERSION},
    variables=(Variable(name="SHELF_URL"), Variable(name="SHELF_KEY", is_secret=True)),
)
OLD = Adapter(storage=MemoryStorage, open=opened, contract={CONTRACT_VERSION - 1})
NEW = Adapter(storage=MemoryStorage, open=opened, contract={CONTRACT_VERSION + 1})
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs packages for the length of a test."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.delitem(sys.modules, "shelf", raising=False)

    def add(name: str, version: str, **adapters: str) -> None:
        install(folder, name, version, adapters, modules={"shelf": SHELF})

    return add


@pytest.fixture
def shelf(installed: Install) -> None:
    """A package whose storage is called shelf."""
    installed("deskstore-shelf", "2.1", shelf="shelf:ADAPTER")


@pytest.mark.usefixtures("shelf")
async def test_the_name_of_an_installed_storage_opens_it(tmp_path: Path) -> None:
    settings = Settings.from_environment(
        {"STORAGE_TYPE": "Shelf", "DATA_PATH": str(tmp_path), "SHELF_URL": "shelf://here", "HOME": "/root"}
    )

    async with open_storage(settings) as storage:
        await Desk(storage, "acme").keep(a_ticket())

    assert settings.storage_type == "shelf"
    assert isinstance(storage, MemoryStorage)
    opened: list[dict[str, str]] = sys.modules["shelf"].OPENED
    assert opened == [{"DATA_PATH": str(tmp_path), "SHELF_URL": "shelf://here"}]


@pytest.mark.usefixtures("shelf")
def test_the_variables_of_an_installed_storage_are_shown_with_ours_and_their_secrets_are_not() -> None:
    option = Layer(name="option", values={"STORAGE_TYPE": "shelf"})
    environment = Layer(name="environment", values={"SHELF_URL": "shelf://me:secret@here", "SHELF_KEY": "secret"})

    settings = Settings.from_layers([option, environment])

    assert [*settings.shown()][-2:] == [("SHELF_URL", "shelf://me:***@here", "environment"), ("SHELF_KEY", "***", "environment")]
    assert "secret" not in repr(settings)


@pytest.mark.usefixtures("shelf")
def test_commands_work_on_an_installed_storage(deskstore: Deskstore) -> None:
    shown = deskstore("config", "show", "--storage", "shelf")
    status = deskstore("status", "--storage", "shelf")
    doctor = deskstore("doctor", "--storage", "shelf")
    mending = deskstore("doctor", "--storage", "shelf", "--repair")

    assert ["STORAGE_TYPE", "shelf", "option"] in shown.lines
    assert (status.code, status.lines[0]) == (0, ["storage:", "memory,", "this", "process"])
    assert (doctor.code, doctor.err) == (0, "deskstore: nothing is wrong\n")
    assert "memory answers, this process, 0 companies; it cannot be looked through" in doctor.out
    assert (mending.code, mending.err.count("\n")) == (2, 1)


@pytest.mark.usefixtures("shelf")
def test_an_unknown_name_is_answered_with_all_that_are_known(deskstore: Deskstore) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({"STORAGE_TYPE": "shelv"})
    option = deskstore("status", "--storage", "shelv")

    assert str(caught.value) == "STORAGE_TYPE is 'shelv'; choose one of: file, hybrid, postgresql, shelf"
    assert option.code == 2
    assert "'shelv' is not one of 'file', 'hybrid', 'postgresql', 'shelf'" in option.err


def test_a_name_that_two_packages_offer_opens_neither(installed: Install) -> None:
    installed("deskstore-shelf", "2.1", shelf="shelf:ADAPTER")
    installed("other-shelf", "0.3", Shelf="shelf:ADAPTER")

    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({"STORAGE_TYPE": "shelf"})

    assert str(caught.value) == (
        "STORAGE_TYPE is 'shelf', a name that deskstore-shelf 2.1 and other-shelf 0.3 both offer: remove all but one of them"
    )


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        (
            "shelves:ADAPTER",
            "(shelves:ADAPTER) cannot be loaded (ModuleNotFoundError: No module named 'shelves'): mend or remove that package",
        ),
        ("shelf:NOTHING", "(shelf:NOTHING) cannot be loaded (AttributeError: module 'shelf' has no attribute 'NOTHING'): mend or remove"),
        ("shelf:opened", "(shelf:opened) is a function and no deskstore.Adapter: mend or remove that package"),
        ("shelf:OLD", "was made for contract 0, and this release keeps contract 1: install a newer release of that package"),
        ("shelf:NEW", "was made for contract 2, and this release keeps contract 1: install a newer release of deskstore"),
    ],
)
def test_what_is_wrong_with_an_entry_point_is_told_in_a_line(installed: Install, target: str, fault: str) -> None:
    installed("deskstore-shelf", "2.1", shelf=target)

    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({"STORAGE_TYPE": "shelf"})

    assert str(caught.value).startswith("storage 'shelf' of deskstore-shelf 2.1 ")
    assert fault in str(caught.value)


async def test_no_package_can_take_a_name_of_ours(installed: Install, tmp_path: Path) -> None:
    installed("deskstore-shelf", "2.1", file="shelf:ADAPTER", postgresql="shelf:ADAPTER")

    settings = Settings.from_environment({"STORAGE_TYPE": "file", "DATA_PATH": str(tmp_path)})
    async with open_storage(settings) as storage:
        health = await storage.health()

    assert settings.storage_type is StorageType.FILE
    assert health.adapter == "file"
    assert "shelf" not in sys.modules


async def test_settings_made_in_code_may_name_a_storage_that_is_not_there() -> None:
    with pytest.raises(ConfigurationError, match="STORAGE_TYPE is 'shelf', and no package that is installed offers it"):
        async with open_storage(Settings(storage_type="shelf")):
            pass


@pytest.mark.parametrize("name", ["DESKSTORE_SHELF", "shelf_url", "", "SHELF-URL"])
def test_a_variable_that_would_pass_for_one_of_ours_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a variable of an adapter"):
        Variable(name=name)


def test_an_adapter_without_variables_has_none() -> None:
    assert Adapter(storage=MemoryStorage, open=lambda _, clock: MemoryStorage(clock), contract=CONTRACT_VERSION).variables == ()


@pytest.mark.parametrize("program", [FACADE, STATUS, LISTED], ids=["facade", "status", "list"])
def test_for_our_own_storages_nobody_looks_for_packages(program: str, tmp_path: Path) -> None:
    loaded = modules_after(program, tmp_path)

    assert sorted(loaded & {"importlib.metadata", "deskstore.adapters.installed", "deskstore.domain.adapting"}) == []
