"""What each platform's payloads are read as: key, fields, order of versions, text, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from deskstore.domain.errors import InvalidIdentifier, InvalidRecord
from deskstore.domain.identifiers import Kind
from deskstore.domain.records import Incoming
from deskstore.domain.times import microseconds
from deskstore.formats.json import dump
from deskstore.formats.platforms import PLATFORMS, Options, article, kind_of, platform_of, refusal, standard_labels, ticket
from tests.formats import payloads as made

Builder = Callable[..., dict[str, Any]]  # Any: payloads hold anything


def received(platform: str, payload: dict[str, object], options: Options | None = None) -> Incoming:
    return ticket(platform, dump(payload), options=options or Options())


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("platform", "payload", "expected"),
    [
        ("freshdesk", made.freshdesk_ticket(), ("7", "2", "1", "6012691534", "2024-05-18T04:36:04Z", "2024-05-18T23:42:50Z", "updated_at")),
        (
            "freshdesk",
            made.freshdesk_v1_ticket(),
            ("7", "2", "1", "5004272351", "2014-12-31T12:27:09+10:00", "2015-01-01T10:58:39+10:00", "updated_at"),
        ),
        (
            "zendesk",
            made.zendesk_ticket(),
            ("35436", "solved", None, "377922500012", "2019-06-03T02:23:47Z", "2019-06-05T01:13:24Z", "generated_timestamp"),
        ),
        (
            "zendesk",
            made.zendesk_ticket(generated_timestamp=None, priority="high"),
            ("35436", "solved", "high", "377922500012", "2019-06-03T02:23:47Z", "2019-06-05T01:13:24Z", "updated_at"),
        ),
        (
            "intercom",
            made.intercom_conversation(),
            ("147", "snoozed", "not_priority", "536e564f316c83104c000020", "2014-05-23T13:16:13Z", "2056-10-17T00:00:00Z", "updated_at"),
        ),
        (
            "intercom",
            made.intercom_ticket(),
            ("493", "in_progress", None, "6657adf86abd0164c24419fb", "2024-05-29T22:19:37Z", "2024-05-29T22:19:38Z", "updated_at"),
        ),
        (
            "jira",
            made.jira_issue(),
            ("12338", "진행 중", "Major", "5b10a2844c20165700ede21g", "2015-12-02T15:39:15Z", "2021-03-11T14:14:18.085Z", "fields.updated"),
        ),
        ("jira", made.jsm_request(), ("107001", "Waiting for Support", None, "qm:a713c8ea", "2015-10-08T07:42:00Z", None, None)),
        (
            "my helpdesk",
            made.generic_ticket(),
            ("T-1", "open", "high", "kim@example.com", "2024-01-15T10:30:00Z", "2024-01-16T10:45:00.5Z", "updated_at"),
        ),
    ],
    ids=["freshdesk", "freshdesk-v1", "zendesk", "zendesk-list", "intercom", "intercom-ticket", "jira", "jsm", "generic"],
)
def test_a_ticket_is_read_by_its_platforms_table(platform: str, payload: dict[str, object], expected: tuple[str | None, ...]) -> None:
    ticket_id, status, priority, requester, created, updated, version = expected

    incoming = received(platform, payload)

    taken = incoming.fields
    assert incoming.key == ("ticket", platform, ticket_id, "")
    assert incoming.payload == dump(payload)
    assert (taken.subject, taken.status, taken.priority, taken.requester) == (made.SUBJECT, status, priority, requester)
    assert (taken.created_at, taken.updated_at) == (created and at(created), updated and at(updated))
    assert (taken.source_version.field if taken.source_version else None) == version


def test_the_source_version_is_the_platforms_own_time_in_microseconds() -> None:
    zendesk = received("zendesk", made.zendesk_ticket()).fields.source_version
    jira = received("jira", made.jira_issue()).fields.source_version

    assert zendesk == ("generated_timestamp", 1559697999 * 10**6)
    assert jira == ("fields.updated", microseconds(at("2021-03-11T06:14:18.085-08:00")))


@pytest.mark.parametrize(
    ("platform", "payload", "expected"),
    [
        ("freshdesk", made.freshdesk_article(), ("4", "ko", "2", "2020-10-06T11:05:53Z", "2020-10-07T11:05:53Z")),
        ("freshdesk", made.freshdesk_article(hierarchy=[]), ("4", "", "2", "2020-10-06T11:05:53Z", "2020-10-07T11:05:53Z")),
        ("zendesk", made.zendesk_article(), ("7253394974479", "ko", "draft", "2023-07-10T16:07:17Z", "2023-07-10T16:25:46Z")),
        (
            "zendesk",
            made.zendesk_article(draft=False, locale=None),
            ("7253394974479", "en-us", "published", "2023-07-10T16:07:17Z", "2023-07-10T16:25:46Z"),
        ),
        ("intercom", made.intercom_article(), ("39", "ko", "published", "2024-12-18T15:54:19Z", "2024-12-18T15:54:20Z")),
        ("jira", made.confluence_page(), ("98306", "", "current", "2024-01-02T03:04:05.006Z", "2024-02-03T10:11:12.131Z")),
        (
            "docs",
            {"slug": "x", "article_id": "pay", "title": made.SUBJECT, "body": made.TEXT, "language": "ko-KR"},
            ("pay", "ko-KR", None, None, None),
        ),
    ],
    ids=["freshdesk", "freshdesk-no-hierarchy", "zendesk", "zendesk-source", "intercom", "confluence", "generic"],
)
def test_an_article_is_read_with_its_locale(platform: str, payload: dict[str, object], expected: tuple[str | None, ...]) -> None:
    article_id, locale, status, created, updated = expected

    incoming = article(platform, dump(payload))

    assert incoming.key == ("article", platform, article_id, locale)
    assert (incoming.fields.subject, incoming.fields.status) == (made.SUBJECT, status)
    assert (incoming.fields.created_at, incoming.fields.updated_at) == (created and at(created), updated and at(updated))


def test_a_locale_that_is_given_counts_instead_of_the_payloads() -> None:
    payload = dump(made.zendesk_article())

    assert article("zendesk", payload, locale="fr").key.locale == "fr"
    assert article("zendesk", payload, locale="").key.locale == ""
    with pytest.raises(InvalidIdentifier, match="locale"):
        article("zendesk", payload, locale="fr\n")


@pytest.mark.parametrize("given", [7, "7", 7.0])
def test_one_id_in_three_spellings_is_one_ticket(given: object) -> None:
    assert received("zendesk", made.zendesk_ticket(id=given)).key.id == "7"


@pytest.mark.parametrize("platform", [*PLATFORMS, "generic"])
@pytest.mark.parametrize(
    "given", [None, True, 1.5, "", " 7", "a\x00b", [], {}, 10**300, 10**5000, 10**20000], ids=lambda given: type(given).__name__
)
def test_a_ticket_without_a_usable_id_is_refused_naming_field_and_option(platform: str, given: object) -> None:
    with pytest.raises(InvalidRecord, match=r"id.*--id-field"):
        received(platform, {"id": given, "subject": "x"})


def test_every_field_can_be_named_by_an_option() -> None:
    payload: dict[str, object] = {
        "properties": {"hs_object_id": "512", "subject": "제목", "hs_pipeline_stage": "1", "prio": "HIGH", "who": 5, "at": 1700000000123},
        "changed.on": "12/18/2020",
    }
    options = Options(
        id_field="properties.hs_object_id",
        subject_field="properties.subject",
        status_field="properties.hs_pipeline_stage",
        priority_field="properties.prio",
        requester_field="properties.who",
        created_field="properties.at",
        updated_field="changed.on",
    )

    incoming = received("hubspot", payload, options)

    taken = incoming.fields
    assert incoming.key.id == "512"
    assert (taken.subject, taken.status, taken.priority, taken.requester) == ("제목", "1", "HIGH", "5")
    assert (taken.created_at, taken.updated_at) == (at("2023-11-14T22:13:20.123Z"), at("2020-12-18T00:00Z"))
    assert taken.source_version == ("changed.on", microseconds(at("2020-12-18T00:00Z")))
    assert article("docs", dump({"id": 1, "lang": "ko"}), options=Options(locale_field="lang")).key.locale == "ko"
    assert received("zendesk", made.zendesk_ticket(external_id="E-9"), Options(id_field="external_id")).key.id == "E-9"


@pytest.mark.parametrize("platform", [*PLATFORMS, "my helpdesk"])
def test_a_record_without_its_platforms_id_may_say_it_in_our_words(platform: str) -> None:
    assert received(platform, {"ticket_id": 7}).key.id == "7"
    assert received(platform, {"ticket_id": "ours", "id": "own"}).key.id == "own"
    assert article(platform, dump({"article_id": 7})).key.id == "7"
    assert article(platform, dump({"article_id": "ours", "id": "own"})).key.id == "own"


def test_a_dot_in_a_fields_own_name_is_read_before_a_path() -> None:
    incoming = received("crm", {"a.b": "own", "a": {"b": "path"}}, Options(id_field="a.b"))

    assert incoming.key.id == "own"


@pytest.mark.parametrize("platform", [*PLATFORMS, "generic"])
def test_a_payload_of_strange_types_is_kept_and_its_fields_are_empty(platform: str) -> None:
    strange: dict[str, object] = {
        name: [{"x": 1}, None, 2**70]
        for name in ("subject", "title", "status", "state", "priority", "requester_id", "created_at", "updated_at", "source", "fields")
    }

    incoming = received(platform, {"id": 1} | strange)

    assert incoming.key.id == "1"
    taken = incoming.fields
    assert [taken.subject, taken.status, taken.created_at, taken.updated_at, taken.source_version] == [None] * 5


def test_hostile_text_is_cleaned_only_in_the_fields() -> None:
    payload = dump({"id": 1, "subject": "\ud800\x00" + "가" * 600, "status": 10**5000, "priority": 2.0, "requester": False})

    incoming = ticket("generic", payload)

    assert incoming.payload == payload
    assert incoming.fields.subject == "\ufffd\ufffd" + "가" * 498
    assert (incoming.fields.status, incoming.fields.priority, incoming.fields.requester) == (None, "2", "false")


# -- what counts as text -----------------------------------------------------------------------------------------------------------------


def digest_of(platform: str, payload: dict[str, object]) -> bytes:
    return received(platform, payload).fields.text_digest


def edited(payload: dict[str, Any], *steps: str | int, to: object) -> dict[str, Any]:  # Any: a payload holds anything
    copy: Any = payload  # Any: a step may lead into an object or an array
    for step in steps[:-1]:
        copy = copy[step]
    copy[steps[-1]] = to
    return payload


@pytest.mark.parametrize(
    ("platform", "build", "steps"),
    [
        ("freshdesk", made.freshdesk_ticket, ("subject",)),
        ("freshdesk", made.freshdesk_ticket, ("description_text",)),
        ("freshdesk", made.freshdesk_v1_ticket, ("description",)),
        ("freshdesk", made.freshdesk_v1_ticket, ("notes", 0, "note", "body")),
        ("zendesk", made.zendesk_ticket, ("subject",)),
        ("zendesk", made.zendesk_ticket, ("description",)),
        ("intercom", made.intercom_conversation, ("source", "body")),
        ("intercom", made.intercom_conversation, ("title",)),
        ("intercom", made.intercom_conversation, ("conversation_parts", "conversation_parts", 0, "body")),
        ("intercom", made.intercom_v1_conversation, ("conversation_message", "body")),
        ("intercom", made.intercom_ticket, ("ticket_attributes", "_default_description_")),
        ("intercom", made.intercom_ticket, ("ticket_parts", "ticket_parts", 0, "body")),
        ("jira", made.jira_issue, ("fields", "summary")),
        ("jira", made.jira_issue, ("fields", "description", "content", 0, "content", 0, "text")),
        ("jira", made.jira_issue, ("fields", "comment", "comments", 0, "body", "content", 0, "content", 0, "text")),
        ("jira", made.jsm_request, ("requestFieldValues", 0, "value")),
        ("jira", made.jsm_request, ("requestFieldValues", 1, "value")),
        ("generic", made.generic_ticket, ("messages", 0, "text")),
        ("generic", made.generic_ticket, ("status",)),
    ],
)
def test_a_change_of_text_changes_the_digest(platform: str, build: Builder, steps: tuple[str | int, ...]) -> None:
    assert digest_of(platform, edited(build(), *steps, to="달라진 글")) != digest_of(platform, build())


@pytest.mark.parametrize(
    ("platform", "build", "changes"),
    [
        ("freshdesk", made.freshdesk_ticket, {"status": 5, "updated_at": "2025-01-01T00:00:00Z", "tags": [], "stats": {}}),
        ("freshdesk", made.freshdesk_ticket, {"description": "<img src='https://example.com/signed?token=2'>"}),
        ("zendesk", made.zendesk_ticket, {"status": "closed", "generated_timestamp": 1, "assignee_id": 5}),
        ("zendesk", made.zendesk_ticket, {"comments": [made.zendesk_comment()]}),
        ("zendesk", made.zendesk_ticket, {"description": None, "comments": [made.zendesk_comment()]}),
        ("zendesk", made.zendesk_ticket, {"audits": [made.zendesk_audit()]}),
        ("intercom", made.intercom_conversation, {"state": "closed", "open": False, "updated_at": 5, "statistics": {}}),
        ("jira", made.jira_issue, {"key": "MOVED-1", "expand": ""}),
    ],
)
def test_a_change_of_anything_else_leaves_the_digest(platform: str, build: Builder, changes: dict[str, object]) -> None:
    assert digest_of(platform, build(**changes)) == digest_of(platform, build())


def test_messages_inside_a_ticket_are_text() -> None:
    answer = made.zendesk_comment("두 번째 글")
    first, second = made.freshdesk_conversation(body_text="하나"), made.freshdesk_conversation(body_text="둘")

    assert digest_of("zendesk", made.zendesk_ticket(comments=[made.zendesk_comment(), answer])) != digest_of(
        "zendesk", made.zendesk_ticket()
    )
    assert (
        len({digest_of("freshdesk", made.freshdesk_ticket(conversations=c)) for c in ([], [first], [first, second], [second, first])}) == 4
    )


def test_texts_never_run_together() -> None:
    pairs = [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", ""), ("abc", None)]

    digests = [digest_of("freshdesk", {"id": 1, "subject": subject, "description_text": text}) for subject, text in pairs]

    assert len(set(digests)) == 4
    assert digests[3] == digests[4]


def test_the_order_of_keys_in_a_document_tree_is_no_change_of_text() -> None:
    tree = made.document()
    turned = dict(reversed(list(tree.items())))
    exotic = {"type": "doc", "n": 10**30, "text": "\ud800"}

    assert digest_of("jira", {"id": 1, "fields": {"description": tree}}) == digest_of("jira", {"id": 1, "fields": {"description": turned}})
    assert digest_of("jira", {"id": 1, "fields": {"description": exotic}}) != digest_of("jira", {"id": 1, "fields": {"description": tree}})


def test_a_generic_records_whole_payload_is_its_text() -> None:
    payload = b'{ "id": 1 }'

    assert ticket("generic", payload).fields.text_digest == sha256(payload).digest()


def test_a_translation_inside_an_article_is_text() -> None:
    english = {"en": {"title": "Pay", "body": "<p>Pay now</p>"}}

    one, other = (
        article("intercom", dump(payload)) for payload in (made.intercom_article(), made.intercom_article(translated_content=english))
    )

    assert one.fields.text_digest != other.fields.text_digest


# -- telling what an object is -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "kind", "platform"),
    [
        (made.freshdesk_ticket(), "ticket", "freshdesk"),
        (made.freshdesk_ticket(conversations=[made.freshdesk_conversation()]), "ticket", "freshdesk"),
        (made.freshdesk_v1_ticket(), "ticket", "freshdesk"),
        (made.freshdesk_article(), "article", "freshdesk"),
        (made.zendesk_ticket(), "ticket", "zendesk"),
        (made.zendesk_ticket(comments=[made.zendesk_comment()]), "ticket", "zendesk"),
        (made.zendesk_article(), "article", "zendesk"),
        (made.intercom_conversation(), "ticket", "intercom"),
        (made.intercom_v1_conversation(), "ticket", "intercom"),
        (made.intercom_ticket(), "ticket", "intercom"),
        (made.intercom_article(), "article", "intercom"),
        (made.jira_issue(), "ticket", "jira"),
        (made.jsm_request(), "ticket", "jira"),
        (made.confluence_page(), "article", "jira"),
        (made.generic_ticket(), "ticket", None),
        ({"id": "a", "locale": "ko-KR", "title": "제목", "body": "글"}, "article", None),
        (made.freshdesk_conversation(), None, "freshdesk"),
        (made.zendesk_comment(), None, "zendesk"),
        (made.zendesk_audit(), None, "zendesk"),
        ({"type": "user", "id": "1", "name": "x"}, None, "intercom"),
        ({"id": 1, "name": "Support", "available": True}, None, None),
        ({"id": 1, "title": "Subject", "description": "", "raw_title": "Subject"}, None, None),
        ({}, None, None),
    ],
)
def test_an_object_is_known_by_its_keys(payload: dict[str, object], kind: Kind | None, platform: str | None) -> None:
    assert kind_of(payload) == kind
    assert platform_of(payload) == platform


@pytest.mark.parametrize(
    ("platform", "payload", "said"),
    [
        ("freshdesk", made.freshdesk_conversation(), "it is a Freshdesk conversation: messages belong to their ticket"),
        ("zendesk", made.zendesk_comment(), "it is a Zendesk comment: messages belong to their ticket"),
        ("zendesk", made.zendesk_audit(), "it is a Zendesk audit: messages belong to their ticket"),
        ("intercom", {"type": "contact", "id": "1"}, "import conversations, tickets or articles"),
        ("freshdesk", {"id": 1, "available": True}, "neither a ticket nor an article (its first keys: id, available)"),
        ("freshdesk", {}, "neither a ticket nor an article (its first keys: none)"),
    ],
)
def test_what_is_neither_ticket_nor_article_is_refused_in_one_clear_line(platform: str, payload: dict[str, object], said: str) -> None:
    reason = refusal(platform, payload)

    assert reason is not None
    assert said in reason
    assert "\n" not in reason


def test_a_kind_that_is_named_counts_for_the_unknown_but_makes_no_ticket_of_a_message() -> None:
    assert refusal("freshdesk", {"id": 1, "available": True}, "ticket") is None
    assert refusal("freshdesk", made.freshdesk_conversation(), "ticket") is not None
    assert refusal("freshdesk", made.freshdesk_article(), "ticket") == "it is a Freshdesk article: import it with --kind article"
    assert refusal("freshdesk", made.freshdesk_article(), "article") is None
    assert refusal("freshdesk", made.freshdesk_ticket()) is None
    assert refusal("my helpdesk", {"id": 1}) is None


def test_freshdesk_statuses_have_standard_labels() -> None:
    labels = standard_labels("freshdesk")

    assert [labels[name] for name in ("open", "pending", "resolved", "closed")] == ["2", "3", "4", "5"]
    assert standard_labels("zendesk") == standard_labels("anything") == {}
