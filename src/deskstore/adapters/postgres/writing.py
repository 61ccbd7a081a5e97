"""What a commit writes down: the copies that were decided, as calls of the database's functions, cut into slices of a size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Final

from attrs import frozen

from deskstore.adapters.postgres.calls import Call
from deskstore.adapters.postgres.routines import columns
from deskstore.adapters.postgres.rows import Row, checkpoint_row, record_row, state_row, summary_row, suppression_row
from deskstore.domain import times
from deskstore.domain.identifiers import Key
from deskstore.domain.mirror import MIRROR, PARTS, Copy, Part, Thing, Value
from deskstore.domain.processing import PENDING, Checkpoint, Processing
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.suppressions import Suppression
from deskstore.domain.things import CompanyState

MOST_ROWS: Final = 1_000  #: in one call
MOST_BYTES: Final = 1 << 20  #: of payloads in one call
#: in the order they are written, and so locked
_TABLES: Final = ("ticket", "ticket_state", "article", "summary", "checkpoint", "suppression")
_TABLE_OF: Final[dict[Part, str]] = {part: "ticket_state" if part == "processing" else part for part in PARTS}
_LARGE: Final = {"ticket": -1, "article": -1, "summary": 5}  #: the columns of payloads and of content


@frozen(kw_only=True)
class Audience:
    """Who has to be told of what a commit writes."""

    consumers: tuple[str, ...] = ()  #: of the outbox, by this store
    is_there: bool = False  #: whether anybody follows the company, so that what is deleted is remembered
    buried: Set[Thing] | None = None  #: which of the things are remembered as deleted; None: nobody looked


def audience(state: CompanyState | None, store_id: str, buried: Set[Thing] | None = None) -> Audience:
    """Who has to be told of what this store writes of a company."""
    return Audience() if state is None else Audience(consumers=state.owed_by(store_id), is_there=bool(state.consumers), buried=buried)


def calls(copies: Sequence[Copy], *, existing: Set[Thing], floor: int, audience: Audience) -> Iterator[Call]:
    """
    What keeps these copies.

    Args:
        existing: The names of what is there, as read under the lock.
        floor: The highest deleted version that was known to the decision.
        audience: Who has to be told.
    """
    gone = [copy for copy in copies if copy.value is None]
    kept = [copy for copy in copies if copy.value is not None]
    yield from _removals(gone)
    yield from _rows(kept, existing, floor)
    yield from told(copies, audience)
    if gone:
        yield Call("raise_floor", (max(copy.version for copy in gone),))


def nothing(floor: int) -> list[Call]:
    """What keeps a new ticket of a company that has a mirror, without the ticket."""
    thing: list[list[object]] = [[] for _ in Thing._fields]
    ticket: list[list[object]] = [[] for _ in (*columns("ticket"), "the version of its processing")]
    return [Call("add_fresh_ticket", (floor, *ticket)), Call("owe", ([MIRROR], *thing, [])), Call("unbury", tuple(thing))]


def told(copies: Sequence[Copy], audience: Audience) -> Iterator[Call]:
    """What lets an audience know of these copies."""
    if audience.consumers:
        yield from _sliced("owe", [(*copy.thing, copy.version) for copy in copies], list(audience.consumers))
    if audience.is_there:
        gone = sorted((copy for copy in copies if copy.value is None), key=lambda copy: copy.thing)
        kept = (copy.thing for copy in copies if copy.value is not None)
        yield from _sliced("unbury", [(*thing,) for thing in kept if audience.buried is None or thing in audience.buried])
        yield from _sliced("bury", [(*copy.thing, copy.version) for copy in gone])


def slices(calls_to_make: Iterable[Call]) -> Iterator[list[Call]]:
    """The same calls, as many together as make one trip of a good size."""
    together: list[Call] = []
    size = 0
    for call in calls_to_make:
        if together and size + call.size_bytes > MOST_BYTES:
            yield together
            together, size = [], 0
        together.append(call)
        size += call.size_bytes
        if size > MOST_BYTES // 2:  # hardly anything more would fit, so nothing need be made yet to see whether it does
            yield together
            together, size = [], 0
    if together:
        yield together


def _removals(gone: Sequence[Copy]) -> Iterator[Call]:
    records = [copy.thing for copy in gone if copy.thing.part in ("ticket", "article")]
    parts = [copy.thing for copy in gone if copy.thing.part in ("summary", "checkpoint", "suppression")]
    yield from _sliced("remove_records", [(*thing.key,) for thing in sorted(records)])
    yield from _sliced("remove_parts", [(*thing,) for thing in sorted(parts)])


def _rows(kept: Sequence[Copy], existing: Set[Thing], floor: int) -> Iterator[Call]:
    fresh, others = _parted(kept, existing)
    rows = ((*record_row(ticket), state_version) for ticket, state_version in fresh)
    yield from _sliced("add_fresh_ticket", rows, floor, large=_LARGE["ticket"] - 1)
    added: dict[str, list[Value]] = {table: [] for table in _TABLES}
    changed: dict[str, list[Value]] = {table: [] for table in _TABLES}
    created = {copy.value.key: times.microseconds(copy.value.fields.created_at) for copy in others if isinstance(copy.value, Ticket)}
    for copy in others:
        if copy.value is not None:
            (changed if copy.thing in existing else added)[_TABLE_OF[copy.thing.part]].append(copy.value)
    for table in _TABLES:
        yield from _sliced(f"add_{table}", (_row(value, created) for value in added[table]), floor, large=_LARGE.get(table))
        yield from _sliced(f"change_{table}", (_row(value, created) for value in changed[table]), large=_LARGE.get(table))


def _parted(kept: Sequence[Copy], existing: Set[Thing]) -> tuple[list[tuple[Ticket, int]], list[Copy]]:
    """Tickets that are new together with a fresh processing, each with that one's version; and all other copies."""
    states = {copy.value.key: copy for copy in kept if isinstance(copy.value, Processing)}
    fresh: list[tuple[Ticket, int]] = []
    others: list[Copy] = []
    for copy in kept:
        ticket = copy.value
        if isinstance(ticket, Processing):
            continue
        state = states.get(ticket.key) if isinstance(ticket, Ticket) else None
        if (
            state
            and isinstance(ticket, Ticket)
            and _is_fresh(state.value, ticket)
            and copy.thing not in existing
            and state.thing not in existing
        ):
            fresh.append((ticket, states.pop(ticket.key).version))
        else:
            others.append(copy)
    return fresh, [*others, *states.values()]


