"""
What deskstore is about: records, rules and ports, with no storage in sight.

ports         what deskstore asks of a storage
errors        every error
identifiers   names, and the one rule for them
times         times, and the one way to keep them

records       tickets and articles
payloads      what a platform sent, as bytes and as a value
receiving     created, updated, unchanged or stale
summaries     what was written of a record
processing    how far a ticket has come
claims        tickets handed out to workers
suppressions  requesters whose tickets are kept out
erasures      what stays of a company that was erased
paging        filters, pages and cursors

unit          the unit of work
pending       what it is about to change
changes       the same, as a storage is given it
commits       what a commit does
outcomes      how a unit ends

things        the names of what is copied, and where a company lives
mirror        copies and their digests
sides         the two stores of one company
beginning     its first place in two stores
filling       a mirror filled
marks         how far that has come
draining      a mirror told of what changed since
comparing     both sides compared
healing       both sides brought together
swapping      both sides exchanged
tallies       what a company amounts to
walking       all things of one part, one after another
ahead         the next thing made while one is in use

findings      what a look through a store finds
observing     what may be told of the work that is done
wrapping      a storage that hands everything on to another one
adapting      what a package with a storage offers
columns       every value as a flat row
rows          a processing as one
"""
