"""Storages of other packages, found by the entry points that these name; looked for only when a name is none of ours."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Final

from attrs import frozen

from deskstore.domain.adapting import CONTRACT_VERSION, GROUP, Adapter
from deskstore.domain.errors import ConfigurationError

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
    if fault := contract_fault(loaded):
        raise ConfigurationError(f"storage {name!r} of {found.origin} {fault}")
    return loaded


def contract_fault(offered: Adapter) -> str | None:
    """Why this release does not open a storage, and what to do; None where it was made for the same contract."""
    if offered.contract == CONTRACT_VERSION:
        return None
    newer = "a newer release of deskstore" if offered.contract > CONTRACT_VERSION else "a newer release of that package"
    return f"was made for contract {offered.contract}, and this release keeps contract {CONTRACT_VERSION}: install {newer}"
