"""Alerts, claims, runs, the ledger of actions, approvals, and the audit with its order."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE tocsin.playbook_version (
    digest text PRIMARY KEY,
    name text NOT NULL,
    document jsonb NOT NULL,
    source text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE tocsin.alert (
    key text PRIMARY KEY,
    source text NOT NULL,
    id text NOT NULL,
    sha256 bytea NOT NULL,
    severity text NOT NULL,
    title text NOT NULL,
    happened_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    raw bytea NOT NULL
);
CREATE INDEX alert_id ON tocsin.alert (id);
CREATE INDEX alert_place ON tocsin.alert (topic, partition, "offset");

-- what matched nothing, or was no alert, is counted by stretch of a partition; `explain` reads the topic again
CREATE TABLE tocsin.unmatched (
    topic text NOT NULL,
    partition integer NOT NULL,
    first_offset bigint NOT NULL,
    last_offset bigint NOT NULL,
    alerts integer NOT NULL,
    other integer NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, partition, first_offset, last_offset)
);

CREATE TABLE tocsin.dead_letter (
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    sha256 bytea NOT NULL,
    reason text NOT NULL,
    place text NOT NULL,
    message text NOT NULL,
    size bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, partition, "offset", sha256)
);

CREATE TABLE tocsin.run (
    run text PRIMARY KEY,
    playbook text NOT NULL,
    digest text NOT NULL,
    event text NOT NULL,
    group_key text,
    workflow_id text NOT NULL,
    first_run_id text NOT NULL,
    mode text NOT NULL,
    severity text,
    state text NOT NULL DEFAULT 'running',
    failed_step text,
    error jsonb,
    joined integer NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz
);
CREATE INDEX run_workflow ON tocsin.run (workflow_id);
CREATE INDEX run_group ON tocsin.run (playbook, group_key, ended_at) WHERE group_key IS NOT NULL;

-- who has an alert: decided by the run, never by intake
CREATE TABLE tocsin.claim (
    playbook text NOT NULL,
    alert_key text NOT NULL,
    run text NOT NULL,
    workflow_id text NOT NULL,
    first_run_id text NOT NULL,
    how text NOT NULL CHECK (how IN ('started', 'joined', 'counted')),
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (playbook, alert_key)
);
CREATE INDEX claim_alert ON tocsin.claim (alert_key);
CREATE INDEX claim_run ON tocsin.claim (run);

CREATE TABLE tocsin.action (
    key text PRIMARY KEY,
    run text NOT NULL,
    playbook text NOT NULL,
    digest text NOT NULL,
    event text NOT NULL,
    step text NOT NULL,
    path text[] NOT NULL,
    capability text NOT NULL,
    effect text NOT NULL,
    integration text NOT NULL,
    target text NOT NULL,
    parameters jsonb NOT NULL,
    parameters_digest text NOT NULL,
    mode text NOT NULL,
    approval text,
    until timestamptz,
    state text NOT NULL CHECK (state IN ('intended', 'done', 'failed', 'unknown', 'shadowed', 'undone')),
    attempt integer NOT NULL,
    sends integer NOT NULL,
    send_before timestamptz NOT NULL,
    result jsonb,
    error_kind text,
    error_message text,
    retry_after real,
    milliseconds real,
    intended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    concluded_at timestamptz
);
CREATE INDEX action_run ON tocsin.action (run);
CREATE INDEX action_open ON tocsin.action (intended_at) WHERE state IN ('intended', 'unknown');
CREATE INDEX action_target ON tocsin.action (target, capability);

CREATE TABLE tocsin.approval (
    id text PRIMARY KEY,
    run text NOT NULL,
    playbook text NOT NULL,
    workflow_id text NOT NULL,
    first_run_id text NOT NULL,
    step text NOT NULL,
    digest text NOT NULL,
    request jsonb NOT NULL,
    card text NOT NULL,
    state text NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'approved', 'denied', 'expired', 'failed', 'void')),
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    deadline timestamptz,
    decision jsonb,
    decided_at timestamptz
);
CREATE INDEX approval_waiting ON tocsin.approval (asked_at) WHERE state = 'waiting';
CREATE INDEX approval_run ON tocsin.approval (run);

-- every answer that anybody gave, counted or refused, by its place in the run's history
CREATE TABLE tocsin.approval_answer (
    approval text,
    workflow_id text NOT NULL,
    run_id text NOT NULL,
    event_id bigint NOT NULL,
    signal text NOT NULL,
    answered_at timestamptz NOT NULL,
    by text,
    trust text NOT NULL,
    verdict text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (workflow_id, run_id, event_id)
);

CREATE TABLE tocsin.audit_event (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    place bigint GENERATED ALWAYS AS IDENTITY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    type text NOT NULL,
    run text,
    subject text,
    body jsonb NOT NULL
);
CREATE INDEX audit_event_xid ON tocsin.audit_event (xid, place);
CREATE INDEX audit_event_run ON tocsin.audit_event (run) WHERE run IS NOT NULL;
CREATE INDEX audit_event_subject ON tocsin.audit_event (subject) WHERE subject IS NOT NULL;

-- gap-free places in the order of commits, given by one sequencer at a time
CREATE TABLE tocsin.audit_position (
    position bigint PRIMARY KEY,
    event uuid NOT NULL UNIQUE REFERENCES tocsin.audit_event (id)
);

-- one row: what was given a place, and what Kafka has acknowledged
CREATE TABLE tocsin.audit_relay (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    horizon xid8 NOT NULL DEFAULT '0',  -- every event of an older transaction has its place
    sequenced bigint NOT NULL DEFAULT 0,
    published bigint NOT NULL DEFAULT 0
);
INSERT INTO tocsin.audit_relay DEFAULT VALUES;
"""


def upgrade() -> None:
    op.execute("CREATE SCHEMA IF NOT EXISTS tocsin")
    for statement in TABLES.split(";\n"):  # asyncpg takes one statement at a time
        if statement.strip():
            op.execute(statement)
