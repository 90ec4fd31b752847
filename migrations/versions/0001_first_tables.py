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

RECORD = """
CREATE FUNCTION tocsin.record(type text, run text, subject text, body jsonb) RETURNS uuid
LANGUAGE sql AS $$
    INSERT INTO tocsin.audit_event (type, run, subject, body) VALUES ($1, $2, $3, $4) RETURNING id
$$;
"""

RECORD_ALL = """
CREATE FUNCTION tocsin.record_all(events jsonb) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO tocsin.audit_event (type, run, subject, body)
    SELECT e->>'type', e->>'run', e->>'subject', COALESCE(e->'body', '{}'::jsonb)
    FROM jsonb_array_elements(events) WITH ORDINALITY AS list(e, place) ORDER BY place
$$;
"""

# The intent of one action, and what to do about it:
#   send       nothing is open under this key: send now, before `send_before`
#   replay     this attempt (or a later one) has ended: here is what came of it
#   open       an earlier send has no outcome yet and may still be under way until `send_before`
# The parameters that were recorded first stand: a run whose task is carried out again, with alerts that joined
# meanwhile, may render others, which are recorded and never sent. `parameters` is given where they differ.
INTEND = """
CREATE FUNCTION tocsin.intend(a jsonb, traces jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    entry tocsin.action;
    fresh boolean;
    recorded jsonb;
BEGIN
    PERFORM tocsin.record_all(traces);
    INSERT INTO tocsin.action (key, run, playbook, digest, event, step, path, capability, effect, integration, target,
                               parameters, parameters_digest, mode, approval, until, state, attempt, sends, send_before)
    VALUES (a->>'key', a->>'run', a->>'playbook', a->>'digest', a->>'event', a->>'step',
            ARRAY(SELECT jsonb_array_elements_text(a->'path')), a->>'capability', a->>'effect', a->>'integration',
            a->>'target', a->'parameters', a->>'parameters_digest', a->>'mode', a->>'approval',
            clock_timestamp() + make_interval(secs => (a->>'expires')::float), 'intended', (a->>'attempt')::int, 1,
            clock_timestamp() + make_interval(secs => (a->>'send_within')::float))
    ON CONFLICT (key) DO NOTHING
    RETURNING * INTO entry;
    fresh := FOUND;
    IF NOT fresh THEN
        SELECT * INTO STRICT entry FROM tocsin.action WHERE key = a->>'key' FOR UPDATE;
        IF entry.parameters_digest <> a->>'parameters_digest' THEN
            PERFORM tocsin.record('action.refused', a->>'run', entry.target,
                jsonb_build_object('key', entry.key, 'step', a->>'step', 'reason', 'parameters_changed',
                                   'parameters', a->'parameters'));
            recorded := entry.parameters;
        END IF;
        IF entry.state = 'failed' AND entry.attempt < (a->>'attempt')::int THEN
            UPDATE tocsin.action SET state = 'intended', attempt = (a->>'attempt')::int, sends = sends + 1,
                send_before = clock_timestamp() + make_interval(secs => (a->>'send_within')::float),
                until = clock_timestamp() + make_interval(secs => (a->>'expires')::float),
                error_kind = NULL, error_message = NULL, retry_after = NULL, concluded_at = NULL,
                intended_at = clock_timestamp()
            WHERE key = entry.key RETURNING * INTO entry;
        ELSIF entry.state = 'intended' THEN
            RETURN jsonb_build_object('verdict', 'open', 'sends', entry.sends, 'until', entry.until,
                'parameters', recorded,
                'wait', GREATEST(0, extract(epoch FROM entry.send_before - clock_timestamp())),
                'age', extract(epoch FROM clock_timestamp() - entry.send_before));
        ELSE
            RETURN jsonb_build_object('verdict', 'replay', 'state', entry.state, 'result', entry.result,
                'parameters', recorded,
                'integration', entry.integration, 'error_kind', entry.error_kind,
                'error_message', entry.error_message, 'retry_after', entry.retry_after,
                'milliseconds', entry.milliseconds);
        END IF;
    END IF;
    PERFORM tocsin.record('action.intended', entry.run, entry.target, jsonb_build_object(
        'key', entry.key, 'step', entry.step, 'capability', entry.capability, 'effect', entry.effect,
        'integration', entry.integration, 'parameters', entry.parameters, 'mode', entry.mode,
        'approval', entry.approval, 'until', entry.until, 'attempt', entry.attempt, 'send', entry.sends));
    RETURN jsonb_build_object('verdict', 'send', 'sends', entry.sends, 'until', entry.until, 'parameters', recorded,
        'send_before', extract(epoch FROM entry.send_before), 'now', extract(epoch FROM clock_timestamp()));
END
$$;
"""

