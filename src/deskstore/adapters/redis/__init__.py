"""
The Redis cache: a storage before another one, which is right whatever becomes of Redis.

storage       the storage itself
reads         what is read by key, by way of Redis
invalidating  what a unit of work does to the cache

company       one company's values
values        a value as Redis keeps it
names         what everything is called there
scripts       the steps that Redis carries out at once
epochs        whether a company may be cached
doubts        companies whose values may be outdated

connection    asking Redis, briefly
line          many questions on one connection
breaker       leaving Redis alone while it does not answer
limits        how long anything waits or lives
counts        how often the cache was of use
inspecting    what people are told of Redis
"""

from deskstore.adapters.redis.limits import Limits
from deskstore.adapters.redis.storage import CachedStorage

__all__ = ["CachedStorage", "Limits"]
