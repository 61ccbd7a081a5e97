"""Writers at work while something goes wrong again and again, and what is left of what they were told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from attrs import define, evolve, field

from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.postgres.pool import Limits
from deskstore.domain.errors import CommitOutcomeUnknown, StorageError
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket, an_article

if TYPE_CHECKING:
    from deskstore.adapters.embedded.postgres import PostgresServer
    from tests.postgres.proxies import Wire

#: makes something go wrong, and comes back when it is over
Trouble = Callable[[random.Random], Awaitable[None]]

WRITERS: Final = 6
PATIENT: Final = Limits(connections=WRITERS, wait_s=30.0, connect_s=5.0, answer_s=30.0, lock_s=5.0, retry_s=20.0)
_HASTY_S: Final = 0.05
_BETWEEN: Final = 12  #: units that are acknowledged before the next trouble
_BACK_S: Final = 60.0  #: for all to go on once the last trouble is over


@define(kw_only=True)
class Toll:
    """What writers were told of their units, and what is wrong with that."""

    troubles: int = 0
    acked: set[str] = field(factory=set[str])
    more: asyncio.Event = field(factory=asyncio.Event)  #: set with each that is acknowledged
    refused: set[str] = field(factory=set[str])  #: with an error of ours, so that nothing of them may be there
    unknown: set[str] = field(factory=set[str])
    wrong: list[str] = field(factory=list[str])

    def __str__(self) -> str:
        told = f"{len(self.acked):,} acknowledged, {len(self.refused):,} refused, {len(self.unknown):,} unknown"
        return f"{self.troubles:,} faults, {told}"


def dying(server: PostgresServer) -> Trouble:
    """Kill the server at once, all its processes, and start it after a while."""

    async def die(drawn: random.Random) -> None:
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(drawn.random() * 0.1)
        await asyncio.to_thread(server.start)

    return die


def breaking(wire: Wire) -> Trouble:
    """Cut every connection, let the next commit or its answer be lost, or let the wire stand still, at times longer than anybody waits."""

    async def break_(drawn: random.Random) -> None:
        match drawn.randrange(4):
            case 0:
                wire.cut()
            case 1:
                wire.cut_at = b"COMMIT"
            case 2:
                wire.swallowed_at = b"COMMIT"
            case _:
                wire.passes.clear()
                await asyncio.sleep(drawn.random() * 1.5)
                wire.passes.set()

    return break_


async def write_through(trouble: Trouble, url: str, *, times: int, seed: int, limits: Limits = PATIENT) -> Toll:
    """
    Let something go wrong so often, a random moment after some units were acknowledged.

    Half of the writers give up soon, the others only when it takes long.
    """
    drawn, toll = random.Random(seed), Toll()
    company = a_new_company()
    patient, hasty = [PostgresStorage(url, limits=evolve(limits, retry_s=retry_s)) for retry_s in (limits.retry_s, _HASTY_S)]
    desks = [Desk(hasty if writer % 2 else patient, company) for writer in range(WRITERS)]
    try:
        await patient.companies()  # both have looked at the database before anything goes wrong
        await hasty.companies()
        writing = [asyncio.ensure_future(_write(desk, writer, times, toll)) for writer, desk in enumerate(desks)]
        await _interfere(trouble, times, drawn, toll)
        await asyncio.wait_for(asyncio.gather(*writing), _BACK_S)
        await _judge(Desk(patient, company), toll)
    finally:
        await asyncio.gather(patient.aclose(), hasty.aclose())
    return toll


async def _interfere(trouble: Trouble, times: int, drawn: random.Random, toll: Toll) -> None:
    while toll.troubles < times:
        enough = len(toll.acked) + _BETWEEN
        while len(toll.acked) < enough:
            toll.more.clear()
            await asyncio.wait_for(toll.more.wait(), _BACK_S)
        await asyncio.sleep(drawn.random() * 0.02)
        await trouble(drawn)
        toll.troubles += 1


async def _write(desk: Desk, writer: int, times: int, toll: Toll) -> None:
    """Units of a ticket and an article each, one after the other, and on until one is acknowledged after the last trouble."""
    number, name = 0, ""
    while toll.troubles < times or name not in toll.acked:
        number, name = number + 1, f"{writer}-{number}"
        try:
            await desk.keep(a_ticket(name), an_article(name))
        except CommitOutcomeUnknown:
            toll.unknown.add(name)
        except StorageError:
            toll.refused.add(name)
            await asyncio.sleep(0.02)
        else:
            toll.acked.add(name)
            toll.more.set()


async def _judge(desk: Desk, toll: Toll) -> None:
    found = await desk.everything()
    tickets, articles = {one.key.id for one in found.tickets}, {one.key.id for one in found.articles}
    counted = (await desk.progress()).total
    for said, names in (
        ("acknowledged and lost", toll.acked - tickets),
        ("refused and kept", toll.refused & tickets),
        ("kept in part", tickets ^ articles),
        ("never asked for", tickets - toll.acked - toll.refused - toll.unknown),
        (f"counted as {counted}, and there are {len(tickets)}", tickets if counted != len(tickets) else set[str]()),
    ):
        if names:
            toll.wrong.append(f"{said}: {sorted(names)[:5]}")
