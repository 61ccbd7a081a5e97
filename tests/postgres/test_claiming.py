"""What PostgreSQL writes down when it hands out tickets is what domain.claims.take would have decided of the same tickets."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from operator import attrgetter

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain import claims, times
from deskstore.domain.mirror import Copy, Thing, copy_of
from deskstore.domain.processing import COMPLETED, FAILED, MOST_ATTEMPTS, PENDING, PROCESSING, Claim, Processing, ProcessingStatus
from deskstore.domain.records import Ticket
from deskstore.testing.clock import MORNING, ManualClock
from deskstore.testing.contract.fixtures import PROPERTY, a_new_company
from deskstore.testing.desk import LEASE, Desk
from deskstore.testing.makers import PLATFORM, a_ticket
from tests.servers.databases import Database

Standing = tuple[ProcessingStatus, int, int | None, int]
MORNING_US = times.microseconds(MORNING)
MICROSECOND = timedelta(microseconds=1)
VERSIONS = st.sampled_from([MORNING_US - 1, MORNING_US, MORNING_US + 1]) | st.integers(1, 2 * MORNING_US)
STANDING = st.tuples(
    st.sampled_from([PENDING, PROCESSING, COMPLETED, FAILED]),
    st.sampled_from([0, 1, MOST_ATTEMPTS - 1, MOST_ATTEMPTS]),
    st.none() | st.integers(-3, 1),
    VERSIONS,
)


@pytest.fixture
async def storage(database: Database) -> AsyncIterator[PostgresStorage]:
    """A storage whose clock stands still."""
    opened = PostgresStorage(database.app_url, clock=ManualClock())
    yield opened
    await opened.aclose()


@PROPERTY
@given(standing=st.lists(STANDING, max_size=6), floor=st.just(0) | VERSIONS, n=st.integers(1, 7))
@example(standing=[(FAILED, MOST_ATTEMPTS, 0, 1)], floor=0, n=1)
@example(standing=[(PENDING, 0, -1, 1), (PENDING, 0, -1, 1)], floor=2 * MORNING_US, n=1)
async def test_postgresql_decides_a_claim_as_the_domain_does(
    storage: PostgresStorage, standing: Sequence[Standing], floor: int, n: int
) -> None:
    desk = Desk(storage, a_new_company())
    tickets = [evolve(a_ticket(str(number), text=f"text {number}"), version=1) for number in range(len(standing))]
    kept = [_processing(ticket, *one) for ticket, one in zip(tickets, standing, strict=True)]
    await _put(desk, tickets, kept, floor)

    taken = await desk.claim(n)

    line = sorted((one for one in kept if claims.is_claimable(one, MORNING)), key=attrgetter("claimable_at", "key"))
    digests = {ticket.key: ticket.fields.text_digest for ticket in tickets}
    wanted = claims.request(PLATFORM, n, "worker 1", LEASE)
    decided = claims.take([(one, digests[one.key]) for one in line[:n]], wanted, floor=floor, now=MORNING)
    assert _without_tokens(taken) == _without_tokens(decided)
    assert [await desk.processing(one.key) for one in taken] == list(taken)


def _processing(ticket: Ticket, status: ProcessingStatus, attempts: int, wait_us: int | None, version: int) -> Processing:
    claimable_at = None if wait_us is None else MORNING + wait_us * MICROSECOND
    earlier = Claim(worker="worker 0", token="t", lease_until=MORNING - LEASE, text_digest=b"old")  # noqa: S106 - of a claim
    error = "no answer" if status == FAILED else None
    return Processing(
        key=ticket.key,
        status=status,
        attempts=attempts,
        error=error,
        claim=earlier if status == PROCESSING else None,
        claimable_at=claimable_at,
        changed_at=MORNING - LEASE,
        version=version,
    )


async def _put(desk: Desk, tickets: Sequence[Ticket], kept: Sequence[Processing], floor: int) -> None:
    """Let all this stand, and something have been deleted at a version."""
    copies = [*map(copy_of, tickets), *map(copy_of, kept)]
    gone = [Copy(Thing("ticket", *a_ticket("gone").key), floor, None)] if floor else []
    await desk.replica().apply([*copies, *gone], epoch=None)


def _without_tokens(taken: Iterable[Processing]) -> list[Processing]:
    """The same but for what is random; each has its own."""
    found = list(taken)
    assert len({one.claim.token for one in found if one.claim}) == len(found)
    return [evolve(one, claim=evolve(one.claim, token="")) for one in found if one.claim]
