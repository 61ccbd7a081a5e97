"""The names of everything that is kept in Redis: one cluster slot a company, and nothing in them that a pattern could mistake."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal
from urllib.parse import quote

from deskstore.domain.identifiers import Key

Subject = Literal["ticket", "article", "summary", "processing"]
"""What is cached of a key."""

Scope = Literal["records", "processing"]
"""Values that end together."""

SCOPES: Final[tuple[Scope, ...]] = ("records", "processing")


@lru_cache(maxsize=4_096)
def encoded(part: str) -> str:
    """A part of a name in letters, digits and `._~%-` alone; no two parts are encoded alike."""
    return quote(part, safe="")


def scope_of(subject: Subject) -> Scope:
    """The values that end together with those of a subject: claims end those of processing alone."""
    return "processing" if subject == "processing" else "records"


class Names:
    """The names of one company's keys."""

    def __init__(self, company_id: str) -> None:
        self._start: Final = f"ds:v1:{{{encoded(company_id)}}}:"
        self.counts: Final = f"{self._start}counts"  #: a hash: how often the cache was of use

    def generation(self, scope: Scope) -> str:
        """Under which values are kept; every value of an earlier one has ended."""
        return f"{self._start}generation:{scope}"

    def generations(self) -> list[str]:
        """Of every scope."""
        return [self.generation(scope) for scope in SCOPES]

    def value(self, subject: Subject, key: Key) -> str:
        """Where a value is, or the tombstone that keeps it away."""
        return self._start + _path(subject, key)

    def lease(self, subject: Subject, key: Key) -> str:
        """Who may put the value there."""
        return f"{self._start}lease:{_path(subject, key)}"

    @property
    def pattern(self) -> str:
        """All of the company's keys, and nobody else's, as access lists write it."""
        return f"{self._start}*"


def _path(subject: Subject, key: Key) -> str:
    word = f"{key.kind}-summary" if subject == "summary" else subject
    path = f"{word}:{encoded(key.platform)}:{encoded(key.id)}"
    return f"{path}:{encoded(key.locale)}" if key.kind == "article" else path
