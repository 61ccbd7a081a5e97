"""The two stores of one company, and which of them is what: where everything begins that concerns both."""

from __future__ import annotations

from typing import Final, Self

from attrs import frozen

from deskstore.domain.errors import CompanyErased, CompanyMoved
from deskstore.domain.ports import Replica
from deskstore.domain.things import CompanyState


@frozen(kw_only=True)
class Standing:
    """One store of a company, by its id, and where it says that the company lives."""

    replica: Replica
    store_id: str
    state: CompanyState | None  #: None: it does not know the company

    @property
    def is_primary(self) -> bool:
        """Whether it takes the writes, by its own word: nothing but a swap that is under way would tell otherwise."""
        return self.state is not None and self.state.primary == self.store_id and self.state.swapping_to is None

    @property
    def is_held_up(self) -> bool:
        """Whether it is the primary and takes no writes: it is about to hand them over, or has lost its database."""
        return self.state is not None and self.state.primary == self.store_id and self.state.swapping_to is not None

    def follows(self, primary: str) -> bool:
        """Whether it is the mirror of that store, by its own word."""
        return self.state is not None and self.state.primary == primary and self.state.mirror == self.store_id


async def standing(replica: Replica) -> Standing:
    """How a store stands to the company now; it is given its place if it has none yet."""
    store_id = await replica.store_id()
    return Standing(replica=replica, store_id=store_id, state=await replica.state())


class Sides:
    """
    A company in two stores, one of which takes the writes while the other follows it.

    Args:
        company_id: For messages.
        primary: The store that commits are sent to.
        mirror: The store that gets copies of what was committed.
    """

    def __init__(self, company_id: str, *, primary: Replica, mirror: Replica) -> None:
        self.company_id: Final = company_id
        self.primary: Final = primary
        self.mirror: Final = mirror

    def reversed(self) -> Self:
        """The same two, as they stand after a swap."""
        return type(self)(self.company_id, primary=self.mirror, mirror=self.primary)

    async def standings(self) -> tuple[Standing, Standing]:
        """How both stand now: the primary, the mirror."""
        return await standing(self.primary), await standing(self.mirror)

    async def checked(self) -> tuple[CompanyState, CompanyState]:
        """
        The states of both, which say that the one takes the writes, or is handing them over, and that the other follows it.

        Raises:
            CompanyErased: One of the stores does not know the company, or is about to forget it.
            CompanyMoved: They stand otherwise to one another.
        """
        primary, mirror = await self.standings()
        told, followed = primary.state, mirror.state
        if told is None or followed is None or told.erased or followed.erased:
            raise CompanyErased(self.company_id)
        if told.primary != primary.store_id or told.mirror != mirror.store_id:
            raise _moved(self.company_id, told)
        if not mirror.follows(primary.store_id):
            raise _moved(self.company_id, followed)
        return told, followed


def _moved(company_id: str, state: CompanyState) -> CompanyMoved:
    return CompanyMoved(company_id, primary=state.primary, epoch=state.epoch, swapping_to=state.swapping_to)
