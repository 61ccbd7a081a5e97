"""
Every promise of a storage, as test functions; import all of them and bring one fixture.

    from collections.abc import AsyncIterator

    import pytest

    from deskstore.domain.ports import Storage
    from deskstore.testing.clock import ManualClock
    from deskstore.testing.contract import *
    from deskstore.testing.contract.replica import *  # if it can be a side of a migration


    @pytest.fixture
    async def storage(clock: ManualClock) -> AsyncIterator[Storage]:
        storage = MyStorage(clock=clock)
        yield storage
        await storage.aclose()

The storage may be new for each test, or shared: every test works in companies of its own. Where it is shared, override `clock` with a
fixture of that scope, and `own_storage` with one that gives a storage which a test may close. The tests are async: set
`asyncio_mode = "auto"`, and both default loop scopes alike.

Time is the clock's: a ManualClock stands still until a test moves it, so that leases run out without waiting, and whatever reads another
clock is found out. Promises with random examples are Hypothesis tests and obey its settings.

A promise may not be skipped. A gap that is known is an `xfail` with its reason, for the function as it was imported.
"""

# ruff: noqa: F403 - the kit is one name for all of its promises
from deskstore.testing.contract.articles import *
from deskstore.testing.contract.claims import *
from deskstore.testing.contract.companies import *
from deskstore.testing.contract.concurrency import *
from deskstore.testing.contract.fixtures import clock, company_id, desk, new_desk, other_desk, own_storage
from deskstore.testing.contract.identifiers import *
from deskstore.testing.contract.isolation import *
from deskstore.testing.contract.pages import *
from deskstore.testing.contract.payloads import *
from deskstore.testing.contract.processing import *
from deskstore.testing.contract.progress import *
from deskstore.testing.contract.streams import *
from deskstore.testing.contract.summaries import *
from deskstore.testing.contract.tickets import *
from deskstore.testing.contract.units import *

# what the modules import for themselves is not for those who import the kit
__all__ = [name for name in dir() if name.startswith("test_")]  # pyright: ignore[reportUnsupportedDunderAll] - no list to keep by hand
__all__ += ["clock", "company_id", "desk", "new_desk", "other_desk", "own_storage"]
