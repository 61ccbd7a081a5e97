"""
Records in memory: for tests, and the plainest reading of what every storage promises.

storage  the companies, and who may change them
backend  one company as a unit of work stands on it
reads    what is read of it
replica  one company as raw copies
company  all that is kept of one company
"""

from deskstore.adapters.memory.backend import MemoryBackend
from deskstore.adapters.memory.reads import MemoryTickets
from deskstore.adapters.memory.storage import MemoryStorage

__all__ = ["MemoryBackend", "MemoryStorage", "MemoryTickets"]
