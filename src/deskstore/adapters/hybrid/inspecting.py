"""What the doctor is told of two storages: of each by itself, and of each company how it stands between them and what to do next."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

from attrs import evolve

from deskstore.domain.errors import RESTORE, ConfigurationError, InvalidRecord, StorageError, StorageUnavailable
from deskstore.domain.findings import LOSSES, Check, Finding, Mended, Offer, Remedy
from deskstore.domain.healing import fetch
from deskstore.domain.mirror import CompanyState, MirrorStatus, Thing
from deskstore.domain.ports import Inspectable, Inspection, Storage

if TYPE_CHECKING:
    from deskstore.adapters.hybrid.company import Where, Whereabouts
    from deskstore.adapters.hybrid.storage import HybridStorage

_BACKUP: Final = "a backup of it is under way"


class HybridInspection:
    """Both sides as each of them is seen by itself; what one of them has lost is fetched from the other."""

    def __init__(self, storage: HybridStorage) -> None:
        self._storage: Final = storage
        self._sides: Final[dict[Where, Inspection]] = {"near": _inspection(storage.near), "far": _inspection(storage.far)}
        self._names: Final = storage.names
        self._found_far: Final[set[tuple[str, str]]] = set()

    async def checks(self) -> Sequence[Check]:
        """What can be told of both places, and how every company stands between them; a side that does not answer is one that failed."""
        found: list[Check] = []
        for where, side in self._sides.items():
            found += await _checks(side, self._names[where])
        try:
            companies = await self._storage.companies()
        except StorageUnavailable:
            companies = await self._known_to_one()
        return [*found, *[await self._standing(company_id) for company_id in companies]]

    async def companies(self) -> Sequence[str]:
        """Every company of which something is there, on any side that answers."""
        found: set[str] = set()
        for side in self._sides.values():
            try:
                found |= {*await side.companies()}
            except StorageUnavailable:
                continue  # the checks tell
        return sorted(found)

    async def layout(self, company_id: str) -> int | None:
        """In which version of the layout a company is kept, on the near side if it is there."""
        return await self._sides["near"].layout(company_id) or await self._sides["far"].layout(company_id)

    async def findings(self, company_id: str) -> AsyncIterator[Finding]:
        """Whatever of a company is not as it was left, on both sides."""
        async for finding in self._sides["near"].findings(company_id):
            yield finding
        async for finding in self._sides["far"].findings(company_id):
            self._found_far.add((finding.company_id, finding.place))
            yield finding

    async def offer(self, finding: Finding) -> Offer:
        """What another hand wrote where the company lives; raises InvalidRecord where it only follows."""
        where = self._where(finding)
        if (await self._storage.company(finding.company_id).locate()).primary not in (where, None):
            raise InvalidRecord(f"in the {self._names[where]} it is a copy: change it where it lives; --repair fetches it from there")
        return await self._sides[where].offer(finding)

    async def mend(self, finding: Finding) -> Mended:
        """Heal what was found, if need be with what the other side holds, or set it aside."""
        mended = await self._sides[self._where(finding)].mend(finding)
        if mended.remedy is not Remedy.LEFT or finding.key is None or finding.kind not in LOSSES:
            return mended
        company = self._storage.company(finding.company_id)
        found = await company.locate()
        if found.primary is None or found.state is None or found.state.mirror is None:
            return mended
        part = "summary" if finding.number else finding.key.kind
        if not await fetch(company.sides(found.primary), Thing(part, *finding.key, finding.number)):
            return mended
        return evolve(mended, remedy=Remedy.HEALED, detail=f"it was fetched from the other side{_aside(mended)}")

    async def release_claims(self, company_id: str) -> bool:
        """Hand tickets out again where the company lives."""
        found = await self._storage.company(company_id).locate()
        return await self._sides[found.primary or "near"].release_claims(company_id)

    async def _known_to_one(self) -> Sequence[str]:
        found: set[str] = set()
        for side in (self._storage.near, self._storage.far):
            try:
                found |= {*await side.companies()}
            except StorageUnavailable:
                continue  # the checks tell
        return sorted(found)

    def _where(self, finding: Finding) -> Where:
        return "far" if (finding.company_id, finding.place) in self._found_far else "near"

    # -- how a company stands ------------------------------------------------------------------------------------------------------------

    async def _standing(self, company_id: str) -> Check:
        name = f"sides of {company_id}"
        try:
            found = await self._storage.company(company_id).locate()
            return await self._told(name, company_id, found)
        except StorageError as error:
            return Check(name=name, is_fine=False, detail=str(error))

    async def _told(self, name: str, company_id: str, found: Whereabouts) -> Check:
        if found.primary is None or found.state is None:
            return Check(name=name, is_fine=True, detail="nothing is kept of it")
        here, state = self._names[found.primary], found.state
        begins = f"it lives in the {here}, epoch {state.epoch}"
        if found.is_held_up:
            return Check(name=name, is_fine=False, detail=f"{begins}, and takes no writes: {_held_up(state)}")
        if state.mirror is None:
            return Check(name=name, is_fine=True, detail=f"{begins}, alone: `deskstore migrate start` lets the other side follow")
        there: Where = "near" if found.primary == "far" else "far"
        lag = await self._storage.lag(company_id)
        owed = f"{lag.debts:,}{'+' if lag.debts >= self._storage.MOST_LAG else ''} things behind"
        followed = f"{begins}; its mirror in the {self._names[there]} is {state.mirror_status}, {owed}"
        try:
            await self._storage.company(company_id).replicas[there].state()
        except StorageUnavailable as error:
            breaker = "; it is tried again later and later" if lag.is_mirror_down else ""
            return Check(name=name, is_fine=False, detail=f"{followed}, and does not answer{breaker}: writes go on; see to it ({error})")
        return Check(name=name, is_fine=True, detail=f"{followed}: {_next(state)}")


def _inspection(storage: Storage) -> Inspection:
    if isinstance(storage, Inspectable):
        return storage.inspection()
    raise ConfigurationError("one of the two storages cannot be looked through")


async def _checks(side: Inspection, name: str) -> list[Check]:
    try:
        return [evolve(check, name=f"{name}: {check.name}") for check in await side.checks()]
    except StorageUnavailable as error:
        return [Check(name=name, is_fine=False, detail=str(error))]


def _held_up(state: CompanyState) -> str:
    """What somebody is at who holds a company up, and how it ends."""
    if state.swapping_to == state.primary:
        return "it lost its database, and the mirror may know more: `deskstore migrate repair` asks it"
    if str(state.swapping_to).startswith(RESTORE):
        return "a backup is being restored into it: restore again, or undo it with `deskstore backup restore --undo`"
    return "it is moving, or a swap was left behind: the next writer ends it, or `deskstore migrate repair`"


def _next(state: CompanyState) -> str:
    if state.backups:
        return _BACKUP
    if state.mirror_status is MirrorStatus.VERIFIED:
        return "they may change places with `deskstore migrate cutover` or `rollback`, or part with `finish`"
    return "`deskstore migrate start` goes on to fill it, and `deskstore migrate verify` comes after that"


def _aside(mended: Mended) -> str:
    _, _, place = mended.detail.partition("; ")
    return f"; {place}" if place else ""
