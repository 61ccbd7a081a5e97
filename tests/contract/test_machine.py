"""Any steps in several companies leave a storage as a plain model says."""

from itertools import count
from pathlib import Path

import pytest

from deskstore.adapters.file import FileStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.errors import StorageError
from deskstore.testing.machine import take_any_steps
from tests.contract.saboteurs import in_companies, in_processing, in_records, in_suppression
from tests.contract.saboteurs.base import Saboteur


def test_any_steps_in_memory_leave_what_the_rules_say() -> None:
    take_any_steps(MemoryStorage)


def test_any_steps_on_files_leave_what_the_rules_say(tmp_path: Path) -> None:
    numbers = count()

    take_any_steps(lambda clock: FileStorage(tmp_path / str(next(numbers)), clock=clock))


def test_any_steps_in_postgresql_leave_what_the_rules_say(postgres_url: str) -> None:
    take_any_steps(lambda clock: PostgresStorage(postgres_url, clock=clock))


@pytest.mark.parametrize(
    "saboteur",
    [
        in_companies.ErasesNeighbours,
        in_processing.HandsOutByKey,
        in_processing.NeverResets,
        in_records.IgnoresVersionsOfTickets,
        in_records.VersionsRestartAfterADelete,
        in_suppression.LetsTheErasedIn,
    ],
)
def test_any_steps_find_a_saboteur(saboteur: type[Saboteur]) -> None:
    with pytest.raises((AssertionError, KeyError, StorageError, pytest.fail.Exception)):
        take_any_steps(saboteur, few=True)
