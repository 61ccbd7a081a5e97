"""What every migration does: run the SQL that lies beside it."""

from __future__ import annotations

from alembic import op

from deskstore.adapters.postgres.routines import quoted
from deskstore.adapters.postgres.scripts import split, text_of

SCHEMA = "{schema}"  #: what stands in the files for the name of the schema, quoted as PostgreSQL quotes it


def run(script: str) -> None:
    """Run a script, or print it where no database is connected."""
    context = op.get_context()
    schema = quoted(str(context.version_table_schema))
    for statement in split(text_of("migrations", "versions", script).replace(f'"{SCHEMA}"', schema)):
        if context.as_sql:
            context.impl.static_output(f"{statement};")
        else:
            op.get_bind().exec_driver_sql(statement)
