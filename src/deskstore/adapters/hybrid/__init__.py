"""
Companies in two storages at once: one takes the writes, the other follows, and they can change places.

storage     the storage itself
company     where one company lives at this moment
reads       what is read of it there
replica     the company as raw copies
draining    the task that copies to mirrors what they are owed
inspecting  what the doctor is told of both sides
"""

from deskstore.adapters.hybrid.storage import HybridStorage, Lag

__all__ = ["HybridStorage", "Lag"]
