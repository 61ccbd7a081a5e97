"""Copies of the file adapter with one line made worse: each of them must be found out, or a green sweep says nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Final

from attrs import frozen

import deskstore.adapters.file as original
from deskstore.domain.ports import Storage
from tests.file.workload import Adapter

_PACKAGE: Final = original.__name__
_SOURCE: Final = Path(original.__path__[0])


@frozen
class Edit:
    """What is changed in one module."""

    module: str
    old: str
    new: str


@frozen(kw_only=True)
class Mutant:
    """A file adapter in which pieces of source, each found exactly once, are others; used in place of FileStorage."""

    name: str
    edits: tuple[Edit, ...]
    is_quick: bool = True  #: found within seconds, so that every run of the tests tries it

    def __call__(self, path: Path, *, clock: Callable[[], datetime], checkpoint_rows: int) -> Storage:
        adapter: Adapter = _package(self).FileStorage  # typed as the original, since a module made at run time has no types
        return adapter(path, clock=clock, checkpoint_rows=checkpoint_rows)

    def misses(self) -> list[str]:
        """What it is to change and does not find exactly once, so that it would be the original."""
        return [edit.old for edit in self.edits if _source_of(edit.module).count(edit.old) != 1]

    @property
    def package(self) -> str:
        """Under which name the copy is imported."""
        return f"mutant_{abs(hash(self.edits))}"


def _source_of(module: str) -> str:
    return (_SOURCE / f"{module}.py").read_text(encoding="utf-8")


@cache
def _package(mutant: Mutant) -> ModuleType:
    sys.meta_path.insert(0, _Copies(mutant))
    return importlib.import_module(mutant.package)


@frozen
class _Copies(MetaPathFinder):
    """Finds the modules of one mutant's package."""

    mutant: Mutant

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        package, _, module = fullname.partition(".")
        if package != self.mutant.package:
            return None
        return spec_from_loader(fullname, _Copy(self.mutant, module or "__init__"), is_package=not module)


@frozen
class _Copy(Loader):
    """Makes one module of the copy from the source of the original."""

    mutant: Mutant
    module: str

    def exec_module(self, module: ModuleType) -> None:
        path, source = _SOURCE / f"{self.module}.py", _source_of(self.module).replace(_PACKAGE, self.mutant.package)
        for edit in self.mutant.edits:
            if edit.module == self.module:
                assert source.count(edit.old) == 1, f"{path} holds {source.count(edit.old)} times: {edit.old}"
                source = source.replace(edit.old, edit.new)
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - our own source, altered by the test
