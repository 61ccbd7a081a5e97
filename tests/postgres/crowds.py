"""Several companies at work at the same time, each looking whether it meets anything of another."""

from __future__ import annotations

import asyncio
import random
import re

from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.errors import StorageError
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_checkpoint, a_summary, a_ticket, an_article


async def work_in_many_companies(storage: PostgresStorage, *, companies: int, steps: int, seed: int) -> list[str]:
    """Whatever a company met that was not its own, while all of them worked at the same time."""
    met: list[str] = []
    await asyncio.gather(
        *(
            _work(Desk(storage, a_new_company()), f"text {number}", steps, random.Random(f"{seed}/{number}"), met)
            for number in range(companies)
        )
    )
    return met


async def _work(desk: Desk, text: str, steps: int, drawn: random.Random, met: list[str]) -> None:
    await desk.fill(text)
    for _ in range(steps):
        try:
            await step(desk, text, drawn, met)
        except StorageError as error:
            if re.search(r"text \d+", str(error)):
                met.append(str(error))


async def step(desk: Desk, text: str, drawn: random.Random, met: list[str]) -> None:
    """One thing that a company does, drawn at random; whatever it meets that has another text is added to what was met."""
    number = str(drawn.randrange(1, 10))
    match drawn.randrange(9):
        case 0:
            stored = await desk.find(a_ticket(number).key)
            await desk.keep(a_ticket(number, text=text) if stored is None else stored)
        case 1:
            await desk.summarise(a_summary(a_ticket(number).key, text))
        case 2:
            await desk.claim(2)
        case 3:
            await desk.keep_checkpoint(a_checkpoint(text))
        case 4 if (stored := await desk.find(an_article(number).key)) is not None:
            await desk.delete(stored)
        case 5:
            met.extend(
                str(one.key)
                for one in await desk.history(a_ticket(number).key)
                if one.source_digest != a_summary(one.key, text).source_digest
            )
        case 6 if (checkpoint := await desk.checkpoint()) is not None and checkpoint.cursor != text:
            met.append(checkpoint.cursor)
        case _:
            found = await desk.everything()
            met.extend(str(one.data) for one in found.records if one.data["description"] != text)
