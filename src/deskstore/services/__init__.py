"""
Use cases: what an application does with a storage, one function each, the storage first.

tickets     kept, found, listed and removed
articles    likewise
receiving   payloads judged against what is stored
removing    records removed with all that belongs to them
summaries   what was written of a record

processing  statuses, and claims by hand
working     workers that go through all tickets
taking      the tickets that one worker takes
holding     one ticket in the hands of a worker
stopping    Ctrl-C as a wish to come to an end
requeuing   tickets put back into the line

importing   exports, in
arrivals    their records, one after another
repeats     which of them were met before
rejects     the file of those that could not be kept
exporting   and out again
adopting    what the prototype kept

companies   listed and erased
erasing     requesters erased
backup      backups, taken and restored
migrating   companies moved between storages
doctoring   damage found and mended

sound       records read past those that are damaged
attempts    how often a lost race is run again
observing   use cases told to an observer
"""
