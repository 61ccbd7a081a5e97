"""`deskstore demo --full`: several companies from files to PostgreSQL and back and there again, each claim looked at from the outside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import Factory, define

from deskstore.adapters.embedded import looking
from deskstore.cli.demo import look
from deskstore.cli.demo.exports import EXPORTS, make_exports
from deskstore.cli.demo.load import COMPANY
from deskstore.cli.demo.look import Place
from deskstore.cli.demo.running import PATIENCE_S, Load, Shell, logged_to, under_load
from deskstore.cli.failures import BUSY, FAILED, OK, UNAVAILABLE
from deskstore.cli.shared import shared

if TYPE_CHECKING:
    from deskstore.cli.demo.checks import Checks
    from deskstore.cli.demo.servers import Servers
    from deskstore.domain.ports import Storage

SOME: Final = 20  #: tickets that the application saves between two steps
SLOWLY: Final = 10  #: things a second, so that a copy can be killed in the middle
LOOK_S: Final = 2.0  #: between two looks at whether Redis keeps anything
BEGUN: Final = 100  #: tickets that were copied when it is
LOG: Final = "application.log"
SPOILT: Final = Place("globex", "freshdesk", "7", "")


@define
class Story:
    """What is shown, on which servers, and what must be there at any time."""

    path: Path
    servers: Servers
    checks: Checks
    exported: dict[Place, str] = Factory(dict[Place, str])  #: what the exports hold
    acknowledged: dict[Place, str] = Factory(dict[Place, str])  #: what the application was told is safe

    @property
    def shell(self) -> Shell:
        settings = {"DATA_PATH": str(self.path / "data"), **self.servers.settings}
        return Shell(settings=settings, log=self.path / LOG)

    @property
    def owner_url(self) -> str:
        return self.servers.postgres.url

    def tell(self) -> list[dict[str, Any]]:  # Any: JSON
        """All of it; gives what there is at the end, as `status` shows it."""
        with logged_to(self.path / LOG):
            for number, (title, chapter) in enumerate(CHAPTERS, start=1):
                if not shared().as_json:
                    click.secho(f"\n{number}. {title}", bold=True)
                chapter(self)
            rows: list[dict[str, Any]] = self.shell.run("status", storage="postgresql").shown["platforms"]
            return rows

    def in_tables(self) -> dict[Place, str]:
        return asyncio.run(look.in_tables(self.owner_url))

    def is_in_tables(self) -> bool:
        """Whether PostgreSQL has every byte of what came in and of what was acknowledged."""
        return not look.lacks(self.in_tables(), {**self.exported, **self.acknowledged})


# -- on files ------------------------------------------------------------------------------------------------------------------------------


def bring_in(story: Story) -> None:
    """Exports become files."""
    exports = story.path / "exports"
    make_exports(exports)
    for export in EXPORTS:
        story.shell.run("import", str(exports / export.file), "--company", export.company_id, "--platform", export.platform)
        story.exported |= look.in_export(export.company_id, export.platform, exports / export.file)
    held = look.in_files(story.path / "data")
    made = f"{len(story.exported)} records of {len({export.company_id for export in EXPORTS})} companies came in, a JSON file each"
    story.checks.add(f"{made}, every payload byte for byte as its export has it", held == story.exported)


# -- hybrid --------------------------------------------------------------------------------------------------------------------------------


def prepare(story: Story) -> None:
    """The tables, and who sees what is in them."""
    upgraded = story.shell.run("db", "upgrade").shown
    story.checks.add("the tables are there, and the application logs in as a role that owns none of them", upgraded["made_role"])


def attach(story: Story) -> None:
    """PostgreSQL follows, and is filled while the application saves and works; the copying is killed on the way."""
    with story_under_load(story) as load:
        load.go_on(SOME)
        words = ("migrate", "start", "--company", COMPANY, "--no-backup")
        story.shell.killed(*words, "--rate", str(SLOWLY), storage="hybrid", when=partial(_has_begun, story))
        there, here = asyncio.run(looking.counted(story.owner_url, COMPANY)), _tickets_in_files(story)
        story.checks.add(f"the copying was killed (kill -9) with {there} of {here} tickets of {COMPANY} in PostgreSQL", 0 < there < here)
        started = story.shell.run("migrate", "start", "--all", "--no-backup", storage="hybrid").shown["companies"]
        resumed = [one["company"] for one in started if one["resumed"]]
        whole = resumed == [COMPANY] and not any(one["rejected"] for one in started)
        story.checks.add(f"called again it went on where it stopped, and copied {_and([one['company'] for one in started])}", whole)
        saved = load.go_on(SOME)
        told = f"the application saved {saved} tickets meanwhile, the slowest in {_ms(load.slowest())}, {_refusals(load)}"
        story.checks.add(told, saved >= 2 * SOME)


@contextmanager
def story_under_load(story: Story) -> Generator[Load]:
    """An application that works on both sides; what it was told is safe is from then on looked for."""
    with under_load(story.shell, story.acknowledged) as load:
        yield load
    story.acknowledged = load.acknowledged


def _has_begun(story: Story) -> bool:
    return asyncio.run(looking.counted(story.owner_url, COMPANY)) >= BEGUN


def _tickets_in_files(story: Story) -> int:
    return sum(1 for _ in (story.path / "data" / COMPANY).glob("*/tickets/*.json"))


# -- verified ------------------------------------------------------------------------------------------------------------------------------


def verify(story: Story) -> None:
    """Both sides hold the same, and a difference would be found."""
    asyncio.run(looking.spoil(story.owner_url, *SPOILT[:3]))
    found = _verified(story, FAILED)
    named = [(company, one["platform"], one["id"]) for company, shown in found.items() for one in shown["differences"]]
    told = f"somebody changed ticket {SPOILT.id} of {SPOILT.company_id} in PostgreSQL: comparing finds that one, and no other"
    story.checks.add(told, named == [SPOILT[:3]])
    mended = story.shell.run("migrate", "repair", "--company", SPOILT.company_id, storage="hybrid").shown["companies"]
    verified = all(shown["verified"] for shown in _verified(story, OK).values())
    story.checks.add("it was mended from the files, and both sides are the same now", verified and mended[0]["mended"] == 1)
    same = story.in_tables() == look.in_files(story.path / "data") == {**story.exported, **story.acknowledged}
    story.checks.add("files and tables, read by neither deskstore nor its tools, hold the same payloads", same)


def _verified(story: Story, code: int) -> dict[str, dict[str, Any]]:  # Any: JSON
    shown = story.shell.run("migrate", "verify", "--all", "--depth", "content", storage="hybrid", codes=(code,)).shown
    return {one["company"]: one for one in shown["companies"]}


# -- cut over, and back --------------------------------------------------------------------------------------------------------------------


def there_and_back(story: Story) -> None:
    """PostgreSQL takes the writes, is killed, has lost nothing, and the files take them again."""
    with story_under_load(story) as load:
        load.go_on(SOME)
        _swap(story, load, "cutover", "PostgreSQL")
        _kill_postgres(story, load)
        before = len(load.acknowledged)
        _swap(story, load, "rollback", "the files")
    held = look.in_files(story.path / "data")
    since = len(load.acknowledged) - before
    story.checks.add(
        f"the files have all {len(load.acknowledged)} tickets, those of PostgreSQL's time and {since} since",
        not look.lacks(held, {**story.exported, **load.acknowledged}),
    )


def _swap(story: Story, load: Load, step: str, place: str) -> None:
    """Change the sides under load, and say what became of the writers."""
    load.slowest()
    swapped = _swapped(story, step)
    load.go_on(SOME)
    held_up = max(one["held_up_s"] for one in swapped)
    told = f"{place} took over {_and([one['company'] for one in swapped])}: writes stood still for {_ms(held_up)}"
    is_there = {one["lives_in"] for one in swapped} == {"postgresql" if step == "cutover" else "files"}
    story.checks.add(f"{told}, the slowest took {_ms(load.slowest())}, {_refusals(load)}", is_there)


def _swapped(story: Story, step: str) -> list[dict[str, Any]]:  # Any: JSON
    """What came of a swap; one that would have held writers up for too long changed nothing, and is tried again."""
    ran = story.shell.run("migrate", step, "--all", storage="hybrid", codes=(OK, BUSY))
    found: list[dict[str, Any]] = ran.shown["companies"] if ran.code == OK else _swapped(story, step)
    return found


def _refusals(load: Load) -> str:
    return f"{load.refused} were refused and asked again" if load.refused else "none was refused"


def _kill_postgres(story: Story, load: Load) -> None:
    """Kill the server while it is written to."""
    story.servers.postgres.kill()
    known = {**load.acknowledged}
    story.servers.postgres.start()
    load.go_on(SOME)
    told = f"PostgreSQL was killed (kill -9) under load and started again: all {len(known)} acknowledged tickets are in it"
    story.checks.add(told, not look.lacks(story.in_tables(), known))
    load.refused = 0


def for_good(story: Story) -> None:
    """PostgreSQL again, and the files are let go of."""
    with story_under_load(story) as load:
        load.go_on(SOME)
        _swap(story, load, "cutover", "PostgreSQL")
    finished = story.shell.run("migrate", "finish", "--all", storage="hybrid").shown["companies"]
    story.checks.add("the files are let go of, and kept", all(one["lives_in"] == "postgresql" and not one["deleted"] for one in finished))
    told = f"every byte is in PostgreSQL: {len(story.exported)} records that came in, {len(story.acknowledged)} that were acknowledged"
    story.checks.add(told, story.is_in_tables())
    late = story.shell.run("ticket", "get", "1", "--company", COMPANY, "--platform", "freshdesk", codes=(OK, UNAVAILABLE))
    story.checks.add("a program that was forgotten on the files reads nothing old, and is told what to open", late.code == UNAVAILABLE)


# -- on PostgreSQL and Redis ---------------------------------------------------------------------------------------------------------------


def settle_down(story: Story) -> None:
    """The same reads through the cache, with and without Redis, and sealed off from others."""
    tickets = {place: digest for place, digest in story.exported.items() if not place.locale}
    is_right, hits = asyncio.run(_read_until_cached(story, tickets))
    told = f"{len(tickets)} tickets were read again and again, {hits} of them from Redis at last; all are what they were"
    story.checks.add(told, is_right and hits > 0)
    story.servers.redis.kill()
    told = "Redis was killed (kill -9): the same tickets are read, from PostgreSQL"
    story.checks.add(told, asyncio.run(_read_once(story, tickets)) == tickets)
    story.servers.redis.start()
    _show_seals(story)


async def _read_until_cached(story: Story, wanted: Mapping[Place, str]) -> tuple[bool, int]:
    """Whether tickets were right each time they were read, and how many came from Redis; it keeps nothing in its first seconds."""
    end = time.monotonic() + PATIENCE_S
    async with _opened(story) as storage:
        while True:
            is_right = await _read(storage, wanted) == wanted
            hits = await _hits(storage, {place.company_id for place in wanted})
            if hits or not is_right or time.monotonic() > end:
                return is_right, hits
            await asyncio.sleep(LOOK_S)


async def _hits(storage: Storage, companies: Collection[str]) -> int:
    from deskstore.domain.ports import Caching
    from deskstore.services.tickets import find_ticket

    if not isinstance(storage, Caching):
        raise AssertionError("REDIS_URL is set")
    for company_id in companies:
        await find_ticket(storage, company_id, "freshdesk", "none")  # what was counted is told to Redis with the next miss
    return sum([(await storage.cache_counts(one))["hits"] for one in companies])


async def _read_once(story: Story, wanted: Mapping[Place, str]) -> Mapping[Place, str]:
    async with _opened(story) as storage:
        return await _read(storage, wanted)


async def _read(storage: Storage, wanted: Mapping[Place, str]) -> Mapping[Place, str]:
    """What an application is given."""
    return {place: await _digest(storage, place) for place in wanted}


def _opened(story: Story) -> AbstractAsyncContextManager[Storage]:
    from deskstore.bootstrap import Settings, open_storage

    return open_storage(Settings.from_environment(story.shell.variables("postgresql")))


async def _digest(storage: Storage, place: Place) -> str:
    from deskstore.services.tickets import get_ticket

    return sha256((await get_ticket(storage, place.company_id, place.platform, place.id)).payload).hexdigest()


def _show_seals(story: Story) -> None:
    """What a statement of the application finds that forgets, or changes, its company."""
    app_url = story.servers.settings["DATABASE_URL"]
    globex, others = asyncio.run(looking.seen_by(app_url, "globex"))
    theirs = sum(place.company_id == "globex" and not place.locale for place in story.exported)
    told = f"bound to globex, the application's own SQL finds {globex} tickets of globex and {others} of acme"
    story.checks.add(told, (globex, others) == (theirs, 0))
    story.checks.add("bound to no company, it finds none at all", asyncio.run(looking.seen_by(app_url, "")) == (0, 0))


def _and(names: Sequence[str]) -> str:
    return " and ".join(names)


def _ms(time_s: float) -> str:
    return f"{1_000 * time_s:.0f} ms"


CHAPTERS: Final = (
    ("On files", bring_in),
    ("A PostgreSQL of your own", prepare),
    ("Both at once, while the application works: STORAGE_TYPE=hybrid", attach),
    ("Compared, before anything is switched over", verify),
    ("Cut over under load, and rolled back", there_and_back),
    ("Cut over for good", for_good),
    ("On PostgreSQL, with Redis before it: STORAGE_TYPE=postgresql", settle_down),
)
