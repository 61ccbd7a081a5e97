"""What a commit decides, given what stands under its keys."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from deskstore.domain import times
from deskstore.domain.changes import AddSummary, Changes, DeleteRecord, SaveCheckpoint, SaveProcessing, SaveRecord
from deskstore.domain.commits import Decision, Standing, decide, decide_in_parts, next_version
from deskstore.domain.errors import ArticleNotFound, ClaimLost, TicketNotFound, VersionConflict
from deskstore.domain.identifiers import Key
from deskstore.domain.mirror import Thing
from deskstore.domain.processing import COMPLETED, PENDING, PROCESSING, Claim, Processing, fresh
from deskstore.domain.records import Article, Ticket
from deskstore.testing.clock import MORNING
from deskstore.testing.makers import a_checkpoint, a_summary, a_ticket, an_article, digest

NOW_US = times.microseconds(MORNING)
TICKET = a_ticket(text="old")
KEY = TICKET.key
LEASE = timedelta(seconds=60)
MINE = "t"
RECORDS: tuple[Sequence[Ticket | Article], ...] = (
    [a_ticket(str(number)) for number in range(9)],
    [an_article(locale=locale) for locale in ("", "fr", "ko")],
)


def decided(changes: Changes, standing: Mapping[Key, Standing] | None = None, *, floor: int = 0) -> Decision:
    return decide(changes, standing or {}, checkpoints={("zendesk", "tickets"): 5}, floor=floor, now=MORNING)


def claimed() -> Processing:
    claim = Claim(worker="w", token=MINE, lease_until=MORNING + LEASE, text_digest=digest("old"))
    return evolve(fresh(KEY, now=MORNING, version=3), attempts=0).claimed(claim, now=MORNING)


def standing(processing: Processing | None = None, *, version: int = 7, text: str = "old") -> dict[Key, Standing]:
    there = processing or fresh(KEY, now=MORNING, version=3)
    return {KEY: Standing(version=version, text_digest=digest(text), processing=there)}


@given(st.integers(0, 2 * NOW_US), st.integers(0, 2 * NOW_US), st.integers(-(10**15), 10**15))
def test_the_next_version_is_above_the_previous_one_whatever_the_clock_says(previous: int, floor: int, seconds_us: int) -> None:
    version = next_version(previous, floor, MORNING + timedelta(microseconds=seconds_us))

    assert version > (previous or floor)
    assert version >= NOW_US + seconds_us


def test_a_new_ticket_is_pending_from_when_it_was_received() -> None:
    made = decided(Changes(records=(SaveRecord(TICKET),)))

    processing = made.committed.processing[KEY]
    assert (processing.status, processing.claimable_at, processing.version) == (PENDING, TICKET.saved_at, NOW_US)
    assert made.committed.versions == {KEY: NOW_US}


@pytest.mark.parametrize("size_bytes", [1, 10**6])
@pytest.mark.parametrize("records", RECORDS, ids=("tickets", "articles"))
def test_records_decided_in_parts_are_what_they_are_together(records: Sequence[Ticket | Article], size_bytes: int) -> None:
    changes = Changes(records=tuple(SaveRecord(record) for record in records))

    parts = list(decide_in_parts(changes, {}, size_bytes=size_bytes, checkpoints={}, floor=0, now=MORNING))

    whole = decided(changes)
    assert [copy for part in parts for copy in part.copies] == list(whole.copies)
    assert {key: version for part in parts for key, version in part.committed.versions.items()} == whole.committed.versions
    assert len(parts) == (len(records) if size_bytes == 1 else 1)


def test_conflicts_of_all_parts_are_told_before_the_first_is_decided() -> None:
    changes = Changes(records=tuple(SaveRecord(a_ticket(str(number))) for number in range(3)))
    there = {key: Standing(version=7) for key in changes.keys[::2]}

    with pytest.raises(VersionConflict) as raised:
        decide_in_parts(changes, there, size_bytes=1, checkpoints={}, floor=0, now=MORNING)

    assert raised.value.keys == changes.keys[::2]


@pytest.mark.parametrize(
    "changes",
    [
        Changes(records=(SaveRecord(an_article()), SaveRecord(TICKET))),
        Changes(records=(SaveRecord(TICKET), SaveRecord(a_ticket("43"))), summaries=(AddSummary(a_summary(KEY)),)),
    ],
    ids=("both kinds", "a summary"),
)
def test_a_unit_of_more_than_records_of_one_kind_is_one_part(changes: Changes) -> None:
    assert changes.parts(1) == [changes]


def test_an_article_has_no_processing() -> None:
    made = decided(Changes(records=(SaveRecord(an_article()),)))

    assert [copy.thing.part for copy in made.copies] == ["article"]
    assert made.committed.processing == {}


def test_a_re_created_record_is_newer_than_all_that_was_ever_deleted() -> None:
    made = decided(Changes(records=(SaveRecord(TICKET),)), floor=NOW_US + 50)

    assert {copy.version for copy in made.copies} == {NOW_US + 51}


def test_a_deletion_is_newer_than_everything_it_takes_along() -> None:
    there = Standing(version=7, processing=fresh(KEY, now=MORNING, version=NOW_US + 5), last_summary=2, summary_version=NOW_US + 9)

    made = decided(Changes(deletes=(DeleteRecord(KEY, 7),)), {KEY: there})

    gone = {Thing("ticket", *KEY), Thing("processing", *KEY), Thing("summary", *KEY, 1), Thing("summary", *KEY, 2)}
    assert {copy.thing for copy in made.copies} == gone
    assert {copy.version for copy in made.copies} == {NOW_US + 10}
    assert all(copy.value is None for copy in made.copies)


def test_a_conflict_names_all_records_that_were_saved_since_once_and_in_order() -> None:
    others = [a_ticket(str(number)) for number in (3, 1, 2)]
    there = {other.key: Standing(version=9) for other in others} | standing()
    changes = Changes(
        records=tuple(SaveRecord(other) for other in others),
        deletes=(DeleteRecord(KEY, 6),),
        processing=(SaveProcessing(fresh(KEY, now=MORNING, version=2)),),
    )

    with pytest.raises(VersionConflict) as conflict:
        decided(changes, there)

    assert conflict.value.keys == tuple(sorted([KEY, *(other.key for other in others)]))


def test_a_summary_and_a_first_processing_need_their_record() -> None:
    with pytest.raises(TicketNotFound):
        decided(Changes(summaries=(AddSummary(a_summary(KEY)),)))
    with pytest.raises(ArticleNotFound):
        decided(Changes(summaries=(AddSummary(a_summary(an_article().key)),)))
    with pytest.raises(TicketNotFound):
        decided(Changes(processing=(SaveProcessing(fresh(KEY, now=MORNING)),)))


def test_a_record_of_the_same_unit_is_record_enough() -> None:
    unit = Changes(records=(SaveRecord(TICKET),), summaries=(AddSummary(a_summary(KEY)), AddSummary(a_summary(KEY))))

    made = decided(unit)

    assert [summary.number for summary in made.committed.summaries] == [1, 2]


def test_while_a_claim_lives_only_its_token_may_save() -> None:
    done = claimed().completed(now=MORNING)

    for token in (None, "another"):
        with pytest.raises(ClaimLost) as lost:
            decided(Changes(processing=(SaveProcessing(done, token),)), standing(claimed()))
        assert lost.value.keys == (KEY,)
    assert decided(Changes(processing=(SaveProcessing(done, MINE),)), standing(claimed())).committed.processing[KEY].status == "completed"


def test_a_token_guards_alone_so_that_renewals_do_not_conflict() -> None:
    renewed_meanwhile = evolve(claimed(), version=99)

    made = decided(Changes(processing=(SaveProcessing(claimed().completed(now=MORNING), MINE),)), standing(renewed_meanwhile))

    assert made.committed.processing[KEY].status == "completed"


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_settling_a_claim_whose_text_changed_makes_the_ticket_pending_again(status: str) -> None:
    settled = claimed().completed(now=MORNING) if status == "completed" else claimed().failed("x", now=MORNING, retry_at=None)

    made = decided(Changes(processing=(SaveProcessing(settled, MINE),)), standing(claimed(), text="new"))

    kept = made.committed.processing[KEY]
    assert (kept.status, kept.attempts, kept.claim) == (PENDING, 0, None)


def test_the_text_may_change_in_the_same_unit_as_the_completion() -> None:
    saved = evolve(a_ticket(text="new"), version=7)

    made = decided(
        Changes(records=(SaveRecord(saved),), processing=(SaveProcessing(claimed().completed(now=MORNING), MINE),)), standing(claimed())
    )

    assert made.committed.processing[KEY].status == PENDING


def test_new_text_leaves_a_living_claim_alone_and_resets_all_else() -> None:
    saved = SaveRecord(evolve(a_ticket(text="new"), version=7))
    done = evolve(fresh(KEY, now=MORNING, version=3), status=COMPLETED, claimable_at=None, attempts=4)
    expired = evolve(claimed(), claimable_at=MORNING)

    assert KEY not in decided(Changes(records=(saved,)), standing(claimed())).committed.processing
    for there in (done, expired):
        kept = decided(Changes(records=(saved,)), standing(there)).committed.processing[KEY]
        assert (kept.status, kept.attempts, kept.claim) == (PENDING, 0, None)


def test_a_renewal_touches_the_lease_only() -> None:
    asked = claimed().renewed(MORNING + 2 * LEASE)
    tampered = evolve(asked, attempts=0, error="forged")

    kept = decided(Changes(processing=(SaveProcessing(tampered, MINE),)), standing(claimed())).committed.processing[KEY]

    assert kept.claim is not None
    assert (kept.claim.lease_until, kept.attempts, kept.error, kept.status) == (MORNING + 2 * LEASE, 1, None, PROCESSING)


def test_a_checkpoint_goes_on_from_its_own_version() -> None:
    made = decided(Changes(checkpoints=(SaveCheckpoint(a_checkpoint()),)))

    assert [copy.version for copy in made.copies] == [NOW_US]
    assert made.copies[0].thing == Thing("checkpoint", "", "zendesk", "tickets")


def test_changes_name_each_record_once() -> None:
    changes = Changes(records=(SaveRecord(TICKET),), summaries=(AddSummary(a_summary(KEY)),), processing=(SaveProcessing(claimed()),))

    assert changes.keys == (KEY,)
    assert changes
    assert not Changes()
