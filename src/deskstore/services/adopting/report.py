"""What became of a tree that was taken over."""

from __future__ import annotations

from collections import Counter
from typing import Final

from attrs import Factory, define, frozen

from deskstore.domain.receiving import Outcome

NOT_PLACED: Final = "not placed"


@frozen(kw_only=True)
class Row:
    """How many of one kind of one platform of one company became what."""

    company_id: str
    platform: str
    kind: str  #: tickets, articles, summaries, or other
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0  #: what deskstore has was received later
    suppressed: int = 0  #: of requesters who were erased
    not_placed: int = 0


@frozen(kw_only=True)
class NotPlaced:
    """A file of which nothing was kept."""

    file: str  #: from the tree's directory on
    reason: str


@frozen(kw_only=True)
class Remark:
    """Something to know about files that were taken over."""

    company_id: str
    text: str
    files: tuple[str, ...]


@frozen(kw_only=True)
class Difference:
    """A number of a progress file that is not what a recount of the tree gives."""

    file: str
    name: str
    recorded: int | str
    counted: int


@frozen(kw_only=True)
class AdoptReport:
    """All that became of the tree; each list has every file, in the order in which they were read."""

    rows: tuple[Row, ...] = ()
    not_placed: tuple[NotPlaced, ...] = ()
    remarks: tuple[Remark, ...] = ()
    differences: tuple[Difference, ...] = ()
    damaged: int = 0  #: of those not placed: files whose stored record cannot be trusted


@define(kw_only=True)
class Ledger:
    """A report in the making."""

    counts: Counter[tuple[str, str, str, str]] = Factory(Counter[tuple[str, str, str, str]])
    not_placed: list[NotPlaced] = Factory(list[NotPlaced])
    remarks: dict[tuple[str, str], list[str]] = Factory(dict[tuple[str, str], list[str]])
    differences: list[Difference] = Factory(list[Difference])
    damaged: int = 0

    def count(self, company_id: str, platform: str, kind: str, outcome: Outcome) -> None:
        """One more that became something."""
        self.counts[company_id, platform, kind, outcome.value] += 1

    def leave(self, company_id: str, platform: str, kind: str, file: str, reason: str) -> None:
        """One more file of which nothing was kept."""
        self.counts[company_id, platform, kind, NOT_PLACED] += 1
        self.not_placed.append(NotPlaced(file=file, reason=reason))

    def remark(self, company_id: str, file: str, text: str) -> None:
        """One more file of which something is to be known."""
        self.remarks.setdefault((company_id, text), []).append(file)

    def report(self) -> AdoptReport:
        """The report, as far as it has come."""
        return AdoptReport(
            rows=tuple(self._row(*named) for named in sorted({named[:3] for named in self.counts})),
            not_placed=tuple(self.not_placed),
            remarks=tuple(
                Remark(company_id=company_id, text=text, files=tuple(files)) for (company_id, text), files in self.remarks.items()
            ),
            differences=tuple(self.differences),
            damaged=self.damaged,
        )

    def _row(self, company_id: str, platform: str, kind: str) -> Row:
        became = {outcome.value: self.counts[company_id, platform, kind, outcome.value] for outcome in Outcome}
        left = self.counts[company_id, platform, kind, NOT_PLACED]
        return Row(company_id=company_id, platform=platform, kind=kind, **became, not_placed=left)
