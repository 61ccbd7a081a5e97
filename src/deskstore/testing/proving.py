"""The contract kit run against a storage, outside of anybody's tests: which promises it keeps, and which it breaks."""

from __future__ import annotations

import pkgutil
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest
from attrs import Factory, define, frozen
from hypothesis import settings

from deskstore.domain.errors import ConfigurationError, StorageError
from deskstore.domain.ports import Storage
from deskstore.testing.clock import ManualClock

_KIT: Final = "deskstore.testing.contract"
_FOLDER: Final = Path(__file__).with_name("contract")
_PROFILE: Final = "deskstore-proving"
_LONGEST: Final = 300  #: characters of a reason


@frozen(kw_only=True)
class Proof:
    """What came of one promise."""

    part: str  #: of the kit, such as claims
    promise: str  #: in words
    cases: int
    reason: str | None = None  #: how it was broken first; None: it was kept

    @property
    def is_kept(self) -> bool:
        """Whether every case of it held."""
        return self.reason is None


def prove(
    open_storage: Callable[[Callable[[], datetime]], Storage],
    *,
    seed: int,
    parts: Collection[str],
    progress: Callable[[int], None] | None = None,
) -> Sequence[Proof]:
    """
    Run promises against a storage that is opened anew for each case.

    Runs pytest, in this process, with none of the settings of whoever calls; not from within a test.

    Args:
        open_storage: Gives a storage that goes by the clock it is given; each may stand on the same place.
        seed: Of the random examples: the same ones again for the same seed.
        parts: Of the kit, out of all_parts().
        progress: Told how many cases are done.

    Raises:
        ConfigurationError: The promises could not be run at all.
        KeyboardInterrupt: Somebody interrupted it.
    """
    settings.register_profile(_PROFILE, deadline=None, database=None, max_examples=50)
    watching = _Watching(open_storage=open_storage, progress=progress)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        ended = pytest.main([*map(_module, sorted(parts)), *_options(folder, seed)], plugins=[watching])
    if ended == pytest.ExitCode.INTERRUPTED and not watching.trouble:
        raise KeyboardInterrupt
    if ended not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not watching.cases:
        raise ConfigurationError(f"the promises could not be run ({watching.trouble or ended!r}): see that deskstore[testing] is installed")
    return watching.proofs()


def all_parts() -> list[str]:
    """The parts of the kit, ascending; `replica` is for sides of a migration."""
    return sorted(found.name for found in pkgutil.iter_modules([str(_FOLDER)]) if found.name != "fixtures")


def _module(part: str) -> str:
    return str(_FOLDER / f"{part}.py")


def _options(folder: str, seed: int) -> list[str]:
    # the kit as a whole, so that its modules are read in a way by which a failed assert shows its values
    plugins = ["no:terminal", "no:cacheprovider", "asyncio", "hypothesispytest", _KIT, f"{_KIT}.fixtures"]
    ini = ["asyncio_mode=auto", "asyncio_default_fixture_loop_scope=session", "asyncio_default_test_loop_scope=session"]
    return [
        "--disable-plugin-autoload",
        *(word for plugin in plugins for word in ("-p", plugin)),
        *(word for one in ini for word in ("-o", one)),
        f"--hypothesis-seed={seed}",
        f"--hypothesis-profile={_PROFILE}",
        f"--rootdir={folder}",
        f"--config-file={folder}/pytest.ini",
        f"--basetemp={folder}/own",
    ]


@define(kw_only=True, eq=False)
class _Watching:
    """A plugin of pytest that brings the storage and notes what comes of each case."""

    open_storage: Callable[[Callable[[], datetime]], Storage]
    progress: Callable[[int], None] | None
    cases: dict[tuple[str, str], int] = Factory(dict[tuple[str, str], int])
    broken: dict[tuple[str, str], str] = Factory(dict[tuple[str, str], str])
    trouble: str = ""

    @pytest.fixture
    async def storage(self, clock: ManualClock) -> AsyncIterator[Storage]:
        """One that is the test's own, in a place that others were in before."""
        opened = self.open_storage(clock)
        yield opened
        with suppress(StorageError):  # a test may have broken it, or closed it
            await opened.aclose()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        named = (Path(report.location[0]).stem, report.location[2].partition("[")[0])
        if report.when == "call":
            self.cases[named] = self.cases.get(named, 0) + 1
            if self.progress:
                self.progress(sum(self.cases.values()))
        if not report.passed:
            self.cases.setdefault(named, 1)
            self.broken.setdefault(named, _reason(report))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.trouble = _reason(report)

    def proofs(self) -> list[Proof]:
        """What was noted, a promise each, in the order of the kit."""
        return [
            Proof(part=part, promise=name.removeprefix("test_").replace("_", " "), cases=cases, reason=self.broken.get((part, name)))
            for (part, name), cases in self.cases.items()
        ]


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """What went wrong, in a line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else report.longreprtext
    return " ".join(text.split())[:_LONGEST]
