"""The storages there are, and whether one keeps its promises, as `deskstore adapters` tells it."""

import json
from pathlib import Path

import pytest

from deskstore.domain.adapting import CONTRACT_VERSION
from deskstore.testing import contract
from tests.cli.conftest import Deskstore
from tests.cli.processes import run
from tests.cli.test_json import written_down
from tests.packages import install

#: storages of a package: one that is sound, one that forgets what is deleted, and what cannot be opened
SHELF = f"""
from deskstore import Adapter
from deskstore.adapters.memory import MemoryStorage


class Listless(MemoryStorage):
    async def companies(self):
        return []


class Headless:
    pass


def of(storage, contract={CONTRACT_VERSION}):
    return Adapter(storage=storage, open=lambda _, clock: storage(clock), contract=contract)


SOUND, LISTLESS, HEADLESS, OLD = of(MemoryStorage), of(Listless), of(Headless), of(MemoryStorage, contract=0)
"""
ADAPTERS = {name: f"shelf:{name.upper()}" for name in ("sound", "listless", "headless", "old", "nowhere")}


@pytest.fixture
def shelf(tmp_path: Path, environment: dict[str, str]) -> dict[str, str]:
    """The variables of a command where a package is installed."""
    folder = tmp_path / "site"
    install(folder, "deskstore-shelf", "2.1", {**ADAPTERS, "file": "shelf:SOUND"}, modules={"shelf": SHELF})
    return {**environment, "PYTHONPATH": f"{folder}:{environment['PYTHONPATH']}"}


def test_our_own_storages_are_listed_with_what_they_can(deskstore: Deskstore) -> None:
    ran = deskstore("adapters", "list")

    assert ran.code == 0
    assert ran.out.splitlines()[0].split() == ["NAME", "FROM", "CONTRACT", "CAN", "LACKS", "RESULT"]
    assert [line[:3] for line in ran.lines[1:4]] == [
        [name, "deskstore", str(CONTRACT_VERSION)] for name in ("file", "hybrid", "postgresql")
    ]


def test_what_packages_offer_is_listed_with_what_is_wrong(shelf: dict[str, str]) -> None:
    ran = run(shelf, "adapters", "list", "--json")

    listed = [one for one in json.loads(ran.stdout)["adapters"] if one["from"] == "deskstore-shelf 2.1"]
    faults = {one["name"]: one["fault"] for one in listed}
    assert ran.returncode == 1
    assert [*faults] == ["file", "headless", "listless", "nowhere", "old", "sound"]
    assert (faults["sound"], faults["listless"]) == (None, None)
    assert faults["file"] == "the name is one of deskstore's own: it opens that one"
    assert faults["headless"].startswith("has no unit_of_work(), backend(), ")
    assert "has no attribute 'NOWHERE'" in faults["nowhere"]
    assert faults["old"].startswith("was made for contract 0, and this release keeps contract 1: install a newer release of that package")
    assert listed[-1] == {
        "name": "sound",
        "from": "deskstore-shelf 2.1",
        "contract": CONTRACT_VERSION,
        "abilities": ["replica"],
        "lacks": ["inspection", "cache", "mirror"],
        "fault": None,
    }


def test_a_storage_that_keeps_its_promises_passes(shelf: dict[str, str]) -> None:
    ran = run(shelf, "adapters", "test", "sound", "--part", "erasing", "--part", "payloads", "--seed", "7")

    assert ran.returncode == 0, ran.stderr
    assert [line.split()[0] for line in ran.stdout.decode().splitlines()] == ["PART", "erasing", "payloads"]
    assert "'sound' keeps all 15 promises of contract 1 (seed 7)" in ran.stderr.decode()
    assert not Path(shelf["DATA_PATH"]).exists()


def test_what_the_test_prints_as_json_has_the_shape_that_was_written_down(shelf: dict[str, str]) -> None:
    ran = run(shelf, "adapters", "test", "sound", "--part", "erasing", "--seed", "7", "--json")

    said, page = json.loads(ran.stdout), written_down()["adapters test"]
    assert [*said] == [*page]
    assert [*said["promises"][0]] == [*page["promises"][0]]
    assert page["promises"][0] in said["promises"]


def test_a_storage_that_breaks_a_promise_is_told_which_and_how(shelf: dict[str, str]) -> None:
    ran = run(shelf, "adapters", "test", "listless", "--part", "companies", "--seed", "7", "--json")

    said = json.loads(ran.stdout)
    broken = {one["promise"]: one["reason"] for one in said["promises"] if not one["kept"]}
    assert ran.returncode == 1
    assert (said["adapter"], said["contract"], said["seed"], said["broken"]) == ("listless", CONTRACT_VERSION, 7, len(broken))
    assert "assert {" in broken["companies are listed in order whatever they hold"]  # with what was found instead
    assert all(broken.values())
    assert "the same again with --seed 7" in ran.stderr.decode()


@pytest.fixture
def kept(deskstore: Deskstore, data_path: Path) -> Path:
    """The file of a record that somebody keeps."""
    (data_path.parent / "t.json").write_bytes(b'[{"id": 1, "subject": "kept"}]')
    deskstore("import", "t.json", "--company", "acme", "--platform", "freshdesk", "--kind", "tickets")
    return data_path / "acme/freshdesk/tickets/1.json"


def test_files_are_tested_in_a_folder_of_their_own(kept: Path, environment: dict[str, str]) -> None:
    ran = run(environment, "adapters", "test", "file", "--part", "documents")

    assert ran.returncode == 0, ran.stderr
    assert kept.exists()


def test_a_place_with_companies_in_it_is_refused(kept: Path, deskstore: Deskstore) -> None:
    ran = deskstore("adapters", "test", "file")

    assert ran.code == 2
    assert "holds 1 company, and 'file' is only tested where nothing is kept: give it a place of its own" in ran.err
    assert kept.exists()


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["nothing"], "STORAGE_TYPE is 'nothing'; choose one of: file, hybrid, postgresql"),
        (["hybrid"], "it joins two storages: name one of those"),
        (["file", "--part", "nothing"], "the kit has no part 'nothing': choose one of: articles, "),
    ],
)
def test_what_cannot_be_tested_is_told_in_a_line(deskstore: Deskstore, words: list[str], fault: str) -> None:
    ran = deskstore("adapters", "test", *words)

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert fault in ran.err


def test_the_kit_tells_its_version() -> None:
    assert contract.CONTRACT_VERSION == CONTRACT_VERSION
