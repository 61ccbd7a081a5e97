"""Things have names, copies have versions, and equal content has equal digests."""

import json
from hashlib import sha256

import pytest
from attrs import evolve
from hypothesis import given

from deskstore.domain.errors import CompanyErased, ConfigurationError
from deskstore.domain.mirror import MIRROR, PARTS, CompanyState, Copy, MirrorStatus, Thing, Value, applicable, copy_of, digest_of, thing_of
from deskstore.domain.processing import Processing, fresh
from deskstore.domain.records import Article, SourceVersion, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.things import check_epoch, check_succession, plain_state, state_from
from deskstore.testing import strategies
from deskstore.testing.clock import MORNING
from deskstore.testing.makers import a_checkpoint, a_summary, a_suppression, a_ticket, an_article, digest, fields

TICKET = a_ticket()
PARTS_OF_RECORDS: list[Value] = [TICKET, an_article(locale="ko"), fresh(TICKET.key, now=MORNING), a_summary(TICKET.key)]
EACH: list[Value] = [*PARTS_OF_RECORDS, a_checkpoint(), a_suppression()]


@pytest.mark.parametrize(("value", "part"), list(zip(EACH, PARTS, strict=True)))
def test_each_kind_of_value_has_a_name_of_its_own_part(value: Value, part: str) -> None:
    assert thing_of(value).part == part
    assert len({thing_of(other) for other in EACH}) == len(EACH)


def test_a_name_leads_back_to_its_record() -> None:
    for value in PARTS_OF_RECORDS:
        assert isinstance(value, Ticket | Article | Processing | Summary)
        assert thing_of(value).key == value.key
        assert thing_of(value).is_of_record
    assert not any(thing_of(value).is_of_record for value in EACH[len(PARTS_OF_RECORDS) :])


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


def test_a_digest_can_be_computed_from_the_fields_by_whoever_knows_their_order() -> None:
    read = evolve(fields("Zürich", status=None, source_version=SourceVersion("updated_at", -7)), updated_at=None)
    ticket = a_ticket("안녕", read=read, payload=b"{}")
    summary = evolve(a_summary(ticket.key, "Zürich"), number=3, cost=-0.1, prompt_id=None, pinned=True)

    of_ticket = [
        "ticket",
        "ticket",
        "zendesk",
        "안녕",
        "",
        "0",
        _hex(b"{}"),
        "Zürich",
        None,
        "high",
        "kim@example.com",
        "1769947200000000",
        None,
    ]
    of_ticket += ["updated_at", "-7", _hex(digest("Zürich")), "1772442000000000"]
    of_summary = [
        "summary",
        "ticket",
        "zendesk",
        "안녕",
        "",
        "3",
        _hex(b'{"short": "broken"}'),
        "a-model",
        None,
        _hex(b'{"temperature": 0}'),
    ]
    of_summary += ["321", "bfb999999999999a", _hex(digest("Zürich")), "true", "1772442000000000"]

    assert digest_of(ticket).digest == _joined(of_ticket)
    assert digest_of(summary).digest == _joined(of_summary)


def _hex(content: bytes) -> str:
    return sha256(content).hexdigest()


def _joined(texts: list[str | None]) -> bytes:
    return sha256(b"\0".join(b"\xff" if text is None else text.encode() for text in texts)).digest()


def test_the_digests_of_known_values_never_change() -> None:
    ticket = a_ticket()

    digests = [digest_of(one).digest.hex() for one in (ticket, a_summary(ticket.key))]

    assert digests == [
        "3e69e2cd6c428403c811e2fcecc6dc3f813c0109e6fc52f7352d2a8c341f0ef6",
        "c98b68cdda6bbc31a8318cb1114ca15ac36a4829e92303be9859181787f381b1",
    ]


def test_nothing_of_a_field_is_taken_for_another_one_or_for_none() -> None:
    texts = [("a", "b"), ("ab", ""), ("", "ab"), ("ab", None), (None, "ab"), ("", None), (None, None), ("\ufffd", None)]
    hashed = [evolve(a_summary(TICKET.key), content=content) for content in (bytes(32), sha256(bytes(32)).digest())]

    read = [evolve(TICKET.fields, subject=subject, status=status) for subject, status in texts]
    digests = [digest_of(evolve(TICKET, fields=one)).digest for one in read]

    assert len(set(digests)) == len(texts)
    assert len({digest_of(one).digest for one in hashed}) == 2


def test_a_payload_may_be_hashed_anew() -> None:
    damaged = evolve(TICKET, sha256=bytes(32))

    assert digest_of(damaged, rehash=True) == digest_of(TICKET) == digest_of(TICKET, rehash=True)
    assert digest_of(damaged) != digest_of(TICKET)


def test_only_newer_copies_are_taken_deletions_too() -> None:
    things = [Thing("ticket", "ticket", "zendesk", str(number)) for number in range(4)]
    copies = [Copy(thing, 5, None) for thing in things]

    assert applicable(copies, {things[0]: 4, things[1]: 5, things[2]: 6}, lambda _: True) == [copies[0], copies[3]]


def test_a_part_is_taken_only_with_a_record_that_stands_or_comes_and_does_not_go() -> None:
    ticket, processing = copy_of(evolve(TICKET, version=3)), copy_of(fresh(TICKET.key, now=MORNING, version=3))
    gone = Copy(ticket.thing, 9, None)

    assert applicable([processing], {}, lambda _: False) == []
    assert applicable([processing], {}, lambda key: key == TICKET.key) == [processing]
    assert applicable([processing, ticket], {}, lambda _: False) == [ticket, processing]
    assert applicable([processing, gone], {}, lambda _: True) == [gone]
    assert applicable([processing, gone], {gone.thing: 9}, lambda _: True) == [processing]


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


def test_nothing_follows_the_state_of_a_company_that_is_being_erased() -> None:
    erased = CompanyState(primary="a", epoch=5, erased=True)

    with pytest.raises(CompanyErased):
        check_succession("acme", erased, CompanyState(primary="a", epoch=6))
