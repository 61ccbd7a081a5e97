"""A company as two stores see it: where it lives, and the names of the separately versioned things in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple

from attrs import asdict, evolve, field, fields, frozen

from deskstore.domain.errors import RESTORE, CompanyErased, CompanyMoved, ConfigurationError, ErasedBefore, MigrationError
from deskstore.domain.identifiers import Key

Part = Literal["ticket", "article", "processing", "summary", "checkpoint", "suppression"]
MIRROR: Final = "mirror"  #: the name under which a mirror consumes the outbox
#: in the order they are copied
PARTS: Final[tuple[Part, ...]] = ("ticket", "article", "processing", "summary", "checkpoint", "suppression")


class Thing(NamedTuple):
    """The name of one separately versioned thing of a company."""

    part: Part
    kind: str  #: of the record it belongs to; empty for a checkpoint and a suppression
    platform: str
    id: str  #: of the record, or the checkpoint's stream, or the suppression's digest
    locale: str = ""
    number: int = 0  #: of a summary

    @property
    def key(self) -> Key:
        """The key of the record it belongs to; of no meaning for what belongs to none."""
        return Key("article" if self.kind == "article" else "ticket", self.platform, self.id, self.locale)

    @property
    def is_of_record(self) -> bool:
        """Whether it is a record, or goes with one."""
        return self.part not in ("checkpoint", "suppression")


class Debt(NamedTuple):
    """A thing that a consumer of the outbox has yet to be told of, at the version it had when it was recorded."""

    thing: Thing
    version: int


class MirrorStatus(StrEnum):
    """What the other store of a company is worth."""

    NONE = "none"
    FILLING = "filling"
    VERIFIED = "verified"


def _names(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(given)))


@frozen(kw_only=True)
class CompanyState:
    """Where a company lives; kept in both stores, and the highest epoch is right."""

    primary: str  #: the id of the store that takes the writes
    mirror: str | None = None  #: the id of the store that follows it
    mirror_status: MirrorStatus = MirrorStatus.NONE
    epoch: int = 1  #: grows when the primary changes, when a mirror goes, and over an erasure, so that whatever comes late is known
    swapping_to: str | None = None  #: the store that is about to become the primary, or the primary itself to be healed: no commit passes
    erased: bool = False
    backups: tuple[str, ...] = field(default=(), converter=_names)  #: those under way: each consumes the outbox by a name of its own

    @property
    def is_restored(self) -> bool:
        """Whether a backup is being restored into it, or was when that was interrupted: whoever restores ends it, and nobody else."""
        return self.swapping_to is not None and self.swapping_to.startswith(RESTORE)

    @property
    def consumers(self) -> tuple[str, ...]:
        """Who has to be told of every change, ascending; what is deleted is remembered while there is anybody."""
        return _names((*self.backups, MIRROR) if self.mirror is not None else self.backups)

    def owed_by(self, store_id: str) -> tuple[str, ...]:
        """The consumers for whom each commit of this store must record what it changed."""
        return self.consumers if self.primary == store_id else ()


def plain_state(state: CompanyState) -> dict[str, Any]:
    """The fields of a state by their names, fit for JSON."""
    # Any: as attrs says
    return asdict(state)


def state_from(plain: Mapping[str, Any], place: str) -> CompanyState:
    """
    The state of which such fields were stored; those of which nothing was known then are as they were then.

    Raises:
        ConfigurationError: A newer release wrote it.
        ValueError, TypeError: deskstore never wrote it.
    """
    # Any: whatever was stored
    strange = sorted(plain.keys() - _FIELDS)
    if (status := plain["mirror_status"]) not in list(MirrorStatus):
        strange.append(f"mirror_status {status}")
    if strange:
        raise ConfigurationError(
            f"{place} says where the company lives in words of a newer release ({', '.join(strange)}): use that release, or one after it"
        )
    for name, value in plain.items():
        if type(value) not in _TYPES.get(name, (str,)):
            raise TypeError(f"{place} holds a state whose {name} is of type {type(value).__name__}")
    return evolve(CompanyState(**plain), mirror_status=MirrorStatus(status))


_FIELDS: Final = frozenset(one.name for one in fields(CompanyState))
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "mirror": (str, type(None)),
    "mirror_status": (str, MirrorStatus),
    "epoch": (int,),
    "swapping_to": (str, type(None)),
    "erased": (bool,),
    "backups": (list, tuple),
}  #: of fields that are not plain text; exactly, for a text such as "no" would count as true


def after_loss(state: CompanyState, store_id: str) -> CompanyState:
    """
    The state of a company in a store that has lost its database, and with it what it owed or was given last.

    It is no verified side any more. As the primary it takes no writes before it has asked its mirror for what is newer there. A swap
    that was under way keeps its epoch: who ends it goes by that.
    """
    if state.mirror is None or store_id not in (state.primary, state.mirror) or state.erased:
        return state
    if store_id == state.mirror:
        return evolve(state, mirror_status=MirrorStatus.FILLING, epoch=state.epoch + 1)
    if state.swapping_to is not None:
        return evolve(state, mirror_status=MirrorStatus.FILLING)
    return evolve(state, mirror_status=MirrorStatus.FILLING, swapping_to=store_id, epoch=state.epoch + 1)


def check_epoch(company_id: str, state: CompanyState | None, expected: int | None) -> None:
    """
    See that a company is still what it was when somebody read its epoch; None counts on nothing but that it is not being erased.

    Raises:
        CompanyErased: There is none, or it is being erased.
        CompanyMoved: It is in another epoch.
    """
    is_gone = expected is not None if state is None else state.erased
    if is_gone:
        raise CompanyErased(company_id)
    if state is not None and expected not in (None, state.epoch):
        raise CompanyMoved(company_id, primary=state.primary, epoch=state.epoch, swapping_to=state.swapping_to, expected_epoch=expected)


def check_home(company_id: str, state: CompanyState, store_id: str) -> None:
    """See that a company lives in that store, as far as the store knows; raises CompanyMoved: what it holds may be old."""
    if state.primary != store_id:
        raise CompanyMoved(company_id, primary=state.primary, epoch=state.epoch, swapping_to=state.swapping_to)


def check_beginning(company_id: str, erased_epoch: int, wanted: CompanyState) -> None:
    """See that a company may begin in a state, after one of its name was erased here in an epoch (0 = never); raises ErasedBefore."""
    if wanted.epoch <= erased_epoch:
        raise ErasedBefore(company_id, erased_epoch=erased_epoch, epoch=wanted.epoch)


def check_succession(company_id: str, before: CompanyState, wanted: CompanyState) -> None:
    """
    See that one state may follow another.

    Raises:
        CompanyErased: The company is being erased, and has no state after that.
        MigrationError: The epoch stays where it must grow: what comes late could not be told from what comes in time.
    """
    if before.erased:
        raise CompanyErased(company_id)
    has_parted = before.primary != wanted.primary or before.mirror not in (None, wanted.mirror)
    if wanted.epoch < before.epoch or (has_parted and wanted.epoch == before.epoch):
        raise MigrationError(
            f"company {company_id!r} is in epoch {before.epoch}, and is to change its primary or to part from its mirror "
            f"in epoch {wanted.epoch}: give it an epoch above {before.epoch}; nothing was changed"
        )
