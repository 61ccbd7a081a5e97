"""
A requester and then their company are erased: the workload of crashes, and the judge of what they leave.

Units: two tickets of a neighbour; five tickets of a company, three of them Kim's; Kim is erased; the company is erased; it begins anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

from deskstore.adapters.file import FileStorage, erasing
from deskstore.domain.erasures import Erasure, company_hash
from deskstore.domain.errors import RequesterSuppressed
from deskstore.services.erasing import erase_requester
from deskstore.testing.clock import MORNING, ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.makers import PLATFORM, a_summary, a_ticket, fields
from tests.file.workload import CHECKPOINT_ROWS, DATA

ACME: Final = "acme"
GLOBEX: Final = "globex"
KIM: Final = "kim@example.com"
LEE: Final = "lee@example.com"
TICKETS: Final = {ACME: (KIM, LEE, KIM, LEE, KIM), GLOBEX: (KIM, LEE)}
UNITS: Final = 5


async def _fill(desk: Desk) -> None:
    read = fields()
    tickets = [a_ticket(str(n), read=evolve(read, requester=one)) for n, one in enumerate(TICKETS[desk.company_id])]
    async with desk.unit() as uow:
        for ticket in tickets:
            uow.tickets.save(ticket)
            uow.summaries.add(a_summary(ticket.key))
        await uow.commit()


async def _begin_anew(desk: Desk) -> None:
    await desk.keep(a_ticket("anew"))


async def _erase_kim(desk: Desk) -> None:
    await erase_requester(desk.storage, desk.company_id, PLATFORM, KIM, batch_tickets=2)


def _opened(folder: Path) -> FileStorage:
    return FileStorage(folder / DATA, clock=ManualClock(MORNING), checkpoint_rows=CHECKPOINT_ROWS)


@frozen
class Removals:
    """The workload."""

    def __call__(self, folder: Path, acknowledge: Callable[[int], None]) -> None:
        asyncio.run(self._run(folder, acknowledge))

    async def _run(self, folder: Path, acknowledge: Callable[[int], None]) -> None:
        storage = _opened(folder)
        desk = Desk(storage, ACME)
        for unit, step in enumerate(
            (_fill(Desk(storage, GLOBEX)), _fill(desk), _erase_kim(desk), storage.erase(ACME), _begin_anew(desk)), 1
        ):
            await step
            acknowledge(unit)
        await storage.aclose()


@frozen
class RemovalsJudge:
    """What was acknowledged holds; what was begun can be ended; and the neighbour is as it was."""

    def __call__(self, folder: Path, acked: int, upto: int) -> str | None:
        try:
            asyncio.run(self._judge(folder, acked))
        except AssertionError as error:
            return f"after {acked} units: {error}"
        return None

    async def _judge(self, folder: Path, acked: int) -> None:
        storage = _opened(folder)
        neighbour = await _requesters(Desk(storage, GLOBEX))
        assert neighbour == [*TICKETS[GLOBEX]] or (not acked and neighbour == []), f"the neighbour has {neighbour}"
        await self._judge_company(Desk(storage, ACME), acked)
        await self._go_on(Desk(storage, ACME), folder, acked)
        assert await _requesters(Desk(storage, GLOBEX)) == neighbour, "the neighbour changed"
        await storage.aclose()

    async def _judge_company(self, desk: Desk, acked: int) -> None:
        found = await _requesters(desk)  # whoever opens the company ends what was begun
        lines = await _lines(desk)
        if acked >= 4:
            assert [one.removed.tickets for one in lines] == [2], f"the lines are {lines}"
            assert len(found) == 1 or (acked == 4 and found == []), f"anew it has {found}"
        elif acked == 3 and lines:
            assert (found, lines[0].removed.tickets, lines[0].removed.suppressions) == ([], 2, 1), f"it has {found}, and {lines}"
        else:
            assert lines == []
            assert found.count(LEE) == 2 or (acked < 2 and found == []), f"it has {found}"
            assert acked < 3 or KIM not in found, "Kim came back"
            if found and KIM in found and found.count(KIM) < 3:
                await _assert_kept_out(desk)

    async def _go_on(self, desk: Desk, folder: Path, acked: int) -> None:
        """Erase all that is there, as who was interrupted would."""
        if await _requesters(desk) and acked < 4:
            receipt = await erase_requester(desk.storage, desk.company_id, PLATFORM, KIM)
            assert receipt is not None
            assert (receipt.tickets, receipt.summaries) == (3, 3), f"the receipt says {receipt}"
            assert await _requesters(desk) == [LEE, LEE]
            await _assert_kept_out(desk)
        await desk.storage.erase(desk.company_id)
        epochs = [one.epoch for one in await _lines(desk)]
        assert epochs == sorted(set(epochs)), f"the epochs are {epochs}"
        assert ACME not in await desk.storage.companies(), "it is listed"
        assert not [*(folder / DATA / ACME).rglob("*")], "something of it is there"
        doomed = folder / DATA / erasing.DOOMED
        assert not doomed.exists() or [*doomed.iterdir()] == [], "it is not deleted"


async def _requesters(desk: Desk) -> list[str | None]:
    async with desk.unit() as uow:
        return [ticket.fields.requester async for ticket in uow.tickets.stream()]


async def _lines(desk: Desk) -> Sequence[Erasure]:
    return [one for one in await desk.storage.erasures() if one.company_hash == company_hash(desk.company_id)]


async def _assert_kept_out(desk: Desk) -> None:
    try:
        await desk.keep(a_ticket("more", read=evolve(fields(), requester=KIM)))
    except RequesterSuppressed:
        return
    raise AssertionError("Kim is not kept out")
