"""Which companies a storage has to do with, and which of them it keeps open."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from deskstore.adapters.file.place import Place

if TYPE_CHECKING:
    from deskstore.adapters.file.handle import CompanyHandle

MOST_IDLE: Final = 64  #: companies kept open while nobody uses them


class CompanyHandles:
    """Every company this storage has to do with, and which of them may be open, the longest unused first."""

    def __init__(self, place: Place) -> None:
        self._place: Final = place
        self._guard: Final = threading.Lock()
        self._handles: WeakValueDictionary[str, CompanyHandle] = WeakValueDictionary()  # who only named a company leaves nothing behind
        self._recent: OrderedDict[str, CompanyHandle] = OrderedDict()
        self._remembering: Final[set[CompanyHandle]] = set()  # closed, and still of use to whoever comes late

    def of(self, company_id: str) -> CompanyHandle:
        """The handle of one company, always the same one."""
        with self._guard:
            handle = self._recent.get(company_id) or self._handles.get(company_id)  # a weak dictionary takes longer
            if handle is None:  # setdefault() would make one at each call
                from deskstore.adapters.file.handle import CompanyHandle  # who asks only which companies there are starts without it

                handle = self._handles[company_id] = CompanyHandle(self._place, company_id)
            self._recent[company_id] = handle
            self._recent.move_to_end(company_id)
            return handle

    def times_erased(self, company_id: str) -> int:
        """How often this storage erased a company."""
        with self._guard:
            handle = self._handles.get(company_id)
            return handle.erasures if handle is not None else 0

    def all(self) -> list[CompanyHandle]:
        """Every handle there is."""
        with self._guard:
            return list(self._handles.values())

    def make_room(self) -> None:
        """Close companies that nobody uses, the longest unused first, until few enough are open."""
        if len(self._recent) <= MOST_IDLE:  # as after nearly every call
            return
        for handle in self._surplus():
            handle.checkpoint()
            is_closed = handle.close_if_idle()
            with self._guard:
                if not is_closed:
                    self._recent.setdefault(handle.company_id, handle)
                elif handle.remembers:
                    self._remembering.add(handle)

    def _surplus(self) -> list[CompanyHandle]:
        with self._guard:
            return [self._recent.popitem(last=False)[1] for _ in range(len(self._recent) - MOST_IDLE)]
