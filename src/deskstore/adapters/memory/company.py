"""All that is kept of one company, and what a change makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime

from attrs import Factory, define

from deskstore.domain.commits import Standing, standing_of
from deskstore.domain.erasures import Removed
from deskstore.domain.identifiers import Key
from deskstore.domain.mirror import CompanyState, Copy, Part, Thing, Value
from deskstore.domain.processing import Processing
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.suppressions import Suppression, SuppressionName, names_of


@define(kw_only=True, eq=False)
class Company:
    """The values of one company, each under its name, and what is derived from them."""

    state: CompanyState
    values: dict[Thing, Value] = Factory(dict[Thing, Value])
    deleted: dict[Thing, int] = Factory(dict[Thing, int])  #: versions of what was deleted while somebody had to be told
    debts: dict[str, dict[Thing, int]] = Factory(dict[str, dict[Thing, int]])  #: of each consumer
    floor: int = 0  #: the highest version ever deleted
    changed_at: dict[str, datetime] = Factory(dict[str, datetime])  #: when a platform's tickets last changed
    suppressions: set[Thing] = Factory(set[Thing])  #: the names of all that ever were
    summaries: dict[Key, int] = Factory(dict[Key, int])  #: of each record that has any, a number that none of them exceeds

    def of(self, part: Part) -> list[Value]:
        """All things of one part, ascending by their names."""
        return [value for thing, value in sorted(self.values.items(), key=lambda item: item[0]) if thing.part == part]

    def standing(self, key: Key) -> Standing:
        """What a decision about a record needs to know."""
        return standing_of(self.record(key), self.processing(key), self.history(key))

    def amount(self) -> Removed:
        """How much there is of it."""
        parts = Counter(thing.part for thing in self.values)
        return Removed(
            tickets=parts["ticket"],
            articles=parts["article"],
            summaries=parts["summary"],
            processing=parts["processing"],
            claims=sum(isinstance(value, Processing) and value.claim is not None for value in self.values.values()),
            checkpoints=parts["checkpoint"],
            suppressions=parts["suppression"],
        )

    def record(self, key: Key) -> Ticket | Article | None:
        """The record, or None when there is none."""
        value = self.values.get(Thing(key.kind, *key))
        return value if isinstance(value, Ticket | Article) else None

    def processing(self, key: Key) -> Processing | None:
        """How far a ticket has come, or None when there is no such ticket."""
        value = self.values.get(Thing("processing", *key))
        return value if isinstance(value, Processing) else None

    def processing_on(self, platform: str) -> list[Processing]:
        """Of every ticket of a platform."""
        return [value for value in self.values.values() if isinstance(value, Processing) and value.key.platform == platform]

    def history(self, key: Key) -> list[Summary]:
        """All summaries of a record, ascending by number."""
        numbers = range(1, self.summaries.get(key, 0) + 1)
        found = (self.values.get(Thing("summary", *key, number)) for number in numbers)
        return [value for value in found if isinstance(value, Summary)]

    def secrets(self) -> set[bytes]:
        """The secrets under which suppressed requesters are hashed."""
        return {value.secret for value in map(self.values.get, self.suppressions) if isinstance(value, Suppression)}

    def suppressed(self, names: Iterable[SuppressionName]) -> dict[SuppressionName, Suppression]:
        """Those among these suppressions that exist."""
        found = (self.values.get(Thing("suppression", "", *name)) for name in names)
        return {value.name: value for value in found if isinstance(value, Suppression)}

    def kept_out(self, records: Iterable[Ticket | Article]) -> set[Key]:
        """Those whose requester is suppressed."""
        named = names_of(records, self.secrets())
        return {key for name in self.suppressed(named) for key in named[name]}

    def keep(self, copies: Iterable[Copy], now: datetime) -> None:
        """Keep copies as they are, deletions included."""
        for copy in copies:
            if copy.moves_progress(self.processing(copy.thing.key)):
                self.changed_at[copy.thing.platform] = max(now, self.changed_at.get(copy.thing.platform, now))
            if copy.value is None:
                self._forget(copy)
            else:
                self.values[copy.thing] = copy.value
                self.deleted.pop(copy.thing, None)
            if isinstance(copy.value, Suppression):
                self.suppressions.add(copy.thing)
            if isinstance(copy.value, Summary):
                self.summaries[copy.value.key] = max(self.summaries.get(copy.value.key, 0), copy.value.number)

    def versions(self, copies: Iterable[Copy]) -> dict[Thing, int]:
        """The version at which each thing stands here, or was deleted."""
        found = ((copy.thing, self.values.get(copy.thing)) for copy in copies)
        return {thing: value.version if value else self.deleted.get(thing, 0) for thing, value in found}

    def is_orphan(self, copy: Copy, arriving: Collection[Key]) -> bool:
        """Whether it is part of a record that is neither here nor on its way."""
        belongs = copy.value is not None and copy.thing.part in ("processing", "summary")
        return belongs and copy.thing.key not in arriving and self.record(copy.thing.key) is None

    def owe(self, consumers: Iterable[str], copies: Collection[Copy]) -> None:
        """Note for each consumer what it has to be told of."""
        for consumer in consumers:
            self.debts.setdefault(consumer, {}).update({copy.thing: copy.version for copy in copies})

    def become(self, state: CompanyState) -> None:
        """Take a state, and forget what was kept for consumers that are none any more."""
        self.state = state
        self.debts = {consumer: debts for consumer, debts in self.debts.items() if consumer in state.consumers}
        if not state.consumers:
            self.deleted.clear()

    def _forget(self, copy: Copy) -> None:
        self.values.pop(copy.thing, None)
        if copy.thing.part in ("ticket", "article"):
            self._forget_parts(copy.thing.key)
        self.floor = max(self.floor, copy.version)
        if self.state.consumers:
            self.deleted[copy.thing] = copy.version

    def _forget_parts(self, key: Key) -> None:
        self.values.pop(Thing("processing", *key), None)
        for number in range(1, self.summaries.pop(key, 0) + 1):
            self.values.pop(Thing("summary", *key, number), None)
