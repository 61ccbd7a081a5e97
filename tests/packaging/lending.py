"""The libraries of the environment that runs the tests, lent to an empty one: the same as installing them, and no network is needed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

Asked = tuple[str, str]  #: a distribution, and one of its extras or ""


def lend(names: list[str], site_packages: Path) -> None:
    """Put those distributions, and all that they require, into an environment."""
    for lent in closure([Requirement(name) for name in names]):
        for entry in top_level(lent):
            target = site_packages / entry
            if not target.exists():
                target.symlink_to(str(lent.locate_file(entry)))


def closure(wanted: list[Requirement]) -> Iterator[Distribution]:
    """Each distribution once that is required, or required by one of them."""
    waiting, seen = list(asked_by(wanted)), set[Asked]()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        found = distribution(name)
        if not extra:
            yield found
        required = [Requirement(line) for line in found.requires or ()]
        waiting += asked_by([one for one in required if one.marker is None or one.marker.evaluate({"extra": extra})])


def asked_by(requirements: list[Requirement]) -> Iterator[Asked]:
    for one in requirements:
        yield from ((one.name, extra) for extra in ["", *one.extras])


def top_level(lent: Distribution) -> set[str]:
    """The files and directories that a distribution brings, without programs and compiled leftovers."""
    return {file.parts[0] for file in lent.files or ()} - {"..", "__pycache__"}
