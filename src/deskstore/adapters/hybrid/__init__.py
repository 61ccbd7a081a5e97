"""Companies in two storages at once: one takes the writes, the other follows, and they can change places."""

from deskstore.adapters.hybrid.storage import HybridStorage, Lag

__all__ = ["HybridStorage", "Lag"]