# Another send under an open key, after its last one was proved to have had no effect (or may safely be repeated).
RESEND = """
CREATE FUNCTION tocsin.resend(k text, last_send integer, send_within float, why text) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    entry tocsin.action;
BEGIN
    UPDATE tocsin.action SET sends = sends + 1, send_before = clock_timestamp() + make_interval(secs => send_within)
    WHERE key = k AND state = 'intended' AND sends = last_send RETURNING * INTO entry;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('verdict', 'lost');
    END IF;
    PERFORM tocsin.record('action.intended', entry.run, entry.target, jsonb_build_object(
        'key', entry.key, 'step', entry.step, 'capability', entry.capability, 'effect', entry.effect,
        'integration', entry.integration, 'parameters', entry.parameters, 'mode', entry.mode,
        'approval', entry.approval, 'until', entry.until, 'attempt', entry.attempt, 'send', entry.sends, 'why', why));
    RETURN jsonb_build_object('verdict', 'send', 'sends', entry.sends, 'until', entry.until,
        'send_before', extract(epoch FROM entry.send_before), 'now', extract(epoch FROM clock_timestamp()));
END
$$;
"""

# The outcome of the open send. An outcome that comes after another one was recorded is kept in the audit, no more.
CONCLUDE = """
CREATE FUNCTION tocsin.conclude(k text, o jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    entry tocsin.action;
    late boolean;
BEGIN
    UPDATE tocsin.action SET state = o->>'state', result = NULLIF(o->'result', 'null'::jsonb),
        error_kind = o->>'error_kind', error_message = o->>'error_message', retry_after = (o->>'retry_after')::real,
        milliseconds = (o->>'milliseconds')::real, concluded_at = clock_timestamp()
    WHERE key = k AND (state = 'intended' AND (sends = (o->>'send')::int OR o->>'state' = 'done')
                       OR state = 'unknown' AND o->>'state' = 'done')
    RETURNING * INTO entry;
    late := NOT FOUND;
    IF late THEN
        SELECT * INTO STRICT entry FROM tocsin.action WHERE key = k;
    END IF;
    PERFORM tocsin.record(CASE WHEN late THEN 'action.outcome_late' ELSE 'action.' || (o->>'state') END,
        entry.run, entry.target, jsonb_build_object(
        'key', k, 'step', entry.step, 'capability', entry.capability, 'integration', entry.integration,
        'result', o->'result', 'error', CASE WHEN o->>'error_kind' IS NULL THEN NULL ELSE
            jsonb_build_object('kind', o->>'error_kind', 'message', o->>'error_message') END,
        'milliseconds', o->'milliseconds', 'attempt', entry.attempt, 'send', o->'send', 'how', o->>'how'));
    RETURN entry.state;
END
$$;
"""


def upgrade() -> None:
    op.execute("CREATE SCHEMA IF NOT EXISTS tocsin")
    for statement in TABLES.split(";\n"):  # asyncpg takes one statement at a time
        if statement.strip():
            op.execute(statement)
    for function in (RECORD, RECORD_ALL, INTEND, RESEND, CONCLUDE):
        op.execute(function)
