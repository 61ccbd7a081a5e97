"""How far the filling of a mirror has come and what it left out, as the mirror itself keeps it: in the commit of each batch."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final

from attrs import frozen

from deskstore.domain.comparing import CURSOR
from deskstore.domain.mirror import PARTS, Copy, Thing, copy_of
from deskstore.domain.ports import Replica
from deskstore.domain.processing import Checkpoint

END: Final = Thing(PARTS[-1], "the end", "", "")  #: behind which there is nothing more to copy
MOST_REMEMBERED: Final = 1_000  #: things that were left out


@frozen(kw_only=True)
class Mark:
    """Where a filling goes on, and what it has left out so far."""

    after: Thing | None  #: behind this one; None: from the beginning
    left_out: Collection[Thing]  #: what could not be copied; the first 1,000
    version: int

    @property
    def can_go_on(self) -> bool:
        """Whether all that was left out is known by its name; else only who begins anew finds it."""
        return len(self.left_out) < MOST_REMEMBERED and all(one.platform for one in self.left_out)

    def copy(self) -> Copy:
        """What to keep in the mirror."""
        cursor = json.dumps({"after": self.after, "left_out": [*self.left_out][:MOST_REMEMBERED]})
        return copy_of(Checkpoint(platform=CURSOR.platform, stream=CURSOR.id, cursor=cursor, version=self.version))


async def mark_in(mirror: Replica) -> Mark:
    """How far a mirror was filled, as it tells itself."""
    (cursor,) = await mirror.read([CURSOR])
    if not isinstance(cursor.value, Checkpoint):
        return Mark(after=None, left_out=(), version=cursor.version)
    kept = json.loads(cursor.value.cursor)
    after = kept["after"] and Thing(*kept["after"])
    return Mark(after=after, left_out=[Thing(*one) for one in kept["left_out"]], version=cursor.version)
