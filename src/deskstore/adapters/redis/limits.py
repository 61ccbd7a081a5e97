"""How long the cache waits, and how long anything lives in it."""

from __future__ import annotations

from typing import Final

from attrs import frozen

MOST_KEYS: Final = 100  #: of one read or one unit; what concerns more goes past the cache, or ends all of a company's values
MOST_BYTES: Final = 1 << 20  #: of one value


@frozen(kw_only=True)
class Limits:
    """What a cache keeps to; tests shorten it, nobody else needs to."""

    timeout_s: float = 0.05  #: for anything that Redis is asked
    opening_s: float = 1.0  #: for finding out about a cluster, and for looking whether Redis is back
    value_s: float = 30.0  #: no value is older: the bound where a writer could not tell Redis
    tombstone_s: float = 30.0  #: must outlive every COMMIT, and never be shorter than value_s
    lease_s: float = 5.0  #: for reading the database and handing the value over
    settling_s: float = 5.0  #: after Redis was emptied nothing is kept for so long: writers may be under way whose tombstones it lost
    generation_s: float = 86_400.0  #: how long a company's generation outlives its last reader
    most_failures: int = 5  #: one after the other, before Redis is left alone
    pause_s: float = 1.0  #: for which it is left alone
