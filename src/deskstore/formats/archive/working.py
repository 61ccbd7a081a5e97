"""Where the work on chunks is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, ParamSpec, Self, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class OneThread:
    """One thread for all chunks of a file, since every thread keeps memory that it once took: a pool of them would keep it many times."""

    def __init__(self) -> None:
        self._executor: Final = ThreadPoolExecutor(1, "deskstore-backup")

    async def run(self, call: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        """What a call gives, while other tasks go on."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: call(*arguments, **named))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /) -> None:
        self._executor.shutdown(wait=False)
