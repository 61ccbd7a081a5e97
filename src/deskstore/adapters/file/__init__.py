"""
Records as plain JSON files, one each, with a small SQLite database beside them that makes their changes safe.

storage       the storage itself
place         where it keeps its companies
listing       which companies there are
handles       which companies are open
handle        who uses one of them, and what waits to be written to it
company       one company that is open
readers       the threads that read
group         the units that are committed together

names         names of files and directories
layout        where each thing lies
tree          what is done in a company's directory
descent       the way down to a file in it
syncing       a whole file system brought to the disk

envelope      the file of a record or a summary
body          the same, read quickly where the index vouches for it
company_file  company.json
suppressing   suppressions.json

database      the SQLite database
index         what it knows of records
statements    the SQL of that
journal       what was acknowledged, on its way into the files
writer_lock   whose turn it is to write

backend       what the units of work of a company stand on
reads         the reads of a unit of work
loading       files that are read where the index says what they hold
writing       what a commit does
replica       the company as raw copies
erasing       the company erased

opening       a company opened, and made when it is new
recovery      the files brought up to the journal after a crash
rebuilding    a lost database made anew
vouching      the rows of that, straight from files
doubts        files that could not vouch for themselves

inspection    what the doctor asks for
inspecting    a look through a company
outside       companies seen from outside
surveying     all that stands in a company's directory
offering      what a file of another hand holds
mending       what was found, mended
"""

from deskstore.adapters.file.storage import FileStorage

__all__ = ["FileStorage"]
