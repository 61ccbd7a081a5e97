"""Which status may follow which, and what a claim does to it."""

from datetime import timedelta
from itertools import product

import pytest
from attrs import evolve

from deskstore.domain import claims
from deskstore.domain.errors import InvalidIdentifier, InvalidRecord, InvalidTransition
from deskstore.domain.processing import (
    COMPLETED,
    FAILED,
    MOST_ATTEMPTS,
    PENDING,
    PROCESSING,
    Claim,
    Processing,
    ProcessingStatus,
    Progress,
    fresh,
)
from deskstore.testing.clock import MORNING
from deskstore.testing.makers import a_ticket, digest

LATER = MORNING + timedelta(minutes=1)
PENDING_ONE = fresh(a_ticket().key, now=MORNING)
LEASE = timedelta(seconds=60)
MINE = "t"
LAWFUL = {
    (PENDING, PROCESSING),
    (PENDING, COMPLETED),
    (PENDING, FAILED),
    (PROCESSING, COMPLETED),
    (PROCESSING, FAILED),
    (PROCESSING, PENDING),
    (FAILED, PENDING),
    (FAILED, PROCESSING),
    (COMPLETED, PENDING),
}


def claimed() -> Processing:
    claim = Claim(worker="w", token=MINE, lease_until=MORNING + LEASE, text_digest=digest(""))
    return PENDING_ONE.claimed(claim, now=MORNING)


@pytest.mark.parametrize(("present", "wanted"), list(product(ProcessingStatus, ProcessingStatus)))
def test_every_step_between_two_statuses_is_lawful_changes_nothing_or_is_refused(
    present: ProcessingStatus, wanted: ProcessingStatus
) -> None:
    processing = evolve(PENDING_ONE, status=present, error="why")

    if (present, wanted) in LAWFUL:
        moved = processing.to(wanted, now=LATER)
        assert (moved.status, moved.error, moved.claim, moved.changed_at) == (wanted, None, None, LATER)
    elif present == wanted:
        assert processing.to(wanted, now=LATER) is processing
    else:
        with pytest.raises(InvalidTransition) as refused:
            processing.to(wanted, now=LATER)
        assert (refused.value.present, refused.value.wanted) == (present, wanted)
        assert set(refused.value.allowed) == {after for before, after in LAWFUL if before == present}


@pytest.mark.parametrize(
    ("settled", "again_at"),
    [
        (claimed().completed(now=LATER), None),
        (claimed().failed("x", now=LATER, retry_at=None), None),
        (claimed().failed("x", now=LATER, retry_at=LATER + LEASE), LATER + LEASE),
        (claimed().released(now=LATER), LATER),
        (PENDING_ONE.to(PROCESSING, now=LATER), LATER + timedelta(minutes=15, seconds=5)),
    ],
)
def test_a_settled_ticket_has_no_claim_and_may_be_taken_again_when_it_says(settled: Processing, again_at: object) -> None:
    assert settled.claim is None
    assert settled.claimable_at == again_at


def test_a_claim_lives_for_its_lease_and_five_seconds_for_skew() -> None:
    end = MORNING + LEASE + timedelta(seconds=5)

    assert claimed().is_claimed(end - timedelta(microseconds=1))
    assert not claimed().is_claimed(end)
    assert claims.is_claimable(claimed(), end)
    assert not claims.is_claimable(claimed(), end - timedelta(microseconds=1))


def test_taking_a_ticket_counts_as_an_attempt_and_forgets_the_last_error() -> None:
    failed = evolve(PENDING_ONE, status=FAILED, error="no answer", attempts=2)

    taken = failed.claimed(Claim(worker="w", token=MINE, lease_until=LATER, text_digest=digest("")), now=MORNING)

    assert (taken.status, taken.attempts, taken.error) == (PROCESSING, 3, None)


def test_a_ticket_that_was_taken_as_often_as_can_be_counted_is_still_handed_out() -> None:
    worn = evolve(PENDING_ONE, attempts=MOST_ATTEMPTS)

    taken = worn.claimed(Claim(worker="w", token=MINE, lease_until=LATER, text_digest=digest("")), now=MORNING)

    assert taken.attempts == MOST_ATTEMPTS
    taken.check()


def test_renewing_moves_the_end_of_the_lease_and_nothing_else() -> None:
    renewed = claimed().renewed(LATER + LEASE)

    assert renewed.claim is not None
    assert renewed.claim.lease_until == LATER + LEASE
    assert (renewed.claim.token, renewed.attempts, renewed.changed_at) == (MINE, 1, MORNING)


def test_the_error_of_a_failed_ticket_is_cleaned_and_cut() -> None:
    failed = claimed().failed("a\x00\ud800" + "x" * 3_000, now=LATER, retry_at=None)

    assert failed.error == "a\ufffd\ufffd" + "x" * 1_997


@pytest.mark.parametrize("n", [0, -1, 1_001])
def test_a_worker_may_ask_for_one_to_a_thousand_tickets(n: int) -> None:
    with pytest.raises(InvalidRecord, match="claim 1 to 1,000"):
        claims.request("zendesk", n, "w", LEASE)
    assert claims.request("zendesk", 1_000, "w", LEASE).n == 1_000


@pytest.mark.parametrize("lease", [timedelta(0), timedelta(seconds=-1), timedelta(minutes=15, microseconds=1)])
def test_a_lease_is_longer_than_nothing_and_at_most_fifteen_minutes(lease: timedelta) -> None:
    with pytest.raises(InvalidRecord, match="at most 0:15:00"):
        claims.request("zendesk", 1, "w", lease)
    assert claims.request("zendesk", 1, "w", timedelta(minutes=15)).lease == timedelta(minutes=15)


@pytest.mark.parametrize(("platform", "worker"), [("", "w"), ("zendesk", "")])
def test_a_claim_names_its_platform_and_its_worker(platform: str, worker: str) -> None:
    with pytest.raises(InvalidIdentifier):
        claims.request(platform, 1, worker, LEASE)


def test_each_taken_ticket_has_a_token_of_its_own() -> None:
    wanted = claims.request("zendesk", 10, "w", LEASE)

    taken = claims.take([(PENDING_ONE, digest("a"))] * 50, wanted, floor=0, now=MORNING)

    assert len({one.claim.token for one in taken if one.claim}) == 50


def test_progress_without_tickets_is_nought_per_cent() -> None:
    assert Progress(platform="zendesk").percentage == 0.0
    assert Progress(platform="zendesk", pending=1, completed=3).percentage == 75.0
