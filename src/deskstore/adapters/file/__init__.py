"""Records as plain JSON files, one each, with a small SQLite database beside them that makes their changes safe."""

from deskstore.adapters.file.storage import FileStorage

__all__ = ["FileStorage"]
