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

from deskstore.testing.contract import (
    articles,
    before_commit,
    claims,
    companies,
    concurrency,
    documents,
    identifiers,
    isolation,
    pages,
    payloads,
    processing,
    progress,
    streams,
    summaries,
    tickets,
    units,
)
from deskstore.testing.contract.fixtures import clock, company_id, desk, new_desk, other_desk, own_storage

_SUBJECTS = (
    *(articles, before_commit, claims, companies, concurrency, documents, identifiers, isolation, pages),
    *(payloads, processing, progress, streams, summaries, tickets, units),
)
_PROMISES = {name: value for subject in _SUBJECTS for name, value in vars(subject).items() if name.startswith("test_")}

globals().update(_PROMISES)

_FIXTURES = {
    "clock": clock,
    "company_id": company_id,
    "desk": desk,
    "new_desk": new_desk,
    "other_desk": other_desk,
    "own_storage": own_storage,
}
__all__ = [name for names in (_FIXTURES, _PROMISES) for name in names]  # pyright: ignore[reportUnsupportedDunderAll] - one kept by hand would miss one
