"""
What a command prints: JSON where it was asked for, a coloured table on a terminal, plain aligned columns elsewhere.

Text out of payloads is printed without its control characters, which could otherwise move the cursor or hide what follows.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from textwrap import indent
from typing import Final

import click

LONGEST_CELL: Final = 60  #: columns of text out of payloads, where the reader is no terminal
LEAST_TEXT: Final = 12  #: columns of it; where a screen has no room for more, lines go on below
GAP: Final = "  "  #: between columns
PART: Final = 1_000  #: rows of a long table that are aligned together
STYLES: Final = {"pending": "yellow", "processing": "cyan", "completed": "green", "failed": "red"}


def print_json(value: object) -> None:
    """One JSON document, indented, in UTF-8."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


async def print_long_json(name: str, values: AsyncIterator[object]) -> None:
    """One JSON document with one array in it, whose values are printed as they come: they need not fit into memory."""
    opening, closing = f'{{\n  "{name}": [', "]\n}"
    async for value in values:
        click.echo(f"{opening}\n{indent(json.dumps(value, ensure_ascii=False, indent=2), ' ' * 4)}", nl=False)
        opening, closing = ",", "\n  ]\n}"
    click.echo(closing if opening == "," else opening + closing)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, ends_in_text: bool = False) -> None:
    """
    Rows under their headings; headings that begin with '#' stand over numbers.

    Args:
        ends_in_text: The last column holds text out of payloads, of which the beginning will do. Nothing else is ever cut: where it is
            wider than the screen, its lines go on below.
    """
    names = [heading.lstrip("#") for heading in headings]
    cells = [[cell(value) for value in row] for row in rows]
    if ends_in_text:
        room = _room_for_text([names, *cells])
        cells = [[*row[:-1], _cut(row[-1], room)] for row in cells]
    widths = _widths([names, *cells])
    _print_rows(headings, [names], widths, is_heading=True)
    _print_rows(headings, cells, widths)


async def print_long_table(headings: Sequence[str], rows: AsyncIterator[Sequence[object]]) -> int:
    """Rows under their headings, printed as they come, as they need not fit into memory; gives their number."""
    names = [heading.lstrip("#") for heading in headings]
    widths = _widths([names])
    printed = 0
    async for part in _parts(rows):
        widths = [*map(max, widths, _widths(part))]
        _print_rows(headings, [] if printed else [names], widths, is_heading=True)
        _print_rows(headings, part, widths)
        printed += len(part)
    if not printed:
        _print_rows(headings, [names], widths, is_heading=True)
    return printed


def cell(value: object) -> str:
    """A value as one line of printable text."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "".join(character if character.isprintable() else "\ufffd" for character in str(value))


def counted(number: int, one: str, many: str) -> str:
    """So many of something, in words that fit the number."""
    return f"{number:,} {one if number == 1 else many}"


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


async def _parts(rows: AsyncIterator[Sequence[object]]) -> AsyncIterator[list[list[str]]]:
    part: list[list[str]] = []
    async for row in rows:
        part.append([cell(value) for value in row])
        if len(part) == PART:
            yield part
            part = []
    if part:
        yield part


def _print_rows(headings: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int], *, is_heading: bool = False) -> None:
    is_number = [heading.startswith("#") for heading in headings]
    for row in rows:
        aligned = map(_aligned, row, widths, is_number)
        click.echo(GAP.join(_styled(text, is_heading=is_heading) for text in aligned).rstrip())


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(width, column)) for column in zip(*rows, strict=True)]


def _room_for_text(rows: Sequence[Sequence[str]]) -> int:
    """How many columns are left for the text behind the others, where somebody looks at a screen."""
    if not on_terminal(sys.stdout):
        return LONGEST_CELL
    left = shutil.get_terminal_size().columns - sum(size + len(GAP) for size in _widths(rows)[:-1])
    return left if left >= LEAST_TEXT else LONGEST_CELL


def _aligned(text: str, size: int, is_number: bool) -> str:
    space = " " * (size - width(text))
    return space + text if is_number else text + space


def _styled(text: str, *, is_heading: bool) -> str:
    if not on_terminal(sys.stdout):
        return text
    style = STYLES.get(text.strip())
    return click.style(text, bold=True) if is_heading else click.style(text, fg=style) if style else text


def _cut(text: str, longest: int) -> str:
    if width(text) <= longest:
        return text
    kept = ""
    for character in text:
        if width(kept + character) > longest - 3:
            break
        kept += character
    return kept + "..."
