"""
`deskstore demo`: the main job on made-up data, each thing it says checked at once.

entry     which demo is shown, in which folder
checks    what is said, and whether it is true
on_files  the short demo: everything on files
full      the long one: from files to PostgreSQL, back, and there again
servers   a PostgreSQL and a Redis for it
running   commands and an application under load, beside it
load      that application, a process of its own
writer    a process that is killed while it writes
look      what there is, seen from the outside
exports   the made-up data
"""

from deskstore.cli.demo.entry import command

__all__ = ["command"]
