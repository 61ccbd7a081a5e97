"""How a database got from one release to the next: alembic's environment, which is told everything by its caller and reads no file."""
