"""Lines of the log are JSON, each on a line of its own, and hold nothing but what they are to say."""

from __future__ import annotations

import json
import logging
import sys

from deskstore.formats.logs import JsonLines


def a_record(message: str, **told: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "WARNING", "created": 1_700_000_000.5, **told})


def test_a_line_says_when_how_bad_and_whose() -> None:
    record = a_record("a mirror is down", company_id="acme", platform="freshdesk", operation="drain", trace_id="1f", span_id="2a")

    line = JsonLines().format(record)

    assert json.loads(line) == {
        "at": "2023-11-14T22:13:20.500000+00:00",
        "level": "warning",
        "message": "a mirror is down",
        "company_id": "acme",
        "platform": "freshdesk",
        "operation": "drain",
        "trace_id": "1f",
        "span_id": "2a",
    }


def test_what_is_not_known_is_left_out_and_a_line_stays_one() -> None:
    line = JsonLines().format(a_record("two\nlines"))

    assert "\n" not in line
    assert set(json.loads(line)) == {"at", "level", "message"}


def test_an_error_is_named_and_not_quoted() -> None:
    try:
        raise ValueError("confidential")
    except ValueError:
        record = a_record("a handler failed", exc_info=sys.exc_info())

    line = JsonLines().format(record)

    assert json.loads(line)["error"] == "ValueError"
    assert "confidential" not in line
