"""
For whom a unit of work was opened.

A use case of one unit tells nobody that it runs: it would pay for that whether anybody watches or not. The unit finds its name instead, as
the log of the standard library finds the function that logs.
"""

from __future__ import annotations

from inspect import currentframe
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

UNIT: Final = "unit_of_work"  #: where the application opened it itself
_OURS: Final = ("deskstore.services.", "deskstore.facade.")
_FACADE: Final = "DictStorage."


def use_case() -> str:
    """The outermost of the use cases that called whoever calls this, up to the first function that is not deskstore's."""
    here = currentframe()
    frame = here and here.f_back and here.f_back.f_back
    name = UNIT
    while frame is not None and _is_ours(frame):
        named = frame.f_code.co_qualname.partition(".<locals>")[0].removeprefix(_FACADE)
        if "." not in named and not named.startswith("_"):
            name = named
        frame = frame.f_back
    return name


def _is_ours(frame: FrameType) -> bool:
    module: str = frame.f_globals.get("__name__", "")
    return module.startswith(_OURS)
