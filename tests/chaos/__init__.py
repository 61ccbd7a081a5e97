"""
The long tests: `python3 dev.py chaos [AREA ...] [--minutes N] [--seed S] [--nightly]` prints a table of all parts and what came of them.
"""
