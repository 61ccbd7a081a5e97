"""
Payloads in every platform's shape, made up for the tests.

Each builder gives a dict with the keys that the platform's API sends; what is named replaces or adds keys. The text is hostile on
purpose: Korean, emoji, HTML, quotes, brackets, line breaks and a NUL.
"""

from __future__ import annotations

from typing import Any

Payload = dict[str, Any]  # Any: the tests reach into what they made

SUBJECT = '결제가 안 돼요 🎫 "지금" {1} [2]'
TEXT = '안녕하세요,\r\n카드 결제가 {"실패"} 합니다 \\ 🙏\x00 ]}'
HTML = '<div dir="ltr">안녕하세요,<br>카드 결제가 {&quot;실패&quot;} 합니다 \\ 🙏</div>'


def freshdesk_ticket(id: object = 7, **changes: object) -> Payload:  # noqa: A002 - it is called id in every payload
    return {
        "cc_emails": ["cc@example.com"],
        "fwd_emails": [],
        "reply_cc_emails": [],
        "fr_escalated": False,
        "spam": False,
        "email_config_id": None,
        "group_id": None,
        "priority": 1,
        "requester_id": 6012691534,
        "responder_id": None,
        "source": 2,
        "company_id": 67000000001,
        "status": 2,
        "subject": SUBJECT,
        "type": "Question",
        "id": id,
        "created_at": "2024-05-18T04:36:04Z",
        "updated_at": "2024-05-18T23:42:50Z",
        "due_by": "2024-05-20T23:36:04Z",
        "is_escalated": False,
        "description": HTML,
        "description_text": TEXT,
        "custom_fields": {"cf_주문번호": "A-1"},
        "tags": ["결제"],
        "attachments": [],
        **changes,
    }


def freshdesk_conversation(id: object = 1, **changes: object) -> Payload:  # noqa: A002 - as above
    return {
        "body": HTML,
        "body_text": TEXT,
        "id": id,
        "incoming": False,
        "private": True,
        "user_id": 1,
        "support_email": None,
        "source": 2,
        "ticket_id": 7,
        "to_emails": [],
        "created_at": "2024-05-19T05:36:12Z",
        "updated_at": "2024-05-19T05:36:12Z",
        "attachments": [],
        **changes,
    }


def freshdesk_v1_ticket(display_id: object = 7, **changes: object) -> Payload:
    return {
        "cc_email": {"cc_emails": [], "fwd_emails": [], "reply_cc": []},
        "created_at": "2014-12-31T12:27:09+10:00",
        "deleted": False,
        "description": TEXT,
        "description_html": HTML,
        "display_id": display_id,
        "frDueBy": "2015-01-01T12:27:09+10:00",
        "id": 5007268642,
        "notes": [{"note": {"body": TEXT, "body_html": HTML, "id": 5006713943, "private": False}}],
        "priority": 1,
        "priority_name": "Low",
        "requester_id": 5004272351,
        "status": 2,
        "status_name": "Open",
        "subject": SUBJECT,
        "updated_at": "2015-01-01T10:58:39+10:00",
        "custom_field": {},
        "tags": ["foo"],
        **changes,
    }


def freshdesk_article(id: object = 4, **changes: object) -> Payload:  # noqa: A002 - as above
    return {
        "id": id,
        "type": 1,
        "status": 2,
        "agent_id": 432,
        "created_at": "2020-10-06T11:05:53Z",
        "category_id": 2,
        "folder_id": 3,
        "title": SUBJECT,
        "updated_at": "2020-10-07T11:05:53Z",
        "description": HTML,
        "description_text": TEXT,
        "seo_data": {"meta_title": "seo"},
        "tags": [],
        "hierarchy": [{"level": 0, "type": "category", "data": {"id": 2, "name": "일반", "language": "ko"}}],
        **changes,
    }


