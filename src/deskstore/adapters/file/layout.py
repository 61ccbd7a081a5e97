"""Where each thing of a company lies, relative to the company's directory."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from deskstore.adapters.file import names
from deskstore.domain.identifiers import TICKET, Key, Kind
from deskstore.domain.things import Thing

LAYOUT: Final = 1  #: the version of the layout that this release reads and writes
OWN: Final = ".deskstore"  #: what belongs to deskstore alone
DATABASE: Final = f"{OWN}/state.sqlite3"
COMPANY_FILE: Final = f"{OWN}/company.json"
SUPPRESSIONS: Final = f"{OWN}/suppressions.json"
LOCK: Final = f"{OWN}/lock"
CHECKPOINT_LOCK: Final = f"{OWN}/checkpoint.lock"
WAITING: Final = f"{OWN}/waiting.lock"  #: held by whoever waits to write
EDITED: Final = f"{OWN}/edited"  #: files that no history explains, moved here and never deleted
DAMAGED: Final = f"{OWN}/damaged"  #: databases that SQLite could not read


def record_path(key: Key) -> str:
    """Where the file of a ticket or an article lies."""
    return f"{_folder(key.kind, key.platform, key.locale)}/{names.encode(key.id)}.json"


@lru_cache(maxsize=256)  # a page has a hundred records, and one or two folders
def _folder(kind: Kind, platform: str, locale: str) -> str:
    folder = "tickets" if kind == TICKET else f"articles/{names.encode_locale(locale)}"
    return f"{names.encode(platform)}/{folder}"


def summary_path(key: Key, number: int) -> str:
    """Where the file of a summary lies."""
    folder = "tickets" if key.kind == TICKET else f"articles/{names.encode_locale(key.locale)}"
    return f"{names.encode(key.platform)}/summaries/{folder}/{names.encode(key.id)}/{number}.json"


def path_of(thing: Thing) -> str | None:
    """Where the file of a thing lies; None for what is kept in the database, in its ticket's file, or in one with others."""
    match thing.part:
        case "ticket" | "article":
            return record_path(thing.key)
        case "summary":
            return summary_path(thing.key, thing.number)
        case "processing" | "checkpoint" | "suppression":
            return None
