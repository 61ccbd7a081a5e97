"""
Requesters whose tickets are kept out, since they were erased: of each only a keyed hash is known.

The hash is HMAC-SHA256 over platform and requester, under a random secret that a company's suppressions share, and that goes wherever
they go: to a mirror, into a backup, into a restored company. Where those of two companies came together, each keeps its own.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final, NamedTuple

from attrs import field, frozen

from deskstore.domain import times
from deskstore.domain.errors import InvalidRecord
from deskstore.domain.identifiers import Key
from deskstore.domain.records import TEXT_LENGTH, Article, Ticket, clean

LONGEST_REQUESTER: Final = TEXT_LENGTH  #: characters that storages keep of a requester, and so all that tells two of them apart
SECRET_BYTES: Final = 32


class SuppressionName(NamedTuple):
    """What a suppression is called."""

    platform: str
    digest: str  #: HMAC-SHA256 of the requester, as hex


@frozen(kw_only=True)
class Suppression:
    """One requester of one platform whose tickets are kept out."""

    platform: str
    digest: str
    secret: bytes  #: under which the digest was made
    created_at: datetime = field(converter=times.aware_utc)
    tickets: int = 0  #: removed so far
    summaries: int = 0  #: removed with them
    version: int = 0  #: 0 = never kept

    @property
    def name(self) -> SuppressionName:
        """What it is called."""
        return SuppressionName(self.platform, self.digest)


def requester_named(text: str) -> str:
    """
    A requester as storages keep it: cleaned, and cut at 100 characters.

    Raises:
        InvalidRecord: Nothing is left of it.
    """
    named = clean(text)
    if not named:
        raise InvalidRecord("no requester was named: pass the text that stands in the tickets' field `requester`")
    return named


def new_secret() -> bytes:
    """A secret for a company that has none yet."""
    return os.urandom(SECRET_BYTES)


def name_of(platform: str, requester: str, secret: bytes) -> SuppressionName:
    """What the suppression of a requester is called under a secret."""
    return SuppressionName(platform, hmac.digest(secret, f"{platform}\0{requester}".encode(), "sha256").hex())


def names_of(records: Iterable[Ticket | Article], known_secrets: Collection[bytes]) -> dict[SuppressionName, list[Key]]:
    """What suppressions of the requesters of these tickets would be called, and which tickets those are."""
    found: dict[SuppressionName, list[Key]] = {}
    for record in records:
        if isinstance(record, Ticket) and record.fields.requester is not None:
            for secret in known_secrets:
                found.setdefault(name_of(record.platform, record.fields.requester, secret), []).append(record.key)
    return found
