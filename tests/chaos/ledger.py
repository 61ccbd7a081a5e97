"""
What writers were told while something went wrong around them, a line each, and whether what is left agrees.

Each ticket has one writer, so that what may have become of it is known exactly:

    try save ID         about to be saved; the same line with `delete`
    kept ID VERSION     it was acknowledged
    gone ID             its deletion was
    back ID WHAT        a read gave something older than was acknowledged
    refused KIND        an error came, and may have come after the commit
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from attrs import Factory, define


@define
class Told:
    """What the writer of one ticket knows of it."""

    version: int = 0  #: at which it was acknowledged; 0: it is gone, or never was
    tried: set[str] = Factory(set[str])  #: since, without an answer

    def agrees(self, found: int) -> bool:
        """Whether the ticket may stand at that version; 0: it does not exist."""
        if found == self.version:
            return True
        if found == 0:
            return "delete" in self.tried
        return "save" in self.tried and found > self.version


@define
class Ledger:
    """All that writers wrote down."""

    told: dict[str, Told] = Factory(dict[str, Told])
    steps_back: list[str] = Factory(list[str])
    refused: Counter[str] = Factory(Counter[str])
    acknowledged: int = 0

    @classmethod
    def of(cls, lines: Iterable[str]) -> Ledger:
        """What these lines say."""
        made = cls()
        for line in lines:
            made._note(*line.split(" ", 2))
        return made

    def _note(self, what: str, name: str = "", more: str = "") -> None:
        match what:
            case "try":
                self.told.setdefault(more, Told()).tried.add(name)
            case "kept" | "gone":
                self.told[name] = Told(version=int(more or 0))
                self.acknowledged += 1
            case "back":
                self.steps_back.append(f"{name} {more}")
            case "refused":
                self.refused[name] += 1
            case _:
                raise ValueError(f"{what} {name} {more}: nobody writes such a line")

    def faults(self, standing: Mapping[str, int]) -> Iterator[str]:
        """What was lost, came back or went back, of tickets that stand at these versions."""
        yield from (f"a reader was taken back: {one}" for one in self.steps_back)
        for name, told in sorted(self.told.items()):
            found = standing.get(name, 0)
            if not told.agrees(found):
                yield f"{name} was acknowledged at version {told.version} (tried since: {sorted(told.tried)}), and is at {found}"
        yield from (f"{name} was never saved" for name in sorted(standing.keys() - self.told.keys()))
