"""What a backup could not take, since the store could not vouch for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from deskstore.domain import payloads
from deskstore.domain.errors import CorruptRecord
from deskstore.domain.mirror import Copy, Part, Thing
from deskstore.domain.records import Article, Ticket
from deskstore.formats.archive.manifest import Loss
from deskstore.formats.archive.survey import record_of


class Losses:
    """The damaged things of a company; what is part of a damaged record is left out with it."""

    def __init__(self) -> None:
        self._noted: Final[dict[Thing | str, Loss]] = {}

    def note(self, error: CorruptRecord, thing: Thing | None = None) -> Thing | None:
        """Remember what is damaged, and say what is, where that is known; thing: the one that was asked for."""
        found = thing if error.key is None else self._thing(error)
        part, platform, identifier = (found.part, found.platform, found.id) if found else ("record", "", "")
        locale, number = (found.locale, found.number) if found else ("", 0)
        loss = Loss(part=part, platform=platform, id=identifier, locale=locale, number=number, place=error.place, reason=error.reason)
        self._noted.setdefault(found or error.place, loss)
        return found

    def hides(self, copy: Copy) -> bool:
        """Whether a thing is left out: it is damaged itself, or part of what is."""
        record = record_of(copy.thing)
        if (
            isinstance(copy.value, Ticket | Article)
            and copy.thing not in self._noted
            and payloads.digest(copy.value.payload) != copy.value.sha256
        ):
            key = copy.value.key
            self.note(CorruptRecord(key, f"the row of {key}", "its payload is not the one that its sha256 is of"))
        return copy.thing in self._noted or record in self._noted

    def told(self) -> Sequence[Loss]:
        """All of them, ascending by name."""
        return sorted(self._noted.values(), key=lambda one: (one.part, one.platform, one.id, one.locale, one.number, one.place))

    def _thing(self, error: CorruptRecord) -> Thing | None:
        if error.key is None:
            return None
        part: Part = "summary" if error.number else error.key.kind
        return Thing(part, *error.key, error.number)
