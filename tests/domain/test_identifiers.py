"""Names are checked by one rule, and ids of payloads become one text."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskstore.domain import claims, identifiers
from deskstore.domain.errors import CompanyRequired, InvalidIdentifier, InvalidRecord
from deskstore.domain.identifiers import ARTICLE, TICKET, Key, article_key, checked_key, record_id, ticket_key
from deskstore.domain.paging import checked_limit
from deskstore.testing import strategies


@pytest.mark.parametrize("missing", [None, ""])
def test_a_missing_company_is_an_error_of_its_own(missing: str | None) -> None:
    with pytest.raises(CompanyRequired, match="no company was named"):
        identifiers.company_id(missing)


@given(strategies.company_ids(), strategies.platforms(), strategies.record_ids(), strategies.locales())
def test_hostile_names_that_the_rules_allow_stay_exactly_as_they_are(company_id: str, platform: str, record: str, locale: str) -> None:
    assert identifiers.company_id(company_id) == company_id
    assert checked_key(Key(ARTICLE, platform, record, locale)) == (ARTICLE, platform, record, locale)
    assert ticket_key(platform, record) == (TICKET, platform, record, "")


@given(strategies.bad_identifiers())
def test_a_bad_name_is_refused_wherever_a_name_is_asked_for(bad: str) -> None:
    for check in (identifiers.company_id, identifiers.platform):
        with pytest.raises(InvalidIdentifier):
            check(bad)


@given(strategies.bad_identifiers(identifiers.RECORD_ID_LENGTH))
def test_a_bad_id_makes_no_key(bad: str) -> None:
    for make in (lambda: ticket_key("zendesk", bad), lambda: article_key("zendesk", bad), lambda: identifiers.stream(bad)):
        with pytest.raises(InvalidIdentifier):
            make()


@pytest.mark.parametrize(
    ("check", "longest"), [(identifiers.company_id, 100), (identifiers.platform, 50), (identifiers.worker, 255), (identifiers.locale, 35)]
)
def test_a_name_may_be_so_long_and_no_longer(check: Any, longest: int) -> None:  # Any: functions of several signatures
    assert check("🙂" * longest) == "🙂" * longest
    with pytest.raises(InvalidIdentifier, match=f"at most {longest}"):
        check("x" * (longest + 1))


def test_a_locale_may_be_empty() -> None:
    assert article_key("zendesk", "1", "").locale == ""


@pytest.mark.parametrize("value", [7, 7.0, "7"])
def test_whole_numbers_and_their_text_are_one_id(value: object) -> None:
    assert record_id(value, "id") == "7"


@pytest.mark.parametrize(
    ("value", "text"), [(10**40, "1" + "0" * 40), (-3, "-3"), (-0.0, "0"), (2.0**53, "9007199254740992"), ("007", "007")]
)
def test_ids_keep_every_digit(value: object, text: str) -> None:
    assert record_id(value, "id") == text


@pytest.mark.parametrize("value", [10**255, -(10**255), 10**5_000, -(10**5_000)], ids=["long", "negative", "huge", "hugely negative"])
def test_a_number_too_long_for_an_id_is_refused_without_its_digits(value: int) -> None:
    with pytest.raises(InvalidRecord, match="id is a number of more than 70 digits"):
        record_id(value, "id")
    with pytest.raises(InvalidRecord, match="limit is a number of more"):
        checked_limit(value)
    with pytest.raises(InvalidRecord, match="n is a number of more"):
        claims.request("zendesk", value, "worker", timedelta(minutes=1))


@pytest.mark.parametrize("value", [None, True, False, 7.5, float("nan"), float("inf"), [], {}, b"7", 10**255])
def test_what_is_no_id_is_refused_with_the_name_of_its_field(value: object) -> None:
    with pytest.raises(InvalidRecord, match=r"ticket\.id"):
        record_id(value, "ticket.id")


@given(st.lists(strategies.article_keys() | strategies.ticket_keys(), max_size=8))
def test_keys_sort_by_code_points(keys: list[Key]) -> None:
    def code_points(key: Key) -> list[list[int]]:
        return [[ord(character) for character in part] for part in key]

    assert [code_points(key) for key in sorted(keys)] == sorted(code_points(key) for key in keys)


@pytest.mark.parametrize("key", [Key(TICKET, "zendesk", "1", "ko"), Key(TICKET, "zendesk", "1", " "), Key("tickets", "zendesk", "1")])  # type: ignore[arg-type]  # the fault under test
def test_a_key_is_of_a_ticket_without_locale_or_of_an_article(key: Key) -> None:
    with pytest.raises(InvalidIdentifier, match="is not a key"):
        checked_key(key)
