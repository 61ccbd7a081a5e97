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
_TELLING: Final = "deskstore.services.observing"  #: what calls a use case that is told by itself
_FACADE: Final = "DictStorage."


def use_case() -> str:
    """
    The outermost of the use cases that called whoever calls this, up to the first function that is not deskstore's.

    One that is told by itself, and for as long as a process may last, is left out.
    """
    here = currentframe()
    frame = here and here.f_back and here.f_back.f_back
    name = inner = UNIT
    while frame is not None and (module := _module(frame)).startswith(_OURS):
        if module == _TELLING:
            return inner
        named = frame.f_code.co_qualname.partition(".<locals>")[0].removeprefix(_FACADE)
        if "." not in named and not named.startswith("_"):
            inner, name = name, named
        frame = frame.f_back
    return name


def _module(frame: FrameType) -> str:
    name: str = frame.f_globals.get("__name__", "")
    return name
