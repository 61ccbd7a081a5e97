"""
The functions and triggers of the database: the templates in sql/ filled in for each table.

Bodies name every object with its schema, so that no search_path can lead them elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from sqlalchemy import Column, Table
from sqlalchemy.dialects.postgresql.base import PGDialect

from deskstore.adapters.postgres.schema import DEFAULT_SCHEMA, THING, tables
from deskstore.adapters.postgres.scripts import filled
from deskstore.domain import times
from deskstore.domain.processing import MOST_ATTEMPTS

_IDENTITY: Final = {"ticket": ("platform", "ticket_id"), "article": ("platform", "article_id", "locale")}
_DIALECT: Final = PGDialect()  # type: ignore[no-untyped-call]  # SQLAlchemy types its results only
_MANY: Final = 20  #: names, from which on a call has its statements planned anew: that takes a fraction of a millisecond each
_WRITTEN: Final = ("ticket", "ticket_state", "article", "summary", "checkpoint", "suppression")


def quoted(name: str) -> str:
    """A name as SQL text."""
    return _DIALECT.identifier_preparer.quote(name)


def statements(schema: str = DEFAULT_SCHEMA) -> Iterator[str]:
    """What makes all functions, then all triggers, in an order in which each finds what it names."""
    shared = _shared(schema)
    yield from filled("planning", shared)
    yield from filled("entering", shared)
    for kind in _IDENTITY:
        yield from filled("records", shared | _of_records(schema, kind))
    yield from filled("reading", shared)
    yield from filled("locking", shared)
    for name in _WRITTEN:
        yield from filled("writing", shared | _of_writing(schema, name))
    for template in ("receiving", "claiming", "mirroring", "suppressing", "counting", "erasing"):
        yield from filled(template, shared)


def columns(table: str) -> tuple[str, ...]:
    """The columns of a table that a row is written with, in order, the company's aside."""
    return tuple(column.name for column in _columns(DEFAULT_SCHEMA, table))


def _columns(schema: str, table: str) -> list[Column[object]]:
    found: Table = tables(schema).tables[f"{schema}.{table}"]
    return [column for column in found.columns if column.name != "company_id"]


def _type(column: Column[object]) -> str:
    name = str(column.type.compile(_DIALECT))
    return name.removesuffix(' COLLATE "C"').lower()


def _listed(parts: Iterable[str], separator: str = ", ") -> str:
    return separator.join(parts)


def _equal(names: Iterable[str], one: str, other: str) -> str:
    return _listed((f"{one}.{name} = {other}.{name}" for name in names), " AND ")


def _shared(schema: str) -> dict[str, str]:
    state = [column for column in _columns(schema, "ticket_state") if column.name not in ("platform", "ticket_id", "created_us")]
    summary = _columns(schema, "summary")
    suppression = _columns(schema, "suppression")
    thing_types = {"number": "integer"}
    return {
        "schema": quoted(schema),
        "many": str(_MANY),
        "literal": quoted(schema).replace("'", "''"),
        "state": _listed(f"s.{column.name}" for column in state),
        "state_types": _listed(f"{column.name} {_type(column)}" for column in state),
        "state_types_as_s": _listed(f"s_{column.name} {_type(column)}" for column in state),
        "no_state": _listed(f"NULL::{_type(column)}" for column in state),
        "no_company": "NULL, NULL::bigint, NULL::json",
        "no_row": "NULL, NULL, NULL, NULL, NULL::bigint, NULL::bytea, NULL::integer[], NULL::bigint, "
        + _listed(f"NULL::{_type(column)}" for column in state),
        "summary": _listed(f"m.{column.name}" for column in summary),
        "summary_types": _listed(f"{column.name} {_type(column)}" for column in summary),
        "suppression": _listed(f"x.{column.name}" for column in suppression),
        "suppression_types": _listed(f"{column.name} {_type(column)}" for column in suppression),
        "ticket_arrays": _listed(f"{column.name}_of {_type(column)}[]" for column in _columns(schema, "ticket")),
        "ticket_array_names": _listed(f"{column.name}_of" for column in _columns(schema, "ticket")),
        "state_digest": _state_digest(),
        "thing": _listed(THING),
        "thing_of_d": _listed(f"d.{name}" for name in THING),
        "thing_types": _listed(f"{name} {thing_types.get(name, 'text')}" for name in THING),
        "thing_arrays": _listed(f"{name}s {thing_types.get(name, 'text')}[]" for name in THING),
        "thing_names": _listed(f"{name}s" for name in THING),
        "same_thing": _equal(THING, "d", "k"),
        "most_attempts": str(MOST_ATTEMPTS),
    }


