"""Which version of each playbook was in force when, and which files do not check. What was there stays as it is."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# a version is known by its content alone, and a copied or renamed file has the content of another
REGISTERED = """
CREATE TABLE tocsin.playbook_registered (
    name text NOT NULL,
    digest text NOT NULL REFERENCES tocsin.playbook_version (digest),
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, digest)
)
"""
KNOWN_ALREADY = """
INSERT INTO tocsin.playbook_registered (name, digest, registered_at)
SELECT name, digest, registered_at FROM tocsin.playbook_version
"""
# a version may be in force several times; the time without an end is now
IN_FORCE = """
CREATE TABLE tocsin.playbook_in_force (
    name text NOT NULL,
    digest text NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    until timestamptz,
    PRIMARY KEY (name, since),
    FOREIGN KEY (name, digest) REFERENCES tocsin.playbook_registered
)
"""
# the file as it was last seen; whatever is in force for its name stays so
BROKEN = """
CREATE TABLE tocsin.playbook_broken (
    name text PRIMARY KEY,
    findings jsonb NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


def upgrade() -> None:
    op.execute(REGISTERED)
    op.execute(KNOWN_ALREADY)
    op.execute(IN_FORCE)
    op.execute("CREATE UNIQUE INDEX playbook_in_force_now ON tocsin.playbook_in_force (name) WHERE until IS NULL")
    op.execute(BROKEN)
    op.execute("CREATE INDEX run_open ON tocsin.run (playbook, digest) WHERE ended_at IS NULL")
