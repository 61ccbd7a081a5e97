"""The Redis cache: a storage before another one, which is right whatever becomes of Redis."""

from deskstore.adapters.redis.limits import Limits
from deskstore.adapters.redis.storage import CachedStorage

__all__ = ["CachedStorage", "Limits"]
