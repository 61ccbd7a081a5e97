"""
Records in PostgreSQL: the same promises, sealed by the database itself.

storage      the storage itself
addresses    where a database is
pool         connections
errors       what the driver raises, as errors of deskstore
calls        the statements that call the database's functions
rows         values as rows of these, and back

backend      one company as a unit of work stands on it
reads        what is read of it
committing   a commit, from its beginning to what became of it
writing      what a commit writes down
claiming     tickets handed out to workers
suppressing  requesters whose tickets are kept out
replica      the company as raw copies
erasing      the company erased

definition   the whole schema
schema       its tables
routines     its functions and triggers
scripts      the SQL in files that these are made of
sealing      its policies
roles        the application's role

migrations   how a database got from one release to the next
migrating    a database brought up to this release
checks       what is wrong with a database
inspecting   what the doctor is told of it
naive        the database that the prototype kept
"""

from deskstore.adapters.postgres.pool import Limits
from deskstore.adapters.postgres.storage import PostgresStorage

__all__ = ["Limits", "PostgresStorage"]
