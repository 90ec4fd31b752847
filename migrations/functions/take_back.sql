-- Whether an effect may be taken back now, and what is to be taken back:
--   go         nobody holds it any more: take it back within `lease` seconds; nobody asks for it anew meanwhile
--   held       somebody does, until `until` (none: until it is released)
--   busy       somebody else is taking it back
--   nothing    it is not in force
-- `prior` is the state that was found before the first of those who held it.
CREATE OR REPLACE FUNCTION tocsin.take_back(held text, lease float) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    newest tocsin.action;
    before jsonb;
    tries integer;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tocsin.effect ' || held));
    IF EXISTS (SELECT FROM tocsin.taking_back WHERE shared = held AND until > clock_timestamp()) THEN
        RETURN jsonb_build_object('verdict', 'busy');
    END IF;
    UPDATE tocsin.action SET released_at = clock_timestamp()
    WHERE shared = held AND released_at IS NULL AND until <= clock_timestamp()
        AND (state IN ('done', 'unknown') OR state = 'intended' AND send_before < clock_timestamp() - interval '1 minute');
    SELECT * INTO newest FROM tocsin.action
    WHERE shared = held AND mode = 'live' AND state IN ('intended', 'done', 'unknown') AND released_at IS NULL
    ORDER BY until DESC NULLS FIRST LIMIT 1;
    IF FOUND THEN
        RETURN jsonb_build_object('verdict', 'held', 'until', newest.until, 'run', newest.run);
    END IF;
    SELECT * INTO newest FROM tocsin.action
    WHERE shared = held AND mode = 'live' AND state IN ('intended', 'done', 'unknown') ORDER BY intended_at DESC, key LIMIT 1;
    IF NOT FOUND THEN
        DELETE FROM tocsin.taking_back WHERE shared = held;
        RETURN jsonb_build_object('verdict', 'nothing');
    END IF;
    SELECT prior INTO before FROM tocsin.action
    WHERE shared = held AND mode = 'live' AND state IN ('intended', 'done', 'unknown') ORDER BY intended_at, key LIMIT 1;
    INSERT INTO tocsin.taking_back AS t (shared, until, attempts)
    VALUES (held, clock_timestamp() + make_interval(secs => lease), 1)
    ON CONFLICT (shared) DO UPDATE SET until = EXCLUDED.until, attempts = t.attempts + 1
    RETURNING attempts INTO tries;
    RETURN jsonb_build_object('verdict', 'go', 'key', newest.key, 'run', newest.run, 'playbook', newest.playbook,
        'digest', newest.digest, 'event', newest.event, 'step', newest.step, 'path', newest.path,
        'capability', newest.capability, 'integration', newest.integration, 'target', newest.target,
        'parameters', newest.parameters, 'result', newest.result, 'until', newest.until,
        'early', newest.until IS NULL OR newest.until > clock_timestamp(), 'prior', before, 'attempts', tries);
END
$$;
