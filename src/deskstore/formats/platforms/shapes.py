"""Telling by its keys what an object of an export is: a ticket, an article, a message, or something else."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from deskstore.domain.identifiers import Kind


@frozen(kw_only=True)
class Shape:
    """The keys by which one kind of object is known."""

    platform: str | None = None  #: None for a shape that any platform may have
    kind: Kind | None = None  #: None for what cannot be imported
    what: str  #: with its article, as "a Zendesk comment"
    needs: tuple[str, ...] = ()  #: keys that are all there
    one_of: tuple[str, ...] = ()  #: keys of which one is there
    lacks: tuple[str, ...] = ()  #: keys that are not there
    types: tuple[str, ...] = ()  #: what its key `type` may say
    advice: str = ""  #: what to do instead, where it cannot be imported

    def fits(self, value: Mapping[str, object]) -> bool:
        """Whether an object has this shape."""
        return (
            all(key in value for key in self.needs)
            and not any(key in value for key in self.lacks)
            and (not self.one_of or any(key in value for key in self.one_of))
            and (not self.types or value.get("type") in self.types)
        )
