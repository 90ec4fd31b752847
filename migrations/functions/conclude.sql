-- The outcome of the open send. An outcome that comes after another one was recorded is kept in the audit, no more.
CREATE OR REPLACE FUNCTION tocsin.conclude(k text, o jsonb) RETURNS text
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
