"""What stays of a company that was erased: one line that tells how much it was and when, and names nobody."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from attrs import frozen


@frozen(kw_only=True)
class Removed:
    """How much was removed, a part each."""

    tickets: int = 0
    articles: int = 0
    summaries: int = 0
    processing: int = 0
    claims: int = 0  #: of workers who held a ticket when it went, or had held it and not given it back
    checkpoints: int = 0
    suppressions: int = 0  #: of erased requesters: from now on nothing keeps their tickets out


@frozen(kw_only=True)
class Erasure:
    """The audit line of a company that was erased; whoever knows the company's name finds out that it was."""

    company_hash: str  #: SHA-256 of the company's identifier in UTF-8, as hex
    epoch: int  #: in which it ended; the next of its name begins above
    erased_at: datetime
    removed: Removed


def company_hash(company_id: str) -> str:
    """What an audit line calls a company."""
    return sha256(company_id.encode()).hexdigest()