def _of_records(schema: str, kind: str) -> dict[str, str]:
    key = _IDENTITY[kind]
    record = _columns(schema, kind)
    has_state = kind == "ticket"
    shared = _shared(schema)
    return {
        "kind": kind,
        "key": _listed(key),
        "first_key": key[0],
        "key_arrays": _listed(f"{name}s text[]" for name in key),
        "key_names": _listed(f"{name}s" for name in key),
        "key_types": _listed(f"{name} text" for name in key),
        "key_of_l": _listed(f"l.{name}" for name in key),
        "key_of_r": _listed(f"r.{name}" for name in key),
        "same_key": _equal(key, "r", "k"),
        "same_key_of_t_and_l": _equal(key, "t", "l"),
        "same_key_of_s_and_r": _equal(key, "s", "r"),
        "record": _listed(f"r.{column.name}" for column in record),
        "record_types": _listed(f"{column.name} {_type(column)}" for column in record),
        "order_of_l": _listed(f"l.{name} DESC" for name in ("created_us", *key)),
        "order_of_k": _listed(f"k.{name} DESC" for name in key),
        "digest": _digest(kind),
        "behind_names": _listed(f"behind[{place}]" for place, _ in enumerate(key, 1)),
        "below": _listed(f"$9[{place}]" for place, _ in enumerate(key, 1)),
        "behind": _listed(f"$9[{place}]" for place, _ in enumerate(key, 1)),
        "also_state": ", " + shared["state"].replace("s.version", "s.version AS s_version") if has_state else "",
        "also_state_types": ", " + shared["state_types_as_s"] if has_state else "",
        "join_state": f"\n    LEFT JOIN LATERAL (\n        SELECT * FROM {quoted(schema)}.ticket_state s"  # noqa: S608 - names of ours
        f" WHERE s.company_id = company AND {_equal(key, 's', 'k')} OFFSET 0\n    ) s ON true"
        if has_state
        else "",
    }


def _digest(kind: str) -> str:
    """What domain.mirror.digest_of computes of a record, as SQL over its row r; `anew` tells whether to hash the payload."""
    names = [f"'{kind}'", f"'{kind}'", *(f"r.{name}" for name in _IDENTITY[kind]), *(["''"] if kind == "ticket" else []), "'0'"]
    payload = "CASE WHEN anew THEN encode(sha256(convert_to(r.payload::text, 'UTF8')), 'hex') ELSE encode(r.sha256, 'hex') END"
    texts = [f"r.{name}" for name in ("subject", "status", "priority", "requester")]
    moments = [f"nullif(r.created_us, {times.NO_TIME_US})::text", "r.updated_us::text"]
    rest = ["r.source_field", "r.source_value::text", "encode(sha256(r.text_digest), 'hex')", "r.saved_us::text"]
    return _hashed(*names, payload, *texts, *moments, *rest)


def _state_digest() -> str:
    """The same of a processing, over its row s."""
    names = ["'processing'", "'ticket'", "s.platform", "s.ticket_id", "''", "'0'"]
    claim = ["s.worker", "s.token", "s.lease_us::text", "encode(sha256(s.claim_digest), 'hex')"]
    return _hashed(*names, "s.status", "s.attempts::text", "s.error", *claim, "s.claimable_us::text", "s.changed_us::text")


def _hashed(*fields: str) -> str:
    parts = (rf"coalesce(convert_to({one}, 'UTF8'), '\xff'::bytea)" for one in fields)
    separator = r" || '\x00'::bytea || "
    return f"sha256({_listed(parts, separator)})"


def _of_writing(schema: str, name: str) -> dict[str, str]:
    written = _columns(schema, name)
    table = tables(schema).tables[f"{schema}.{name}"]
    key = [column.name for column in table.primary_key.columns if column.name != "company_id"]
    kept = (*key, "created_us") if name == "ticket_state" else key
    arrays = [f"{column.name}_of" for column in written]
    elements = {column.name: f"{column.name}_of[k.place]" for column in written}
    if name == "ticket_state":
        named = _listed((f"t.{part} = {elements[part]}" for part in key), " AND ")
        of_ticket = f"SELECT t.created_us FROM {quoted(schema)}.ticket t WHERE t.company_id = company AND {named}"  # noqa: S608 - names of ours
        elements["created_us"] = f"coalesce({elements['created_us']}, ({of_ticket}))"
    return {
        "table": name,
        "columns": _listed(column.name for column in written),
        "elements": _listed(elements.values()),
        "arrays": _listed(f"{array} {_type(column)}[]" for array, column in zip(arrays, written, strict=True)),
        "array_names": _listed(arrays),
        "first_array": arrays[0],
        "assignments": _listed(f"{column.name} = k.{column.name}" for column in written if column.name not in kept),
        "same_key": _equal(key, "r", "k"),
        "afterwards": _MOVED.format(schema=quoted(schema)) if name == "ticket" else "",
    }


#: a page of one processing status comes from the index of ticket_state, which has to know where the ticket stands
_MOVED: Final = """
    UPDATE {schema}.ticket_state s SET created_us = k.created_us
    FROM unnest(platform_of, ticket_id_of, created_us_of) AS k (platform, ticket_id, created_us)
    WHERE s.company_id = company AND s.platform = k.platform AND s.ticket_id = k.ticket_id AND s.created_us <> k.created_us;"""
