"""What is kept of one company, as one transaction sees it and changes it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from deskstore.domain import times
from deskstore.domain.changes import Changes
from deskstore.domain.columns import COLUMNS, row_of, value_of
from deskstore.domain.commits import Decision, Standing, decide, standing_of
from deskstore.domain.erasures import company_hash
from deskstore.domain.errors import CompanyMoved, CorruptRecord
from deskstore.domain.identifiers import Key
from deskstore.domain.mirror import Copy, Value
from deskstore.domain.processing import Processing
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.suppressions import Suppression, SuppressionName, names_of
from deskstore.domain.things import CompanyState, Part, Thing, plain_state, state_from
from deskstore_sqlite.database import NAME

ORDER: Final = ", ".join(NAME)
_THIS: Final = " AND ".join(f"{name} = ?" for name in NAME)
_OF_KEY: Final = "kind = ? AND platform = ? AND id = ? AND locale = ?"


class Company:
    """One company in a transaction."""

    def __init__(self, db: sqlite3.Connection, store_id: str, company_id: str) -> None:
        self.db: Final = db
        self.store_id: Final = store_id
        self.id: Final = company_id

    # -- where it lives --------------------------------------------------------------------------------------------------------------------

    def state(self) -> CompanyState | None:
        """Where it lives, or None before its first commit."""
        row = self.db.execute("SELECT state FROM company WHERE company = ?", (self.id,)).fetchone()
        return state_from(json.loads(row[0]), "the database") if row else None

    def become(self, state: CompanyState) -> None:
        """Let it live there."""
        self.db.execute(
            "INSERT INTO company (company, state) VALUES (?, ?) ON CONFLICT DO UPDATE SET state = excluded.state",
            (self.id, json.dumps(plain_state(state))),
        )

    def begin(self) -> CompanyState:
        """Its state, made if there is none."""
        if (state := self.state()) is None:
            state = CompanyState(primary=self.store_id, epoch=self.erased_epoch() + 1)
            self.become(state)
        return state

    def erased_epoch(self) -> int:
        """The epoch in which a company of that name was erased last; 0 = never."""
        found = self.db.execute("SELECT max(epoch) FROM erasure WHERE company_hash = ?", (company_hash(self.id),)).fetchone()
        return int(found[0] or 0)

    def check_writable(self) -> None:
        """Raise CompanyMoved when another store takes the company's writes, or is about to."""
        state = self.state()
        if state is not None and (state.primary != self.store_id or state.swapping_to is not None):
            raise CompanyMoved(self.id, primary=state.primary, epoch=state.epoch, swapping_to=state.swapping_to)

    @property
    def floor(self) -> int:
        """The highest version that was ever deleted."""
        row = self.db.execute("SELECT floor FROM company WHERE company = ?", (self.id,)).fetchone()
        return int(row[0]) if row else 0

    # -- what there is ---------------------------------------------------------------------------------------------------------------------

    def find(self, part: Part, where: str, *given: object, order: str = ORDER, limit: int = -1, offset: int = 0) -> list[Value]:
        """The things of a part that meet a condition in SQL."""
        columns = ", ".join((*NAME, "version", *COLUMNS[part]))
        statement = f"SELECT {columns} FROM {part} WHERE company = ? AND ({where}) ORDER BY {order} LIMIT ? OFFSET ?"
        return [_value(part, row) for row in self.db.execute(statement, (self.id, *given, limit, offset))]

    def value(self, thing: Thing) -> Value | None:
        """One thing, or None."""
        found = self.find(thing.part, _THIS, *thing[1:])
        return found[0] if found else None

    def record(self, key: Key) -> Ticket | Article | None:
        value = self.value(Thing(key.kind, *key))
        return value if isinstance(value, Ticket | Article) else None

    def processing(self, key: Key) -> Processing | None:
        value = self.value(Thing("processing", *key))
        return value if isinstance(value, Processing) else None

    def history(self, key: Key) -> list[Summary]:
        return [value for value in self.find("summary", _OF_KEY, *key) if isinstance(value, Summary)]

    def secrets(self) -> set[bytes]:
        return {row[0] for row in self.db.execute("SELECT DISTINCT secret FROM suppression WHERE company = ?", (self.id,))}

    def suppressed(self, names: Iterable[SuppressionName]) -> dict[SuppressionName, Suppression]:
        found = (self.value(Thing("suppression", "", *name)) for name in names)
        return {value.name: value for value in found if isinstance(value, Suppression)}

    # -- a commit --------------------------------------------------------------------------------------------------------------------------

    def decided(self, changes: Changes, now: datetime) -> Decision:
        """What a unit's changes come to; raises what commit() raises."""
        self.check_writable()
        checkpoints = (one.checkpoint for one in changes.checkpoints)
        named = {(one.platform, one.stream): self.value(Thing("checkpoint", "", one.platform, one.stream)) for one in checkpoints}
        requesters = names_of((change.record for change in changes.records), self.secrets())
        return decide(
            changes,
            {key: self._standing(key) for key in changes.keys},
            checkpoints={name: value.version for name, value in named.items() if value},
            floor=self.floor,
            now=now,
            suppressions=self.suppressed(changes.suppression_names),
            kept_out={key for name in self.suppressed(requesters) for key in requesters[name]},
        )

    def commit(self, copies: Sequence[Copy], now: datetime) -> None:
        """Keep copies of this store's own making, and owe them to whoever has to be told."""
        consumers = self.begin().owed_by(self.store_id)
        self.keep(copies, now)
        owed = [(consumer, copy) for consumer in consumers for copy in copies]
        self._put("debt", ("consumer", "part"), [(copy.thing, copy.version, (consumer, copy.thing.part)) for consumer, copy in owed])

    def keep(self, copies: Iterable[Copy], now: datetime) -> None:
        """Put each copy in the place of what stands there."""
        for copy in copies:
            if copy.moves_progress(self.processing(copy.thing.key)):
                self._move(copy.thing.platform, now)
            if copy.value is None:
                self._forget(copy)
            else:
                self._put(copy.thing.part, COLUMNS[copy.thing.part], [(copy.thing, copy.version, row_of(copy.value))])
                self.db.execute(f"DELETE FROM deleted WHERE company = ? AND part = ? AND {_THIS}", (self.id, *copy.thing))

    def _standing(self, key: Key) -> Standing:
        return standing_of(self.record(key), self.processing(key), self.history(key))

    def _put(self, table: str, names: Sequence[str], rows: Iterable[tuple[Thing, int, Sequence[object]]]) -> None:
        columns = ("company", *NAME, "version", *names)
        statement = f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' for _ in columns)})"
        self.db.executemany(statement, [(self.id, *thing[1:], version, *row) for thing, version, row in rows])

    def _move(self, platform: str, now: datetime) -> None:
        self.db.execute(
            "INSERT INTO moved VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET moved_us = max(moved_us, excluded.moved_us)",
            (self.id, platform, times.microseconds(now)),
        )

    def _forget(self, copy: Copy) -> None:
        thing, state = copy.thing, self.state()
        self.db.execute(f"DELETE FROM {thing.part} WHERE company = ? AND {_THIS}", (self.id, *thing[1:]))
        if thing.part in ("ticket", "article"):
            for part in ("processing", "summary"):
                self.db.execute(f"DELETE FROM {part} WHERE company = ? AND {_OF_KEY}", (self.id, *thing.key))
        self.db.execute("UPDATE company SET floor = max(floor, ?) WHERE company = ?", (copy.version, self.id))
        if state is not None and state.consumers:
            self._put("deleted", ("part",), [(thing, copy.version, (thing.part,))])


def _value(part: Part, row: Sequence[Any]) -> Value:
    # Any: what SQLite gives has no type
    thing = Thing(part, *row[: len(NAME)])
    try:
        return value_of(thing, row[len(NAME)], row[len(NAME) + 1 :])
    except (ValueError, TypeError, OverflowError) as error:
        raise CorruptRecord(thing.key, f"the row of {thing} in SQLite", str(error), number=thing.number) from error
