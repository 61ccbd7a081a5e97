"""What a commit writes down: the copies that were decided, as calls of the database's functions, cut into slices of a size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, cast

from attrs import frozen

from deskstore.adapters.postgres.calls import Call
from deskstore.adapters.postgres.rows import Row, checkpoint_row, record_row, state_row, summary_row
from deskstore.domain import times
from deskstore.domain.identifiers import Key
from deskstore.domain.mirror import Copy, Thing, Value
from deskstore.domain.processing import Checkpoint, Processing
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.things import CompanyState

MOST_ROWS: Final = 1_000  #: in one call
MOST_BYTES: Final = 1 << 20  #: of payloads in one call
_TABLES: Final = ("ticket", "ticket_state", "article", "summary", "checkpoint")  #: in the order they are written, and so locked


@frozen(kw_only=True)
class Audience:
    """Who has to be told of what a commit writes."""

    consumers: tuple[str, ...] = ()  #: of the outbox, by this store
    is_there: bool = False  #: whether anybody follows the company, so that what is deleted is remembered


def audience(state: CompanyState | None, store_id: str) -> Audience:
    """Who has to be told of what this store writes of a company."""
    return Audience() if state is None else Audience(consumers=state.owed_by(store_id), is_there=bool(state.consumers))


def calls(copies: Sequence[Copy], *, stands: Callable[[Thing], bool], floor: int, audience: Audience) -> Iterator[Call]:
    """
    What keeps these copies.

    Args:
        stands: Whether there is something of that name, as read under the lock.
        floor: The highest deleted version that was known to the decision.
        audience: Who has to be told.
    """
    gone = [copy for copy in copies if copy.value is None]
    kept = [copy for copy in copies if copy.value is not None]
    yield from _removals(gone)
    yield from _rows(kept, stands, floor)
    if audience.consumers:
        yield from _sliced("owe", [(*copy.thing, copy.version) for copy in copies], list(audience.consumers))
    if audience.is_there:
        yield from _sliced("unbury", [(*copy.thing,) for copy in kept])
        yield from _sliced("bury", [(*copy.thing, copy.version) for copy in sorted(gone, key=lambda copy: copy.thing)])
    if gone:
        yield Call("raise_floor", (max(copy.version for copy in gone),))


def slices(calls_to_make: Iterable[Call]) -> Iterator[list[Call]]:
    """The same calls, as many together as make one trip of a good size."""
    together: list[Call] = []
    size = 0
    for call in calls_to_make:
        weight = _weight(call)
        if together and size + weight > MOST_BYTES:
            yield together
            together, size = [], 0
        together.append(call)
        size += weight
    yield together


def _removals(gone: Sequence[Copy]) -> Iterator[Call]:
    records = [copy.thing for copy in gone if copy.thing.part in ("ticket", "article")]
    parts = [copy.thing for copy in gone if copy.thing.part in ("summary", "checkpoint")]
    yield from _sliced("remove_records", [(*thing.key,) for thing in sorted(records)])
    yield from _sliced("remove_parts", [(*thing,) for thing in sorted(parts)])


def _rows(kept: Sequence[Copy], stands: Callable[[Thing], bool], floor: int) -> Iterator[Call]:
    added: dict[str, list[Row]] = {table: [] for table in _TABLES}
    changed: dict[str, list[Row]] = {table: [] for table in _TABLES}
    created = {copy.value.key: times.microseconds(copy.value.fields.created_at) for copy in kept if isinstance(copy.value, Ticket)}
    for copy in kept:
        if copy.value is not None:
            table, row = _row(copy.value, created)
            (changed if stands(copy.thing) else added)[table].append(row)
    for table in _TABLES:
        yield from _sliced(f"add_{table}", added[table], floor)
        yield from _sliced(f"change_{table}", changed[table])


def _row(value: Value, created: dict[Key, int]) -> tuple[str, Row]:
    match value:
        case Ticket():
            return "ticket", record_row(value)
        case Article():
            return "article", record_row(value)
        case Processing():
            return "ticket_state", state_row(value, created.get(value.key))
        case Summary():
            return "summary", summary_row(value)
        case Checkpoint():
            return "checkpoint", checkpoint_row(value)


def _sliced(function: str, rows: Sequence[Row], *first: object) -> Iterator[Call]:
    begin, size = 0, 0
    for end, row in enumerate(rows):
        weight = _bytes(row)
        if end > begin and (end - begin >= MOST_ROWS or size + weight > MOST_BYTES):
            yield _call(function, rows[begin:end], first)
            begin, size = end, 0
        size += weight
    if rows:
        yield _call(function, rows[begin:], first)


def _call(function: str, rows: Sequence[Row], first: tuple[object, ...]) -> Call:
    return Call(function, (*first, *(list(column) for column in zip(*rows, strict=True))))


def _bytes(row: Row) -> int:
    return sum(len(cell) for cell in row if isinstance(cell, bytes))


def _weight(call: Call) -> int:
    columns = (cast(list[object], column) for column in call.values if isinstance(column, list))
    return sum(len(cell) for column in columns for cell in column if isinstance(cell, bytes))
