"""Packages that count as installed while a folder is on the path: what pip leaves behind, without pip."""

from collections.abc import Mapping
from pathlib import Path


def install(folder: Path, name: str, version: str, adapters: Mapping[str, str], *, modules: Mapping[str, str] | None = None) -> None:
    """
    Put the metadata of a package into a folder, with its entry points of our group, and modules of it.

    Args:
        adapters: What each storage's name leads to, as `module:attribute`.
        modules: The source of each module by its name.
    """
    described = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    points = [f"{one} = {target}\n" for one, target in adapters.items()]
    (described / "entry_points.txt").write_text("".join(["[deskstore.adapters]\n", *points]), encoding="utf-8")
    for module, source in (modules or {}).items():
        (folder / f"{module}.py").write_text(source, encoding="utf-8")
