"""Things have names, copies have versions, and equal content has equal digests."""

import json

import pytest
from attrs import evolve
from hypothesis import given

from deskstore.domain.errors import CompanyErased, ConfigurationError
from deskstore.domain.mirror import MIRROR, PARTS, CompanyState, Copy, MirrorStatus, Thing, Value, copy_of, digest_of, newer, thing_of
from deskstore.domain.processing import Checkpoint, fresh
from deskstore.domain.records import Ticket
from deskstore.domain.things import check_epoch, plain_state, state_from
from deskstore.testing import strategies
from deskstore.testing.clock import MORNING
from deskstore.testing.makers import a_checkpoint, a_summary, a_ticket, an_article, fields

TICKET = a_ticket()
EACH: list[Value] = [TICKET, an_article(locale="ko"), fresh(TICKET.key, now=MORNING), a_summary(TICKET.key), a_checkpoint()]


@pytest.mark.parametrize(("value", "part"), list(zip(EACH, PARTS, strict=True)))
def test_each_kind_of_value_has_a_name_of_its_own_part(value: Value, part: str) -> None:
    assert thing_of(value).part == part
    assert len({thing_of(other) for other in EACH}) == len(EACH)


def test_a_name_leads_back_to_its_record() -> None:
    for value in EACH:
        if not isinstance(value, Checkpoint):
            assert thing_of(value).key == value.key


@given(strategies.tickets())
def test_the_digest_is_of_the_content_and_not_of_the_version(ticket: Ticket) -> None:
    digest = digest_of(ticket)

    assert digest_of(evolve(ticket, version=7)).digest == digest.digest
    assert digest_of(evolve(ticket, version=7)).version == 7
    assert digest_of(evolve(ticket, sha256=bytes(32))).digest != digest.digest
    assert digest_of(evolve(ticket, ticket_id=ticket.ticket_id[:-1] + "!?")).digest != digest.digest


def test_every_field_of_a_record_counts_in_its_digest() -> None:
    ticket = a_ticket(read=fields(status="open"))

    others = [
        evolve(ticket, fields=fields(status="closed")),
        evolve(ticket, fields=fields(created_at=None)),
        evolve(ticket, platform="jira"),
    ]

    assert len({digest_of(one).digest for one in [ticket, *others]}) == 4


def test_the_digest_of_a_known_value_never_changes() -> None:
    summary = a_summary(a_ticket().key)

    assert digest_of(summary).digest.hex() == "09ac0882a67cfe32ebad8832028d1ef65c617ad86afb68fc2a288802e573e6ee"


def test_only_newer_copies_are_taken_deletions_too() -> None:
    things = [Thing("ticket", "ticket", "zendesk", str(number)) for number in range(4)]
    copies = [Copy(thing, 5, None) for thing in things]

    assert newer(copies, {things[0]: 4, things[1]: 5, things[2]: 6}) == [copies[0], copies[3]]


def test_a_copy_stands_at_the_version_of_its_value() -> None:
    assert copy_of(evolve(TICKET, version=9)) == Copy(thing_of(TICKET), 9, evolve(TICKET, version=9))


def test_a_primary_owes_to_its_mirror_and_to_backups_under_way() -> None:
    assert CompanyState(primary="a", mirror="b").owed_by("a") == (MIRROR,)
    assert CompanyState(primary="a", mirror="b", backups=("z", "a")).owed_by("a") == ("a", MIRROR, "z")
    assert CompanyState(primary="a", mirror="b", backups=("z",)).owed_by("b") == ()
    assert CompanyState(primary="a").owed_by("a") == ()


def test_a_state_comes_back_from_its_fields_with_what_an_earlier_release_did_not_know() -> None:
    state = CompanyState(primary="a", mirror="b", mirror_status=MirrorStatus.FILLING, epoch=7, swapping_to="b", backups=("z", "y"))
    plain = json.loads(json.dumps(plain_state(state)))
    del plain["backups"]

    assert state_from(json.loads(json.dumps(plain_state(state))), "here") == state
    assert state_from(plain, "here") == evolve(state, backups=())


@pytest.mark.parametrize("change", [{"witness": "c"}, {"mirror_status": "asleep"}])
def test_a_state_in_words_of_a_newer_release_is_refused_and_names_them(change: dict[str, str]) -> None:
    plain = plain_state(CompanyState(primary="a")) | change

    with pytest.raises(ConfigurationError, match=r"the database says.*newer release \((witness|mirror_status asleep)\)"):
        state_from(plain, "the database")


@pytest.mark.parametrize(
    "change",
    [{"erased": "no"}, {"erased": 1}, {"epoch": "2"}, {"epoch": 2.5}, {"epoch": True}, {"primary": None}, {"mirror": 7}, {"backups": "ab"}],
)
def test_a_state_of_other_types_was_never_written(change: dict[str, object]) -> None:
    plain = plain_state(CompanyState(primary="a")) | change

    with pytest.raises(TypeError, match=f"company.json holds a state whose {next(iter(change))}"):
        state_from(plain, "company.json")


@pytest.mark.parametrize("expected", [None, 5])
def test_a_company_that_is_being_erased_is_in_no_epoch(expected: int | None) -> None:
    with pytest.raises(CompanyErased):
        check_epoch("acme", CompanyState(primary="a", epoch=5, erased=True), expected)


def test_a_company_that_is_not_there_is_in_no_epoch_that_anybody_read() -> None:
    with pytest.raises(CompanyErased) as gone:
        check_epoch("acme", None, 5)

    check_epoch("acme", None, None)
    assert gone.value.company_id == "acme"
