"""Breakers: which integrations are left alone until when, whose settings were refused, how fast others are called."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# `since` is the first failure of those that are counted, `probe_at` when one call may try again, `probe` the one that
# does, for as long as `probe_until` says: whoever died with it holds up nobody after that
BREAKER = """
CREATE TABLE tocsin.breaker (
    integration text PRIMARY KEY,
    state text NOT NULL DEFAULT 'closed' CHECK (state IN ('closed', 'open')),
    cause text CHECK (cause IN ('failing', 'limited')),
    why text NOT NULL DEFAULT '',
    failures integer NOT NULL DEFAULT 0,
    answers integer NOT NULL DEFAULT 0,
    since timestamptz,
    opened_at timestamptz,
    pause float NOT NULL DEFAULT 0,
    probe_at timestamptz,
    probe uuid,
    probe_until timestamptz,
    probes integer NOT NULL DEFAULT 0,
    paged boolean NOT NULL DEFAULT false
)
"""
# settings that a target did not accept, told apart by a fingerprint that does not give them away; `replaced` where it
# has accepted others since
REFUSED = """
CREATE TABLE tocsin.refused_settings (
    integration text NOT NULL,
    fingerprint text NOT NULL,
    why text NOT NULL,
    replaced boolean NOT NULL DEFAULT false,
    refused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (integration, fingerprint)
)
"""
# when the next action may be sent to an integration that has a rate
PACE = """
CREATE TABLE tocsin.pace (
    integration text PRIMARY KEY,
    next_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""
# what waits until a maintenance window ends; `looked_at` is when its run asked last
QUEUED = """
CREATE TABLE tocsin.queued (
    key text PRIMARY KEY,
    integration text NOT NULL,
    run text NOT NULL,
    step text NOT NULL,
    capability text NOT NULL,
    target text NOT NULL,
    rank integer NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    looked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    until timestamptz NOT NULL,
    why text NOT NULL
)
"""


def upgrade() -> None:
    op.execute(QUEUED)
    op.execute("CREATE INDEX queued_at ON tocsin.queued (integration, looked_at)")
    op.execute(PACE)
    op.execute(BREAKER)
    op.execute(REFUSED)
