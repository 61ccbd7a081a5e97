"""What came of each step of a migration, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from deskstore.domain.comparing import Difference
from deskstore.domain.filling import Reject
from deskstore.domain.mirror import MirrorStatus, Part

Place = Literal["source", "target", "neither"]


@frozen(kw_only=True)
class MigrationStatus:
    """How far a company's migration has come."""

    company_id: str
    lives_in: Place  #: which storage takes its writes; neither: nobody knows the company
    mirror: MirrorStatus  #: what the other one is worth
    epoch: int
    debts: int  #: things the mirror has yet to be given; at most 10,000 are counted
    is_held_up: bool  #: whether no writes pass at this moment
    is_filled: bool  #: whether the mirror was given everything once, and nobody has verified it since
    is_other_side_down: bool = False  #: whether the side in which it does not live did not answer: whether that is filled nobody knows


@frozen(kw_only=True)
class MigrationPlan:
    """What a migration would move, and what is in its way."""

    company_id: str
    things: Mapping[Part, int]
    size_bytes: int  #: of all payloads and contents
    damaged: tuple[Reject, ...]  #: what cannot be read, and so not be moved
    obstacles: tuple[str, ...]  #: why start would refuse


@frozen(kw_only=True)
class StartReport:
    """What came of attaching a mirror and filling it."""

    company_id: str
    was_resumed: bool
    things: int  #: read from the primary in this run
    kept: int  #: that the mirror did not have as new before
    size_bytes: int
    seconds: float
    rejects: tuple[Reject, ...]  #: what could not be copied; the first 1,000

    @property
    def is_complete(self) -> bool:
        """Whether nothing was left out."""
        return not self.rejects


@frozen(kw_only=True)
class VerifyReport:
    """What came of comparing both sides."""

    company_id: str
    is_verified: bool  #: whether the mirror may become the primary
    counts: Mapping[Part, tuple[int, int]]  #: things of the primary, of the mirror; of changes: those that were still owed
    different: int
    differences: tuple[Difference, ...]  #: the first 1,000
    accepted: int  #: differences that somebody had said are to be left out
    seconds: float


@frozen(kw_only=True)
class RepairReport:
    """What came of mending what differed."""

    company_id: str
    was_healed: bool  #: whether the primary had lost its database, and takes writes again
    mended: int
    left: int  #: differences that could not be mended
    differences: tuple[Difference, ...]  #: those that are left


@frozen(kw_only=True)
class SwapReport:
    """What came of making the other side the primary."""

    company_id: str
    lives_in: Place
    was_there: bool  #: whether there was nothing to do
    epoch: int
    held_up_s: float  #: for how long no commit passed


@frozen(kw_only=True)
class FinishReport:
    """What came of letting go of the side that is not the primary."""

    company_id: str
    lives_in: Place
    was_deleted: bool  #: whether the other side was erased
