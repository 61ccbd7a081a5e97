"""Use cases: what an application does with a storage, one function each, the storage first."""
