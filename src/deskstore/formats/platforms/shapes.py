"""Telling by its keys what an object of an export is: a ticket, an article, a message, or something else."""

from __future__ import annotations

from collections.abc import Iterable, Set

from attrs import field, frozen

from deskstore.domain.identifiers import Kind


def _keys(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


@frozen(kw_only=True)
class Shape:
    """The keys by which one kind of object is known."""

    platform: str | None = None  #: None for a shape that any platform may have
    kind: Kind | None = None  #: None for what cannot be imported
    what: str  #: with its article, as "a Zendesk comment"
    needs: frozenset[str] = field(default=frozenset(), converter=_keys)  #: keys that are all there
    one_of: frozenset[str] = field(default=frozenset(), converter=_keys)  #: keys of which one is there
    lacks: frozenset[str] = field(default=frozenset(), converter=_keys)  #: keys that are not there
    types: tuple[str, ...] = ()  #: what its key `type` may say
    advice: str = ""  #: what to do instead, where it cannot be imported

    def fits(self, keys: Set[str], type_: str | None) -> bool:
        """Whether an object with these keys, and this text under `type`, has this shape."""
        return (
            self.needs <= keys
            and self.lacks.isdisjoint(keys)
            and not (self.one_of and self.one_of.isdisjoint(keys))
            and (not self.types or type_ in self.types)
        )
