"""Records in PostgreSQL: the same promises, sealed by the database itself."""

from deskstore.adapters.postgres.pool import Limits
from deskstore.adapters.postgres.storage import PostgresStorage

__all__ = ["Limits", "PostgresStorage"]
