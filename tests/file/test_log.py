"""The database's write-ahead log stays short, and is copied back where somebody looks whether that went well."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from deskstore.adapters.file import FileStorage, database, layout
from deskstore.adapters.file.company import OpenCompany
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_checkpoint, a_ticket

FRAME_BYTES: Final = 4_096 + 24
UNIT_FRAMES: Final = 250  #: at least
UNITS: Final = 40  #: which would make a longer log than it may become
MOST_FRAMES: Final = 2 * database.LOG_FRAMES  #: while a checkpoint is on its way, the writers go on


async def _write_no_file(desk: Desk, base: Path, *, meanwhile: Callable[[], object] = int) -> float:
    """The greatest length that the log comes to while units are committed that write no file, in frames."""
    log, longest = base / desk.company_id / f"{layout.DATABASE}-wal", 0
    for number in range(UNITS):
        await desk.keep_checkpoint(a_checkpoint(f"{number:04}" * (1_024 * UNIT_FRAMES)))
        meanwhile()
        longest = max(longest, log.stat().st_size)
    return longest / FRAME_BYTES


async def test_no_connection_copies_the_log_back_by_itself(desk: Desk) -> None:
    assert isinstance(desk.storage, FileStorage)

    def cadences(company: OpenCompany) -> list[int]:
        with closing(company.connect()) as another:
            return [connection.execute("pragma wal_autocheckpoint").fetchone()[0] for connection in (company.writer, another)]

    assert await desk.storage.write("acme", 0, lambda company, _: cadences(company)) == [0, 0]


async def test_units_that_write_no_file_keep_the_log_short(desk: Desk, base: Path) -> None:
    longest = await _write_no_file(desk, base)

    assert database.LOG_FRAMES <= longest < MOST_FRAMES


async def test_the_log_stays_short_under_a_stream_and_readers_that_never_pause(desk: Desk, base: Path) -> None:
    await desk.keep(*(a_ticket(str(number)) for number in range(600)))
    looks = 0

    async def read() -> None:
        nonlocal looks
        while True:
            await desk.progress()
            looks += 1

    stream = aiter(desk.unit().tickets.stream())
    await anext(stream)
    readers = [asyncio.create_task(read()) for _ in range(4)]
    longest = await _write_no_file(desk, base)
    for reader in readers:
        reader.cancel()

    assert len([ticket async for ticket in stream]) == 599
    assert looks > UNITS
    assert longest < MOST_FRAMES


async def test_a_reader_that_stays_in_one_state_holds_nobody_up_and_the_log_begins_anew_behind_it(desk: Desk, base: Path) -> None:
    await desk.keep(a_ticket())
    path = str(base / "acme" / layout.DATABASE)
    with closing(database.connect(path, busy_s=1, must_exist=True)) as reader, database.snapshot(reader, hold_writers=False):
        reader.execute("select count(*) from record").fetchone()
        held = await _write_no_file(desk, base)

    await _write_no_file(desk, base)
    await _write_no_file(desk, base)

    assert held > UNITS * UNIT_FRAMES
    assert not database.log_reaches(path, MOST_FRAMES)
