"""The records of all companies in one SQLite database, for deskstore: `STORAGE_TYPE=sqlite`."""

from collections.abc import Mapping
from pathlib import Path

from deskstore import Adapter, Variable
from deskstore.domain.adapting import Clock
from deskstore_sqlite.storage import SqliteStorage

__all__ = ["ADAPTER", "SqliteStorage"]


def _opened(told: Mapping[str, str], clock: Clock) -> SqliteStorage:
    return SqliteStorage(Path(told.get("SQLITE_PATH") or Path(told["DATA_PATH"]) / "deskstore.sqlite3"), clock=clock)


ADAPTER = Adapter(storage=SqliteStorage, open=_opened, contract=1, variables=(Variable(name="SQLITE_PATH"),))
