"""What a look through a store finds that is not as deskstore left it, and what has become of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import frozen

from deskstore.domain.identifiers import Key


class FindingKind(StrEnum):
    """What is wrong."""

    EDITED = "edited"  #: a record's file holds a JSON object that deskstore did not write there
    DAMAGED = "damaged"  #: a file in a record's place holds nothing that could be a record
    MISSING = "missing"  #: a record's file is gone
    ADDED = "added"  #: a file with a JSON object stands in the place of a record that nobody saved
    STRANGER = "stranger"  #: something stands in the company's place that belongs to no record
    LEFTOVER = "leftover"  #: something was set aside earlier and never deleted
    PERMISSIONS = "permissions"  #: others than the owner may read or change it
    STATE = "state"  #: the company's file and its database disagree
    DATABASE = "database"  #: the company's database is lost or damaged
    LAYOUT = "layout"  #: a newer release wrote it
    ERASURE = "erasure"  #: the company was being erased, and something interrupted that
    WAITING = "waiting"  #: files not yet written or not yet safe from a power cut; nothing is wrong
    CLAIMS = "claims"  #: no ticket is handed out for a while after a lost database; nothing is wrong


NOTES: Final = frozenset({FindingKind.WAITING, FindingKind.CLAIMS})
"""What is told and is no fault."""

LOSSES: Final = frozenset({FindingKind.EDITED, FindingKind.DAMAGED, FindingKind.MISSING})
"""What a repair can only set aside where nothing else holds what deskstore wrote."""

BLOCKING: Final = frozenset({FindingKind.STATE, FindingKind.DATABASE, FindingKind.LAYOUT, FindingKind.ERASURE})
"""What has to be settled before the records can be looked at."""

_ADVICE: Final = {
    FindingKind.EDITED: "--accept-edits takes it in as a new version, --repair sets it aside and gives the record up",
    FindingKind.DAMAGED: "restore the file from a backup, or --repair sets it aside and gives the record up",
    FindingKind.MISSING: "put the file back, or --repair gives the record up",
    FindingKind.ADDED: "--accept-edits takes it in as a new record, --repair sets it aside",
    FindingKind.STRANGER: "move it away, or --repair sets it aside",
    FindingKind.LEFTOVER: "take out of it what you need, then delete it",
    FindingKind.PERMISSIONS: "--repair closes it to others",
    FindingKind.STATE: "--repair takes the newer of the two",
    FindingKind.DATABASE: "close every process that uses the company; --repair then rebuilds it from the files",
    FindingKind.LAYOUT: "use the release of deskstore that wrote it",
    FindingKind.ERASURE: "--repair finishes it",
    FindingKind.WAITING: "nothing to do: the next process that opens the company alone, or the next checkpoint, sees to it",
    FindingKind.CLAIMS: "wait, or --release-claims once no worker of before is at work",
}


@frozen(kw_only=True)
class Finding:
    """One thing that is not as deskstore left it."""

    company_id: str
    kind: FindingKind
    place: str  #: the file, relative to the company's own place
    what: str  #: what is wrong with it, without a word of its content
    key: Key | None = None  #: the record concerned, where that is known
    number: int = 0  #: of the summary concerned; 0: the record itself
    is_healable: bool = False  #: what deskstore wrote is still there, elsewhere

    @property
    def is_fault(self) -> bool:
        """Whether something has to be done about it."""
        return self.kind not in NOTES

    @property
    def is_loss(self) -> bool:
        """Whether a repair has to give something up."""
        return self.kind in LOSSES and not self.is_healable

    @property
    def advice(self) -> str:
        """What can be done."""
        return "--repair heals it from the journal" if self.is_healable and self.kind in LOSSES else _ADVICE[self.kind]


class Remedy(StrEnum):
    """What has become of a finding."""

    HEALED = "healed"  #: all is again as deskstore left it
    TAKEN_IN = "taken in"  #: the edit is a new version of the record
    SET_ASIDE = "set aside"  #: moved out of the way; nothing that deskstore kept is gone
    LOST = "lost"  #: the record is given up; what was left of it is set aside
    LEFT = "left"  #: nothing was changed


@frozen(kw_only=True)
class Mended:
    """What was done about a finding; in a dry run, what would be."""

    finding: Finding
    remedy: Remedy
    detail: str = ""  #: where it lies now, or why nothing was changed
    summaries: int = 0  #: how many summaries went with a record that is lost


@frozen(kw_only=True)
class Offer:
    """What a file that another hand wrote holds."""

    payload: bytes
    key: Key | None = None  #: the record that the file itself names; None: it is a payload and nothing else


@frozen(kw_only=True)
class Check:
    """One thing that was tried at the place where a store keeps everything."""

    name: str
    is_fine: bool
    detail: str
