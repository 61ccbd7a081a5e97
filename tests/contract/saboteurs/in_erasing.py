"""Companies of which too little, too much or nothing is told once they are erased."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from deskstore.domain.erasures import Erasure, Removed, company_hash
from deskstore.testing.contract import erasing as of_erasing
from tests.contract.saboteurs.base import Saboteur


class ForgetsWhatItErased(Saboteur):
    async def erasures(self) -> Sequence[Erasure]:
        return []

    breaks = (
        of_erasing.test_what_stays_of_an_erased_company_is_one_line_that_names_nobody,
        of_erasing.test_each_company_of_a_name_has_a_line_of_its_own_in_a_higher_epoch,
    )


class RemembersTheLastOfAName(Saboteur):
    async def erasures(self) -> Sequence[Erasure]:
        return [*{one.company_hash: one for one in await super().erasures()}.values()]

    breaks = (of_erasing.test_each_company_of_a_name_has_a_line_of_its_own_in_a_higher_epoch,)


class CountsNothingThatItErases(Saboteur):
    async def erase(self, company_id: str) -> Erasure | None:
        erasure = await super().erase(company_id)
        return erasure and evolve(erasure, removed=Removed())

    breaks = (
        of_erasing.test_erasing_tells_when_it_was_and_how_much_of_each_part,
        of_erasing.test_what_stays_of_an_erased_company_is_one_line_that_names_nobody,
    )


class CallsWhatItErasedByName(Saboteur):
    async def erase(self, company_id: str) -> Erasure | None:
        erasure = await super().erase(company_id)
        return erasure and evolve(erasure, company_hash=company_id)

    breaks = (of_erasing.test_what_stays_of_an_erased_company_is_one_line_that_names_nobody,)


class TellsOfWhatWasNeverThere(Saboteur):
    async def erase(self, company_id: str) -> Erasure | None:
        erasure = await super().erase(company_id)
        nothing = Erasure(company_hash=company_hash(company_id), epoch=1, erased_at=self.clock(), removed=Removed())
        return erasure or nothing

    breaks = (of_erasing.test_erasing_what_is_not_there_leaves_no_line,)
