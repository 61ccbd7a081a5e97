"""Ctrl-C and `kill` as a wish to come to an end in good order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals() -> Generator[asyncio.Event]:
    """
    An event that the first Ctrl-C or `kill` sets; the second one stops the process as it would without this block.

        with stop_on_signals() as stop:
            await work_off(storage, "acme", "freshdesk", summarise, stop=stop)

    Of use only in a coroutine of the main thread: nobody else may say what signals do.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def as_before() -> None:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)

    def begin_to_stop() -> None:
        as_before()
        stop.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, begin_to_stop)
    try:
        yield stop
    finally:
        as_before()