def zendesk_ticket(id: object = 35436, **changes: object) -> Payload:  # noqa: A002 - as above
    return {
        "url": f"https://example.zendesk.com/api/v2/tickets/{id}.json",
        "id": id,
        "external_id": None,
        "via": {"channel": "email", "source": {"from": {}, "to": {}, "rel": None}},
        "created_at": "2019-06-03T02:23:47Z",
        "updated_at": "2019-06-05T01:13:24Z",
        "generated_timestamp": 1559697999,
        "type": None,
        "subject": SUBJECT,
        "raw_subject": SUBJECT,
        "description": TEXT,
        "priority": None,
        "status": "solved",
        "custom_status_id": 12480498776781,
        "requester_id": 377922500012,
        "submitter_id": 377922500012,
        "assignee_id": None,
        "organization_id": None,
        "tags": [],
        "custom_fields": [{"id": 360005657120, "value": ["a", "b"]}, {"id": 360005657123, "value": True}],
        "fields": [{"id": 360005657120, "value": ["a", "b"]}],
        "satisfaction_rating": None,
        **changes,
    }


def zendesk_comment(body: str = TEXT, **changes: object) -> Payload:
    return {
        "id": 1274,
        "type": "Comment",
        "author_id": 123123,
        "body": body,
        "html_body": f"<p>{body}</p>",
        "plain_body": body,
        "public": True,
        "attachments": [],
        "audit_id": 432567,
        "created_at": "2019-06-03T02:23:47Z",
        **changes,
    }


def zendesk_audit(**changes: object) -> Payload:
    return {
        "id": 2127301143,
        "ticket_id": 666,
        "created_at": "2011-09-25T22:35:44Z",
        "author_id": 5246746,
        "events": [
            {"id": 1, "type": "Comment", "public": False, "body": TEXT, "html_body": HTML},
            {"id": 2, "type": "Change", "field_name": "status", "value": "open", "previous_value": "new"},
        ],
        **changes,
    }


def zendesk_article(id: object = 7253394974479, **changes: object) -> Payload:  # noqa: A002 - as above
    return {
        "id": id,
        "url": f"https://example.zendesk.com/api/v2/help_center/en-us/articles/{id}.json",
        "author_id": 789,
        "draft": True,
        "promoted": False,
        "section_id": 456,
        "created_at": "2023-07-10T16:07:17Z",
        "updated_at": "2023-07-10T16:25:46Z",
        "edited_at": "2023-07-10T16:25:45Z",
        "name": SUBJECT,
        "title": SUBJECT,
        "source_locale": "en-us",
        "locale": "ko",
        "outdated_locales": [],
        "label_names": [],
        "body": HTML,
        **changes,
    }


def intercom_conversation(id: object = "147", **changes: object) -> Payload:  # noqa: A002 - as above
    return {
        "type": "conversation",
        "id": id,
        "created_at": 1400850973,
        "updated_at": 2738966400,
        "waiting_since": None,
        "title": None,
        "source": {
            "type": "conversation",
            "id": "403918330",
            "delivered_as": "admin_initiated",
            "subject": SUBJECT,
            "body": HTML,
            "author": {"type": "admin", "id": "25"},
        },
        "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": "536e564f316c83104c000020"}]},
        "open": True,
        "state": "snoozed",
        "priority": "not_priority",
        "tags": {"type": "tag.list", "tags": [{"type": "tag", "id": "12345", "name": "태그"}]},
        "conversation_parts": {
            "type": "conversation_part.list",
            "conversation_parts": [
                {"type": "conversation_part", "id": "4412", "part_type": "comment", "body": HTML},
                {"type": "conversation_part", "id": "4413", "part_type": "close", "body": None},
            ],
        },
        **changes,
    }


def intercom_v1_conversation(id: object = "147", **changes: object) -> Payload:  # noqa: A002 - as above
    return {
        "type": "conversation",
        "id": id,
        "created_at": 1400850973,
        "updated_at": 1400857494,
        "user": {"type": "user", "id": "536e564f316c83104c000020"},
        "assignee": {"type": "admin", "id": "25"},
        "conversation_message": {"type": "conversation_message", "subject": "", "body": HTML, "author": {"type": "admin", "id": "25"}},
        "conversation_parts": {"type": "conversation_part.list", "conversation_parts": []},
        **changes,
    }


