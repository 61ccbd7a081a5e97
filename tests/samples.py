"""
Imports a folder of real exports, and compares what is stored with what the files hold: `python3 dev.py samples DIR`.

With `--postgresql` they go into PostgreSQL and not into files: the server that TEST_DATABASE_URL names, or else one of its own. Each file
goes into a storage of its own, under the platform that its path names (freshdesk, zendesk, intercom, jira) or else `generic`. Every payload
that went in is read back, and compared byte for byte with its slice of the source. Ends with 1 when anything differs.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from attrs import frozen

from deskstore.bootstrap import Settings, StorageType, open_storage
from deskstore.cli.output import cell, print_table
from deskstore.domain.errors import InvalidRecord, StorageError
from deskstore.domain.identifiers import ARTICLE, Key
from deskstore.domain.ports import Storage
from deskstore.domain.records import Article, Incoming, Ticket
from deskstore.formats.platforms import PLATFORMS
from deskstore.formats.streams import Slice, read_records
from deskstore.services.arrivals import Reading
from deskstore.services.articles import find_article
from deskstore.services.importing import ImportReport, import_records
from deskstore.services.tickets import find_ticket
from tests.postgres.preparing import prepare
from tests.servers.choosing import postgres
from tests.servers.databases import databases_on

COMPANY = "samples"
POSTGRESQL = "--postgresql"
Fresh = Callable[[], AbstractAsyncContextManager[Settings]]  #: settings of a storage that holds nothing yet
Place = Callable[[], AbstractAsyncContextManager[Fresh]]
IGNORED = {".md", ".txt"}


@frozen(kw_only=True)
class Outcome:
    """What became of one file."""

    file: str
    platform: str
    detected: str = "-"
    kind: str = "-"
    records: int = 0
    kept: int = 0
    rejected: int = 0
    first_ids: str = "-"
    times: str = "-"
    differing: int = 0  #: payloads that are not stored as the file holds them
    remark: str = ""
    took_s: float = 0.0


def main(arguments: list[str]) -> int:
    named = [word for word in arguments if word != POSTGRESQL]
    if len(named) != 1 or not Path(named[0]).is_dir():
        print(f"name a folder of exports: python3 dev.py samples [{POSTGRESQL}] DIR", file=sys.stderr)  # noqa: T201 - this is a command
        return 2
    place = in_postgresql if POSTGRESQL in arguments else on_files
    outcomes = asyncio.run(examine_all(Path(named[0]), place))
    show(outcomes)
    return 1 if any(one.differing for one in outcomes) or not outcomes else 0


async def examine_all(root: Path, place: Place) -> list[Outcome]:
    async with place() as fresh:
        return [await examine(path, root, fresh) for path in files(root)]


@asynccontextmanager
async def on_files() -> AsyncGenerator[Fresh]:
    @asynccontextmanager
    async def fresh() -> AsyncGenerator[Settings]:
        with tempfile.TemporaryDirectory() as folder:
            yield Settings(data_path=Path(folder))

    yield fresh


@asynccontextmanager
async def in_postgresql() -> AsyncGenerator[Fresh]:
    with postgres() as server:
        async with databases_on(server) as databases:
            template = await databases.template(prepare)

            @asynccontextmanager
            async def fresh() -> AsyncGenerator[Settings]:
                async with databases.fresh(template) as database:
                    yield Settings(storage_type=StorageType.POSTGRESQL, database_url=database.app_url)

            yield fresh


def files(root: Path) -> Iterator[Path]:
    yield from (path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix not in IGNORED and not path.name.startswith("."))


def show(outcomes: list[Outcome]) -> None:
    print_table(
        ["FILE", "PLATFORM", "FORM", "KIND", "#RECORDS", "#KEPT", "#REJECTED", "FIRST IDS", "FROM - TO", "#DIFFER", "REMARK"],
        [
            (
                one.file,
                one.platform,
                one.detected,
                one.kind,
                one.records,
                one.kept,
                one.rejected,
                one.first_ids,
                one.times,
                one.differing,
                one.remark,
            )
            for one in outcomes
        ],
    )
    taken = [one for one in outcomes if one.kept]
    print(  # noqa: T201 - this is a command
        f"{len(outcomes)} files: {len(taken)} imported, {len(outcomes) - len(taken)} refused; "
        f"{sum(one.kept for one in outcomes):,} records kept, "
        f"{sum(one.rejected for one in outcomes):,} rejected, {sum(one.differing for one in outcomes):,} differ"
    )


async def examine(path: Path, root: Path, fresh: Fresh) -> Outcome:
    """Import one file, read everything back, import it again."""
    began = time.monotonic()
    name, platform = str(path.relative_to(root)), platform_of(path, root)
    async with fresh() as settings, open_storage(settings) as storage:
        try:
            report = await import_records(storage, COMPANY, platform, [path])
            again = await import_records(storage, COMPANY, platform, [path])
            return await compared(storage, path, name, platform, report, again, began)
        except InvalidRecord as error:
            return Outcome(file=name, platform=platform, remark=str(error).removeprefix(f"{path}: ").removeprefix(f"{path} "))
        except StorageError as error:
            return Outcome(file=name, platform=platform, differing=1, remark=f"{type(error).__name__}: {error}")


async def compared(
    storage: Storage, path: Path, name: str, platform: str, report: ImportReport, again: ImportReport, began: float
) -> Outcome:
    expected = await standing(path, Reading(platform=platform))
    stored = [await find(storage, key) for key in expected]
    differing = sum(record is None or record.payload != one.payload for record, one in zip(stored, expected.values(), strict=True))
    moments = sorted(record.fields.created_at for record in stored if record and record.fields.created_at)
    changed = again.created + again.updated
    return Outcome(
        file=name,
        platform=platform,
        detected=", ".join(str(one) for one in report.detected.values()),
        kind=report.kind or "-",
        records=report.records,
        kept=len(expected),
        rejected=report.rejected,
        first_ids=" ".join(key.id[:24] for key in [*expected][:3]) or "-",
        times=f"{cell(moments[0])[:10]} - {cell(moments[-1])[:10]}" if moments else "-",
        differing=differing + changed,
        remark="importing it again was not unchanged" if changed else report.rejects[0].reason if report.rejects else "",
        took_s=time.monotonic() - began,
    )


async def standing(path: Path, reading: Reading) -> dict[Key, Incoming]:
    """What must be stored in the end, worked out here by the rule alone: the newest of each record, else the first."""
    found: dict[Key, Incoming] = {}
    async with read_records(path) as reader:
        async for one in reader:
            reading = reading.of_first(one) if isinstance(one, Slice) else reading
            incoming = reading.incoming(one.payload, one.value) if isinstance(one, Slice) and is_record(one, reading) else None
            if incoming and (incoming.key not in found or is_newer(incoming, found[incoming.key])):
                found[incoming.key] = incoming
    return found


def is_record(one: Slice, reading: Reading) -> bool:
    try:
        reading.incoming(one.payload, one.value)
    except InvalidRecord:
        return False
    return True


def is_newer(one: Incoming, other: Incoming) -> bool:
    came, known = one.fields.source_version, other.fields.source_version
    return came is not None and known is not None and known.is_older_than(came)


async def find(storage: Storage, key: Key) -> Ticket | Article | None:
    if key.kind == ARTICLE:
        return await find_article(storage, COMPANY, key.platform, key.id, key.locale)
    return await find_ticket(storage, COMPANY, key.platform, key.id)


def platform_of(path: Path, root: Path) -> str:
    named = [part for part in path.relative_to(root.parent).parts if part in PLATFORMS]
    return named[0] if named else "generic"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
