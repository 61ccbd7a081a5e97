"""
A storage that tells an observer what it does, made around any other one.

Nobody else knows of it: without an observer there is none of this, and the storage is the one that it would have been around.
"""

from deskstore.adapters.observing.storage import ObservedStorage

__all__ = ["ObservedStorage"]
