"""
Real servers for tests, and for trying out: a PostgreSQL and a Redis of one's own, on loopback, gone with whoever started them.

Only the programs of the wheels are used, none of their Python. No storage loads anything from here.
"""
