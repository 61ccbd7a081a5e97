"""What the tests of two sides share."""

from __future__ import annotations

from typing import cast

import pytest


@pytest.fixture(params=["file", "postgresql"])
def far_url(request: pytest.FixtureRequest) -> str:
    """Where the second side is: a database, or, when it is empty, another tree of files."""
    # not asked for in an async fixture, in which pytest-asyncio cannot set another one up
    return "" if request.param == "file" else cast(str, request.getfixturevalue("shared_postgres_url"))
