"""`deskstore adapters`: the storages that there are, and whether one keeps its promises."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

import click
from attrs import evolve

from deskstore.cli.failures import FAILED, OK, tell
from deskstore.cli.output import counted, print_json, print_table
from deskstore.cli.progress_bar import progress_bar
from deskstore.cli.shared import Command, Group, shared

if TYPE_CHECKING:
    from deskstore.adapters.installed import Offer
    from deskstore.bootstrap import Settings
    from deskstore.cli.records import Shown
    from deskstore.domain.ports import Storage
    from deskstore.testing.proving import Proof

SEEDS: Final = 2**32
EXAMPLES: Final = """\b
Examples:
  deskstore adapters list
  deskstore adapters test file
  SQLITE_PATH=/tmp/try.sqlite3 deskstore adapters test sqlite --seed 7
"""


@click.group("adapters", cls=Group, epilog=EXAMPLES)
def command() -> None:
    """The storages that STORAGE_TYPE may name, ours and those of other packages."""


@command.command("list")
def list_command() -> int:
    """Show every storage, where it is from, and what it can do; ends with 1 where one cannot be opened."""
    from deskstore.bootstrap import offers
    from deskstore.domain.adapting import CONTRACT_VERSION

    found = offers()
    if shared().as_json:
        print_json({"contract": CONTRACT_VERSION, "adapters": [_offer(one) for one in found]})
    else:
        rows = [(one.name, one.origin, one.contract, ", ".join(one.abilities), ", ".join(one.lacks), _result(one)) for one in found]
        print_table(["NAME", "FROM", "CONTRACT", "CAN", "LACKS", "RESULT"], rows)
        for one in found:
            if one.fault:
                tell(f"{one.name}: {one.fault}")
    return FAILED if any(one.fault for one in found) else OK


@command.command("test", cls=Command)
@click.argument("name")
@click.option("--seed", type=click.IntRange(0, SEEDS - 1), metavar="N", help="Of the random examples; else one that is told.")
@click.option(
    "--part", "parts", multiple=True, metavar="NAME", help="This part of the kit alone, such as claims; may be given several times."
)
def test_command(name: str, seed: int | None, parts: Sequence[str]) -> int:
    """
    Run the contract kit against a storage, and say which promises it keeps.

    Writes to the place that the settings name, erases in the end what it wrote, and refuses a place where companies are kept. Unless
    --data-path names one, DATA_PATH is a new folder. Needs the extra `testing`.
    """
    shared().chosen["STORAGE_TYPE"] = name
    shared().if_interrupted = "interrupted: what the promises wrote may be left in that place; it holds nothing else"
    drawn = random.SystemRandom().randrange(SEEDS) if seed is None else seed
    with tempfile.TemporaryDirectory(prefix="deskstore-adapters-") as folder:
        settings = shared().settings()
        if "DATA_PATH" not in shared().chosen:
            settings = evolve(settings, data_path=Path(folder) / "data")
        proofs = _proved(settings, drawn, parts)
    return _closing(name, drawn, proofs)


# -- testing -------------------------------------------------------------------------------------------------------------------------------


def _proved(settings: Settings, seed: int, parts: Sequence[str]) -> Sequence[Proof]:
    """What came of each promise, in a place that held nothing before and holds nothing after."""
    import asyncio

    from deskstore.bootstrap import storage_to_prove
    from deskstore.domain.times import now

    kit = _kit()
    name = str(settings.storage_type)
    if unknown := [part for part in parts if part not in kit.all_parts()]:
        raise click.UsageError(f"the kit has no part {unknown[0]!r}: choose one of: {', '.join(kit.all_parts())}")
    asyncio.run(_expect_nothing(name, storage_to_prove(settings, now)))
    with progress_bar(f"testing {name}", None, unit="cases") as advance:
        opener = partial(storage_to_prove, settings)
        proofs: Sequence[Proof] = kit.prove(opener, seed=seed, parts=parts or kit.all_parts(), progress=advance)
    asyncio.run(_erase_all(storage_to_prove(settings, now)))
    return proofs


def _kit() -> ModuleType:
    try:
        from deskstore.testing import proving
    except ModuleNotFoundError as error:
        raise click.UsageError(f"the contract kit needs {error.name}: pip install 'deskstore[testing]'") from error
    return proving


async def _expect_nothing(name: str, storage: Storage) -> None:
    try:
        companies, place = await storage.companies(), (await storage.health()).place
    finally:
        await storage.aclose()
    if companies:
        number = counted(len(companies), "company", "companies")
        raise click.UsageError(f"{place} holds {number}, and {name!r} is only tested where nothing is kept: give it a place of its own")


async def _erase_all(storage: Storage) -> None:
    try:
        for company_id in await storage.companies():
            await storage.erase(company_id)
    finally:
        await storage.aclose()


# -- what is said --------------------------------------------------------------------------------------------------------------------------


def _closing(name: str, seed: int, proofs: Sequence[Proof]) -> int:
    from deskstore.domain.adapting import CONTRACT_VERSION

    broken = [one for one in proofs if not one.is_kept]
    if shared().as_json:
        kept = {"kept": len(proofs) - len(broken), "broken": len(broken)}
        print_json({"adapter": name, "contract": CONTRACT_VERSION, "seed": seed, **kept, "promises": [_proof(one) for one in proofs]})
    else:
        _print(proofs)
    for one in broken:
        tell(f"broken: {one.promise}: {one.reason}")
    if broken:
        tell(f"{name!r} breaks {len(broken):,} of {counted(len(proofs), 'promise', 'promises')}; the same again with --seed {seed}")
        return FAILED
    tell(f"{name!r} keeps all {len(proofs):,} promises of contract {CONTRACT_VERSION} (seed {seed})")
    return OK


def _print(proofs: Sequence[Proof]) -> None:
    """A line for each part of the kit."""
    parts = Counter(one.part for one in proofs)
    kept = Counter(one.part for one in proofs if one.is_kept)
    rows = [(part, number, kept[part], number - kept[part]) for part, number in sorted(parts.items())]
    print_table(["PART", "#PROMISES", "#KEPT", "#BROKEN"], rows)


def _result(one: Offer) -> str:
    return "failed" if one.fault else "ok"


def _offer(one: Offer) -> Shown:
    can = {"abilities": [*one.abilities], "lacks": [*one.lacks]}
    return {"name": one.name, "from": one.origin, "contract": one.contract, **can, "fault": one.fault}


def _proof(one: Proof) -> Shown:
    return {"part": one.part, "promise": one.promise, "cases": one.cases, "kept": one.is_kept, "reason": one.reason}
