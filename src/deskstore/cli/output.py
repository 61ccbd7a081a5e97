"""
What a command prints: JSON where it was asked for, a coloured table on a terminal, plain aligned columns elsewhere.

Text out of payloads is printed without its control characters, which could otherwise move the cursor or hide what follows.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import click

LONGEST_CELL: Final = 60  #: columns, where the reader is no terminal
STYLES: Final = {"pending": "yellow", "processing": "cyan", "completed": "green", "failed": "red"}


def print_json(value: object) -> None:
    """One JSON document, indented, in UTF-8."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under their headings; headings that begin with '#' stand over numbers."""
    cells = [[cell(value) for value in row] for row in rows]
    if on_terminal(sys.stdout):
        _print_rich(headings, cells)
    else:
        _print_plain(headings, cells)


def cell(value: object) -> str:
    """A value as one line of printable text."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "".join(character if character.isprintable() else "\ufffd" for character in str(value))


def moment(value: datetime | None) -> str | None:
    """A time as JSON shows it."""
    return None if value is None else value.isoformat().replace("+00:00", "Z")


def on_terminal(stream: object) -> bool:
    """Whether somebody is looking, on a screen that can do more than lines."""
    is_terminal = getattr(stream, "isatty", None)
    return bool(is_terminal and is_terminal()) and os.environ.get("TERM") != "dumb"


def width(text: str) -> int:
    """How many columns a text takes on a screen."""
    return sum(0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def _print_plain(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    shown = [[heading.lstrip("#") for heading in headings], *([_cut(text) for text in row] for row in rows)]
    widths = [max(width(row[column]) for row in shown) for column in range(len(headings))]
    for row in shown:
        columns = zip(headings, row, widths, strict=True)
        click.echo("  ".join(_padded(text, size, is_number=heading.startswith("#")) for heading, text, size in columns).rstrip())


def _padded(text: str, size: int, *, is_number: bool) -> str:
    space = " " * (size - width(text))
    return space + text if is_number else text + space


def _cut(text: str) -> str:
    if width(text) <= LONGEST_CELL:
        return text
    kept = ""
    for character in text:
        if width(kept + character) > LONGEST_CELL - 3:
            break
        kept += character
    return kept + "..."


def _print_rich(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for heading in headings:
        is_number = heading.startswith("#")
        table.add_column(heading.lstrip("#"), justify="right" if is_number else "left", overflow="ellipsis", no_wrap=is_number)
    for row in rows:
        table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in row))
    Console().print(table)
