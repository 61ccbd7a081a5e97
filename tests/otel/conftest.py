"""What the tests of observed storages share."""

import pytest

from deskstore.testing.contract.fixtures import a_new_company
from tests.otel.seeing import Seen


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def company_id() -> str:
    return a_new_company()
