"""SQL that lies in files: its statements one by one, and its placeholders filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources

_PACKAGE = "deskstore.adapters.postgres"


def filled(template: str, values: Mapping[str, str]) -> Iterator[str]:
    """The statements of a template in sql/, with names put in."""
    yield from split(text_of("sql", f"{template}.sql").format_map(values))


def text_of(*place: str) -> str:
    """A file of this package."""
    return resources.files(_PACKAGE).joinpath(*place).read_text("utf-8")


def split(script: str) -> Iterator[str]:
    """The statements of a script, without their semicolons; what stands between dollar signs is one piece."""
    lines: list[str] = []
    in_body = False
    for line in script.splitlines():
        lines.append(line)
        in_body ^= line.count("$$") % 2 == 1
        if not in_body and line.endswith(";"):
            yield "\n".join(lines).strip().removesuffix(";")
            lines = []
    if rest := "\n".join(lines).strip():
        yield rest
