"""
What a package beside deskstore offers: a storage, under a name that `STORAGE_TYPE` may say.

The package names an Adapter as an entry point of the group `deskstore.adapters`; the entry point's name is the storage's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

if TYPE_CHECKING:
    from deskstore.domain import ports

GROUP: Final = "deskstore.adapters"  #: of entry points
CONTRACT_VERSION: Final = 1
"""
The version of the contract between deskstore and every storage: the ports, and the promises of the kit that are needed to rely on them.

It grows when deskstore begins to rely on something that a storage made for the version before need not do: a method that is new, or a
promise that is another. A promise that is only told apart more finely leaves it. A storage of another version is not opened: what it
does not know of, it could lose without a word.
"""

Clock = Callable[[], datetime]
Open = Callable[[Mapping[str, str], Clock], "ports.Storage"]

_VARIABLE: Final = re.compile(r"(?!DESKSTORE_)[A-Z][A-Z0-9_]{0,62}")


def _variable_name(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a variable of an adapter: write capitals, digits and underscores, and not DESKSTORE_ first")
    return name


@frozen(kw_only=True)
class Variable:
    """A variable of the environment that an adapter goes by."""

    name: str = field(converter=_variable_name)  #: in capitals; those that begin with the name of deskstore are deskstore's own
    is_secret: bool = False  #: never shown; passwords in addresses are not shown in any case


@frozen(kw_only=True)
class Adapter:
    """A storage that a package offers."""

    storage: type[ports.Storage]  #: the class of what open() gives; what it can do is read off it
    open: Open  #: from the variables that are set, DATA_PATH always among them, and the clock to go by; does no I/O
    contract: int  #: the CONTRACT_VERSION that it was made for
    variables: tuple[Variable, ...] = ()  #: beside DATA_PATH
