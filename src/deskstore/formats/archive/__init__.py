"""
The file of a backup: a tar of packed lines, which is read and written here, whatever the storage.

writing   a backup's file written
reading   the same opened
walking   its chunks, one after another
survey    every line looked at
working   the thread that does this

tar       the form of tar that it has
manifest  what stands at its two ends
frames    the chunks
lines     a thing as a line, and back
shapes    what stands in the line of each kind of thing
fields    what these have in common
damage    what is wrong with a backup
"""
