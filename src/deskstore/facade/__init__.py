"""
The nine operations on plain dicts, for code that wants nothing else.

    storage = deskstore.get_storage()
    await storage.save_ticket("acme", "freshdesk", {"id": 42, "subject": "Cannot log in"})

interface  the nine operations as a protocol
storage    the same over any storage, and the one that the environment asks for
dicts      payloads and what stands beside them, as one dict
pages      pages of tickets as such dicts
opening    a storage for each event loop, opened when it is first needed
turns      writers of one record, one after another
"""

from deskstore.facade.dicts import RESERVED
from deskstore.facade.interface import StorageInterface
from deskstore.facade.storage import DictStorage, StorageFactory, get_storage

__all__ = ["RESERVED", "DictStorage", "StorageFactory", "StorageInterface", "get_storage"]
