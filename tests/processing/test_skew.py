"""Two workers whose clocks differ by less than five seconds never hold one ticket at the same time, whichever of the clocks is ahead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from deskstore.adapters.file import FileStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.errors import ClaimLost
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import LEASE, Desk, token_of
from deskstore.testing.makers import a_ticket

SKEWS = [timedelta(microseconds=us) for us in (-4_999_999, -1, 0, 1, 4_999_999)]
TICK = timedelta(microseconds=1)


@pytest.fixture(params=["file", "postgresql"])
async def both(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str, skew: timedelta
) -> AsyncIterator[tuple[Desk, Desk, ManualClock]]:
    """A company as two processes see it, the second one's clock ahead by the skew; and the first one's clock."""
    clock = ManualClock()
    if request.param == "file":
        sides: list[FileStorage | PostgresStorage] = [FileStorage(tmp_path, clock=now) for now in (clock, lambda: clock() + skew)]
    else:
        sides = [PostgresStorage(postgres_url, clock=now) for now in (clock, lambda: clock() + skew)]
    company_id = a_new_company()
    yield Desk(sides[0], company_id), Desk(sides[1], company_id), clock
    for side in sides:
        await side.aclose()


@pytest.mark.parametrize("skew", SKEWS, ids=str)
async def test_nobody_is_given_a_ticket_before_the_lease_is_over_by_its_holders_clock(
    both: tuple[Desk, Desk, ManualClock], skew: timedelta
) -> None:
    first, second, clock = both
    await first.keep(a_ticket())
    held, _ = await first.claimed(worker="1")

    clock.move(LEASE - TICK)
    while_it_holds = await second.claim(worker="2")
    clock.move(TICK + timedelta(seconds=5) - skew)
    (taken,) = await second.claim(worker="2")

    assert while_it_holds == []
    assert held.claim is not None
    assert clock() > held.claim.lease_until
    with pytest.raises(ClaimLost):
        await first.settle(held.completed(now=clock()), token_of(held))
    assert await second.processing(held.key) == taken


@pytest.mark.parametrize("skew", SKEWS, ids=str)
async def test_a_lease_that_is_renewed_in_time_is_never_given_to_another(both: tuple[Desk, Desk, ManualClock], skew: timedelta) -> None:
    first, second, clock = both
    await first.keep(a_ticket())
    held, token = await first.claimed(worker="1")

    for _ in range(5):
        clock.move(LEASE - TICK)
        assert await second.claim(worker="2") == [], f"given away under a skew of {skew}"
        held = await first.settle(held.renewed(clock() + LEASE), token)

    assert token_of(held) == token