def intercom_ticket(id: object = "493", **changes: object) -> Payload:  # noqa: A002 - as above
    return {
        "type": "ticket",
        "id": id,
        "ticket_id": "53",
        "ticket_attributes": {"_default_title_": SUBJECT, "_default_description_": TEXT},
        "ticket_state": "in_progress",
        "ticket_state_internal_label": "진행 중",
        "ticket_type": {"type": "ticket_type", "id": "1", "name": "my-ticket-type"},
        "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": "6657adf86abd0164c24419fb"}]},
        "admin_assignee_id": "0",
        "created_at": 1717021177,
        "updated_at": 1717021178,
        "open": True,
        "ticket_parts": {"type": "ticket_part.list", "ticket_parts": [{"type": "ticket_part", "part_type": "comment", "body": HTML}]},
        **changes,
    }


def intercom_article(id: object = "39", **changes: object) -> Payload:  # noqa: A002 - as above
    return {
        "type": "article",
        "id": id,
        "workspace_id": "this_is_an_id64_that_should_be_at_least_4",
        "title": SUBJECT,
        "description": "",
        "body": HTML,
        "author_id": 991267502,
        "state": "published",
        "created_at": 1734537259,
        "updated_at": 1734537260,
        "parent_ids": [],
        "default_locale": "ko",
        "translated_content": {
            "type": "article_translated_content",
            "en": {"type": "article_content", "title": "Pay", "body": "<p>Pay</p>"},
        },
        **changes,
    }


def document(text: str = TEXT) -> Payload:
    """A text as Jira's third API gives it: a tree."""
    return {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "text", "text": text}]}]}


def jira_issue(id: object = "12338", **changes: object) -> Payload:  # noqa: A002 - as above
    return {
        "expand": "operations,changelog",
        "id": id,
        "self": f"https://example.atlassian.net/rest/agile/1.0/issue/{id}",
        "key": "AR-86",
        "fields": {
            "summary": SUBJECT,
            "description": document(),
            "status": {"id": "3", "name": "진행 중", "statusCategory": {"id": 4, "key": "indeterminate"}},
            "priority": {"id": "3", "name": "Major"},
            "reporter": {"accountId": "5b10a2844c20165700ede21g", "emailAddress": "reporter@example.com"},
            "created": "2015-12-02T07:39:15.000-0800",
            "updated": "2021-03-11T06:14:18.085-0800",
            "labels": [],
            "customfield_10105": 13.0,
            "comment": {"comments": [{"id": "10000", "body": document("댓글"), "author": {"accountId": "x"}}], "total": 1},
        },
        **changes,
    }


def jsm_request(id: object = "107001", **changes: object) -> Payload:  # noqa: A002 - as above
    return {
        "issueId": id,
        "issueKey": "HELPDESK-1",
        "requestTypeId": "25",
        "serviceDeskId": "10",
        "createdDate": {
            "iso8601": "2015-10-08T14:42:00+0700",
            "jira": "2015-10-08T14:42:00.000+0700",
            "friendly": "Monday 14:42 PM",
            "epochMillis": 1444290120000,
        },
        "reporter": {"accountId": "qm:a713c8ea", "emailAddress": "fred@example.com"},
        "requestFieldValues": [
            {"fieldId": "summary", "label": "What do you need?", "value": SUBJECT},
            {"fieldId": "description", "label": "Why?", "value": TEXT},
        ],
        "currentStatus": {"status": "Waiting for Support", "statusCategory": "INDETERMINATE"},
        **changes,
    }


def confluence_page(id: object = "98306", **changes: object) -> Payload:  # noqa: A002 - as above
    return {
        "id": id,
        "type": "page",
        "status": "current",
        "title": SUBJECT,
        "space": {"key": "KB"},
        "version": {"number": 3, "when": "2024-02-03T10:11:12.131Z"},
        "history": {"createdDate": "2024-01-02T03:04:05.006Z"},
        "body": {"storage": {"value": HTML, "representation": "storage"}},
        **changes,
    }


def generic_ticket(id: object = "T-1", **changes: object) -> Payload:  # noqa: A002 - as above
    return {
        "id": id,
        "subject": SUBJECT,
        "status": "open",
        "priority": "high",
        "requester": "kim@example.com",
        "created_at": "2024-01-15 10:30:00",
        "updated_at": 1705401900.5,
        "messages": [{"text": TEXT}],
        **changes,
    }
