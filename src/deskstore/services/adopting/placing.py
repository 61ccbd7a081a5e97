"""What became of one company's records and summaries, whatever they were read from, batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import Factory, define

from deskstore.domain.errors import CorruptRecord
from deskstore.domain.identifiers import TICKET
from deskstore.domain.ports import Storage
from deskstore.domain.processing import COMPLETED, FAILED, PENDING, ProcessingStatus
from deskstore.domain.receiving import Outcome
from deskstore.formats import naive
from deskstore.formats.naive import Found, FoundSummary, FoundTicket
from deskstore.services.adopting.records import FoundRecord, keep_records
from deskstore.services.adopting.report import Difference, Ledger
from deskstore.services.adopting.summaries import Known, keep_summaries

TICKETS: Final = "tickets"
ARTICLES: Final = "articles"
SUMMARIES: Final = "summaries"


@define
class Done:
    """How many files or rows a run has done."""

    tell: Callable[[int], None] | None
    files: int = 0

    def add(self, files: int) -> None:
        """So many more."""
        self.files += files
        if self.tell is not None:
            self.tell(self.files)


@define(kw_only=True)
class Placing:
    """One company on its way into a storage; each thing is named by the place that it was read from."""

    storage: Storage
    company_id: str
    ledger: Ledger
    is_dry: bool
    where: Callable[[str], tuple[str, str]]  #: the platform of a place, and the kind of what stands there
    known: Known = Factory(Known)
    recount: Counter[tuple[str, ProcessingStatus]] = Factory(Counter[tuple[str, ProcessingStatus]])

    async def keep_records(self, batch: dict[str, FoundRecord]) -> None:
        """Keep a batch, no record twice in it."""
        while batch:
            try:
                kept = await keep_records(self.storage, self.company_id, [*batch.values()], dry_run=self.is_dry)
            except CorruptRecord as error:
                self._leave_damaged(batch, [path for path, found in batch.items() if found.incoming.key == error.key], error)
                continue
            for (path, found), one in zip(batch.items(), kept, strict=True):
                self._placed(path, found, one.outcome)
                if one.summary is not None:
                    self.ledger.count(self.company_id, found.incoming.key.platform, SUMMARIES, one.summary)
            return

    def _placed(self, path: str, found: FoundRecord, outcome: Outcome) -> None:
        key = found.incoming.key
        self.known.add(found)
        self.ledger.count(self.company_id, key.platform, TICKETS if key.kind == TICKET else ARTICLES, outcome)
        if isinstance(found, FoundTicket):
            self.recount[key.platform, found.status or PENDING] += 1
        self._remark(path, found)

    async def keep_summaries(self, batch: dict[str, FoundSummary]) -> None:
        """Keep a batch, after the records that they are of."""
        while batch:
            try:
                kept = await keep_summaries(self.storage, self.company_id, [*batch.values()], self.known, dry_run=self.is_dry)
            except CorruptRecord as error:
                named = error.key[1:3] if error.key else None
                self._leave_damaged(batch, [path for path, one in batch.items() if (one.platform, one.record_id) == named], error)
                continue
            for (path, found), became in zip(batch.items(), kept, strict=True):
                if isinstance(became, Outcome):
                    self.ledger.count(self.company_id, found.platform, SUMMARIES, became)
                    self._remark(path, found)
                else:
                    self.leave(path, became)
            return

    def _leave_damaged(self, batch: dict[str, FoundRecord] | dict[str, FoundSummary], paths: Sequence[str], error: CorruptRecord) -> None:
        """Take out of a batch what cannot be kept, because the stored record it concerns is damaged."""
        if not paths:
            raise error
        for path in paths:
            del batch[path]
            self.leave(path, str(error))
            self.ledger.damaged += 1

    def compare(self, place: str, platform: str, said: Mapping[str, int | str]) -> None:
        """Name what somebody counted otherwise than a recount of what was found."""
        counted = self._counted(platform)
        for name, number in said.items():
            if number != counted[name]:
                self.ledger.differences.append(Difference(file=place, name=name, recorded=number, counted=counted[name]))

    def leave(self, place: str, reason: str) -> None:
        """Name something of which nothing is kept."""
        platform, kind = self.where(place)
        self.ledger.leave(self.company_id, platform, kind, place, reason)

    def _counted(self, platform: str) -> Mapping[str, int]:
        total = sum(number for (of, _), number in self.recount.items() if of == platform)
        completed, failed = self.recount[platform, COMPLETED], self.recount[platform, FAILED]
        return dict(zip(naive.COUNTS, (total, completed, failed), strict=True))

    def _remark(self, path: str, found: Found) -> None:
        for text in found.remarks:
            self.ledger.remark(self.company_id, path, text)
