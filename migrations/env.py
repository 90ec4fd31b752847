"""Run the migrations on the connection that is handed in; there is no other way to configure them.

Tables change by versions; functions are put in anew each time, so that each stands in one file, as it is now.
"""

from __future__ import annotations

from pathlib import Path

from alembic import context
from sqlalchemy import Connection, text

SCHEMA = "tocsin"
FUNCTIONS = Path(__file__).parent / "functions"


def migrate(connection: Connection) -> None:
    """Bring the schema to the newest version, in one transaction."""
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    context.configure(connection=connection, version_table_schema=SCHEMA, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
        for function in sorted(FUNCTIONS.glob("*.sql")):
            connection.exec_driver_sql(function.read_text())


handed_in = context.config.attributes.get("connection")
if handed_in is None:
    raise SystemExit("migrations run through `tocsin up`, which hands in the connection")
migrate(handed_in)
