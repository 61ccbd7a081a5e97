"""
Writes the first migration anew, from the definition of this release: `python -m tests.postgres.freezing`.

For as long as no release has it. From the first release on a change of the schema is another migration, and this program goes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from deskstore.adapters.postgres import migrations
from deskstore.adapters.postgres.definition import statements
from deskstore.adapters.postgres.migrations.running import SCHEMA

FIRST: Final = Path(migrations.__path__[0]) / "versions" / "v0001_first.sql"
UNFROZEN: Final = "the schema and its migrations differ: run `python -m tests.postgres.freezing`, or add a migration once it is released"
HEAD: Final = "-- Made by `python -m tests.postgres.freezing`; once it is released, never changed again.\n\n"


def frozen() -> str:
    """The definition as a script."""
    return HEAD + "".join(f"{statement};\n\n" for statement in statements(SCHEMA)).rstrip("\n") + "\n"


if __name__ == "__main__":
    FIRST.write_text(frozen(), encoding="utf-8")
