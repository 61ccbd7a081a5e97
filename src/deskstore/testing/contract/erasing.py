"""Erasing a company leaves one line, which tells how much it was and names nobody."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256

from deskstore.domain.erasures import Erasure, Removed
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket


async def _lines(desk: Desk) -> Sequence[Erasure]:
    """What stays of the companies of this name."""
    hashed = sha256(desk.company_id.encode()).hexdigest()
    return [one for one in await desk.storage.erasures() if one.company_hash == hashed]


async def test_erasing_tells_when_it_was_and_how_much_of_each_part(desk: Desk, clock: ManualClock) -> None:
    await desk.fill("ours")
    await desk.claim(2)

    erasure = await desk.storage.erase(desk.company_id)

    assert erasure is not None
    assert erasure.removed == Removed(tickets=3, articles=3, summaries=4, processing=3, claims=2, checkpoints=1, suppressions=1)
    assert erasure.erased_at == clock()


async def test_what_stays_of_an_erased_company_is_one_line_that_names_nobody(desk: Desk) -> None:
    await desk.fill("ours")

    erasure = await desk.storage.erase(desk.company_id)

    assert await _lines(desk) == [erasure]
    assert desk.company_id not in str(erasure)


async def test_each_company_of_a_name_has_a_line_of_its_own_in_a_higher_epoch(desk: Desk, clock: ManualClock) -> None:
    for _ in range(3):
        await desk.keep(a_ticket())
        clock.move(timedelta(seconds=1))
        await desk.storage.erase(desk.company_id)

    lines = await _lines(desk)

    assert len(lines) == 3
    assert len({one.epoch for one in lines}) == 3
    assert [*lines] == sorted(lines, key=lambda one: one.epoch) == sorted(lines, key=lambda one: one.erased_at)


async def test_erasing_what_is_not_there_leaves_no_line(desk: Desk) -> None:
    erasure = await desk.storage.erase(desk.company_id)

    assert erasure is None
    assert await _lines(desk) == []
