"""Storages of other packages, found by the entry points that these name; looked for only when a name is none of ours."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from deskstore.domain.adapting import CONTRACT_VERSION, GROUP, Adapter
from deskstore.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage

#: what is told of a storage, and the method that shows it
ABILITIES: Final = {"replica": "replica", "inspection": "inspection", "cache": "flush_cache", "mirror": "start_draining"}
#: what every storage has, beside its clock, which may be an attribute that it is given
REQUIRED: Final = ("unit_of_work", "backend", "replica", "claim", "companies", "erase", "erasures", "health", "aclose")
#: what the import of a package that is broken may raise
_BROKEN: Final = (ImportError, AttributeError, NameError, SyntaxError, TypeError, ValueError, LookupError, OSError, RuntimeError)


@frozen(kw_only=True)
class Installed:
    """An entry point of a package that is installed; nothing of the package is loaded yet."""

    name: str  #: of the storage
    package: str
    version: str  #: of the package
    entry: EntryPoint

    @property
    def origin(self) -> str:
        """The package with its version."""
        return f"{self.package} {self.version}"

    def offer(self, *, reserved: Collection[str]) -> Offer:
        """What it comes to, whatever is wrong with it; it is loaded for that."""
        if self.name in reserved:
            return Offer(name=self.name, origin=self.origin, fault="the name is one of deskstore's own: it opens that one")
        try:
            found = find(self.name) or self
            loaded = found.load()
        except ConfigurationError as error:
            return Offer(name=self.name, origin=self.origin, fault=str(error))
        return evolve(Offer.of(self.name, self.origin, loaded.contract, loaded.storage), fault=_fault(loaded))

    def load(self) -> Adapter:
        """
        What the package offers.

        Raises:
            ConfigurationError: It cannot be imported, or is no Adapter.
        """
        try:
            found: object = self.entry.load()
        except _BROKEN as error:
            reason = f"{type(error).__name__}: {error}"
            raise ConfigurationError(f"{self._named} cannot be loaded ({reason}): mend or remove that package") from error
        if not isinstance(found, Adapter):
            raise ConfigurationError(f"{self._named} is a {type(found).__name__} and no deskstore.Adapter: mend or remove that package")
        return found

    @property
    def _named(self) -> str:
        return f"storage {self.name!r} of {self.origin} ({self.entry.value})"


@frozen(kw_only=True)
class Offer:
    """A storage that STORAGE_TYPE may name, with what can be said of it unopened."""

    name: str
    origin: str  #: the package that it comes from, with its version
    contract: int | None = None  #: that it was made for; None where it cannot be loaded
    abilities: tuple[str, ...] = ()  #: of those that not every storage has
    lacks: tuple[str, ...] = ()  #: the others of those
    fault: str | None = None  #: why it cannot be opened

    @classmethod
    def of(cls, name: str, origin: str, contract: int, storage: type[Storage]) -> Offer:
        """What a class of storages comes to."""
        has = {ability: hasattr(storage, method) for ability, method in ABILITIES.items()}
        return cls(
            name=name,
            origin=origin,
            contract=contract,
            abilities=tuple(ability for ability, is_there in has.items() if is_there),
            lacks=tuple(ability for ability, is_there in has.items() if not is_there),
        )


def installed() -> list[Installed]:
    """Every entry point of the group, ascending by name."""
    found = [
        Installed(
            name=entry.name.lower(),
            package=entry.dist.name if entry.dist else "an unknown package",
            version=entry.dist.version if entry.dist else "",
            entry=entry,
        )
        for entry in entry_points(group=GROUP)
    ]
    return sorted(found, key=lambda one: (one.name, one.package))


def find(name: str) -> Installed | None:
    """
    Whoever offers a storage of that name, or None.

    Raises:
        ConfigurationError: Several packages do.
    """
    found = [one for one in installed() if one.name == name]
    if len(found) > 1:
        offered = " and ".join(one.origin for one in found)
        raise ConfigurationError(f"STORAGE_TYPE is {name!r}, a name that {offered} both offer: remove all but one of them")
    return found[0] if found else None


def adapter(name: str) -> Adapter:
    """
    What is offered under a name, fit for this release.

    Raises:
        ConfigurationError: Nobody offers it, or several do, it is broken, or was made for another contract.
    """
    found = find(name)
    if found is None:
        raise ConfigurationError(f"STORAGE_TYPE is {name!r}, and no package that is installed offers it: see `deskstore adapters list`")
    loaded = found.load()
    if fault := _fault(loaded):
        raise ConfigurationError(f"storage {name!r} of {found.origin} {fault}")
    return loaded


def _fault(offered: Adapter) -> str | None:
    """Why this release does not open a storage, and what to do; None where nothing speaks against it."""
    if offered.contract != CONTRACT_VERSION:
        newer = "a newer release of deskstore" if offered.contract > CONTRACT_VERSION else "a newer release of that package"
        return f"was made for contract {offered.contract}, and this release keeps contract {CONTRACT_VERSION}: install {newer}"
    missing = [f"{name}()" for name in REQUIRED if not hasattr(offered.storage, name)]
    return f"has no {', '.join(missing)}: its author has to add what deskstore.domain.ports.Storage says" if missing else None