def _is_fresh(state: Value | None, ticket: Ticket) -> bool:
    """Whether nobody has worked on the ticket that comes with it."""
    return (
        isinstance(state, Processing)
        and state.status == PENDING
        and not state.attempts
        and state.error is None
        and state.claim is None
        and state.claimable_at == state.changed_at == ticket.saved_at
    )


def _row(value: Value, created: dict[Key, int]) -> Row:
    match value:
        case Ticket() | Article():
            return record_row(value)
        case Processing():
            return state_row(value, created.get(value.key))
        case Summary():
            return summary_row(value)
        case Checkpoint():
            return checkpoint_row(value)
        case Suppression():
            return suppression_row(value)


def _sliced(function: str, rows: Iterable[Row], *first: object, large: int | None = None) -> Iterator[Call]:
    """The rows as calls of a good size, each made when it is asked for; `large` is the column whose length is their weight."""
    together: list[Row] = []
    size = 0
    for row in rows:
        weight = 0 if large is None else _length(row[large])
        if together and (len(together) >= MOST_ROWS or size + weight > MOST_BYTES):
            yield _call(function, together, first, size)
            together, size = [], 0
        together.append(row)
        size += weight
    if together:
        yield _call(function, together, first, size)


def _call(function: str, rows: Sequence[Row], first: tuple[object, ...], size_bytes: int) -> Call:
    return Call(function, (*first, *(list(column) for column in zip(*rows, strict=True))), size_bytes)


def _length(cell: object) -> int:
    return len(cell) if isinstance(cell, bytes) else 0
