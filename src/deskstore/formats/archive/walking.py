"""Going through the chunks of a backup one at a time, with the work of each done in a thread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Final

from deskstore.domain.mirror import Copy, Thing
from deskstore.domain.tallies import Totals
from deskstore.formats.archive.manifest import Chunk
from deskstore.formats.archive.reading import Archive, Chunks
from deskstore.formats.archive.survey import Survey, lines_of

_PARTS_OF_RECORDS: Final = ("processing", "summary")


async def surveyed(survey: Survey, chunks: Chunks, told: Sequence[Chunk], *, on_progress: Callable[[int], None] | None = None) -> Totals:
    """
    What all chunks come to, those of changes looked at first.

    Args:
        on_progress: Called with the number of bytes of chunks looked at so far, after each.

    Raises:
        Damaged: They are not what is told of them, or do not fit together.
    """
    done = 0
    for place in sorted(range(len(told)), key=lambda place: not told[place].is_of_changes):
        frame = await chunks.frame(place, told[place])
        await chunks.thread.run(survey.take, place, told[place], frame)
        done += len(frame)
        if on_progress is not None:
            on_progress(done)
    return await chunks.thread.run(survey.totals)


async def copies_in(archive: Archive, survey: Survey) -> AsyncIterator[list[Copy]]:
    """
    All that a backup holds at its end, as found by a survey of it, a chunk at a time; a record comes before all that is part of it.

    A thing that changed while the backup was taken may come twice, the later one with a higher version.

    Raises:
        Damaged: The file was changed since.
    """
    for sweep in (_things, _changed_records, _changed_parts):
        for place, chunk in enumerate(archive.manifest.chunks):
            if chunk.is_of_changes != (sweep is _things):
                frame = await archive.chunks.frame(place, chunk)
                yield await archive.chunks.thread.run(_all, sweep(survey, place, chunk, frame))


def _all(copies: Iterator[Copy]) -> list[Copy]:
    return [*copies]


def _things(survey: Survey, _: int, chunk: Chunk, frame: bytes) -> Iterator[Copy]:
    for line in lines_of(chunk, frame):
        late = survey.later.get(line.thing)
        if late is None or late.digest is not None:
            yield line.copy()


def _changed_records(survey: Survey, place: int, chunk: Chunk, frame: bytes) -> Iterator[Copy]:
    return _changed(survey, place, chunk, frame, lambda thing: thing.part not in _PARTS_OF_RECORDS)


def _changed_parts(survey: Survey, place: int, chunk: Chunk, frame: bytes) -> Iterator[Copy]:
    return _changed(survey, place, chunk, frame, lambda thing: thing.part in _PARTS_OF_RECORDS)


def _changed(survey: Survey, place: int, chunk: Chunk, frame: bytes, is_wanted: Callable[[Thing], bool]) -> Iterator[Copy]:
    """The last lines of things, where they were not deleted."""
    for number, line in enumerate(lines_of(chunk, frame)):
        if line.line is not None and is_wanted(line.thing) and survey.later[line.thing].place == (place, number):
            yield line.copy()
