"""What a company takes along when it moves: real exports if there are any, and generated tickets with all that belongs to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, Final

from deskstore.domain.comparing import CURSOR
from deskstore.domain.errors import InvalidRecord
from deskstore.domain.identifiers import ticket_key
from deskstore.domain.mirror import PARTS, Copy, Part, digest_of
from deskstore.services.importing import import_records
from deskstore.services.tickets import save_tickets
from deskstore.testing.desk import Desk, token_of
from deskstore.testing.makers import a_checkpoint, a_summary, an_article
from tests.chaos.imports import PLATFORM, payloads
from tests.samples import files, platform_of

if TYPE_CHECKING:
    from pathlib import Path

LIVE: Final = "live"  #: the platform whose tickets are written while the company moves; all others are to stay as they are
_UNIT: Final = 500
_LEASE: Final = timedelta(minutes=15)
Manifest = Mapping[Part, tuple[int, str]]  #: of each part, how many things there are, and what they amount to


async def load(desk: Desk, *, samples: Path | None, tickets: int, seed: int) -> None:
    """Give a company its cargo: some of the generated tickets are deleted again, some are worked on, and a third have summaries."""
    for path in files(samples) if samples else ():
        with suppress(InvalidRecord):  # some of them are no exports
            await import_records(desk.storage, desk.company_id, platform_of(path, samples or path), [path])
    await save_tickets(desk.storage, desk.company_id, PLATFORM, (payload for _, payload in payloads(seed, tickets)))
    random = Random(seed)
    for first in range(0, tickets, _UNIT):
        await _use(desk, range(first, min(first + _UNIT, tickets)), random)
    await desk.keep(*(an_article(f"{number}", locale) for number in range(100) for locale in ("", "ko", "en-US")))
    await desk.keep_checkpoint(a_checkpoint("page 7", platform=PLATFORM))


async def manifest(desk: Desk, *, with_live: bool = False) -> Manifest:
    """All that a store holds of a company, read back and hashed here, versions included."""
    replica = desk.replica()
    found: dict[Part, tuple[int, str]] = {}
    for part in PARTS:
        count, digest = 0, sha256()
        async for copy in replica.copies(part):
            if copy.thing != CURSOR and (with_live or copy.thing.platform != LIVE):
                count += 1
                digest.update(_line(copy))
        found[part] = (count, digest.hexdigest())
    return found


def differences(expected: Manifest, found: Manifest, what: str) -> Iterator[str]:
    """In which parts two of them are not equal."""
    for part in PARTS:
        if expected[part] != found[part]:
            yield f"{what}: {part} was {expected[part]}, is {found[part]}"


def _line(copy: Copy) -> bytes:
    if copy.value is None:
        raise LookupError(f"{copy.thing} is listed, and gone")
    return repr((copy.thing, copy.version, digest_of(copy.value, rehash=True).digest)).encode()


async def _use(desk: Desk, numbers: range, random: Random) -> None:
    """Summarise, work on and delete some of these tickets, each some in one unit."""
    keys = {number: ticket_key(PLATFORM, f"{number}") for number in numbers}
    async with desk.unit() as uow:
        for key in (key for number, key in keys.items() if number % 3 == 0):
            for turn in range(random.randint(1, 3)):
                uow.summaries.add(a_summary(key, f"text {turn}", content=b'{"short": "%d"}' % random.getrandbits(99), pinned=turn == 1))
        await uow.commit()
    taken = await desk.storage.claim(desk.company_id, PLATFORM, max(len(keys) // 5, 1), worker="worker 1", lease=_LEASE)
    now = desk.storage.clock()
    async with desk.unit() as uow:
        for number, one in enumerate(taken):
            if number % 3 == 0:  # the others stay claimed
                uow.progress.save(one.completed(now=now), token=token_of(one))
            elif number % 3 == 1:
                uow.progress.save(one.failed("no answer", now=now, retry_at=now + _LEASE), token=token_of(one))
        await uow.commit()
    async with desk.unit() as uow:
        for key in (key for number, key in keys.items() if number % 100 == 1):
            if (stored := await uow.tickets.find(key.platform, key.id)) is not None:
                uow.tickets.delete(key, version=stored.version)
        await uow.commit()
