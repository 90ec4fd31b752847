-- The intent of one action, and what to do about it:
--   send       nothing is open under this key: send now, before `send_before`
--   replay     this attempt (or a later one) has ended: here is what came of it
--   open       an earlier send has no outcome yet and may still be under way until `send_before`
-- The parameters that were recorded first stand: a run whose task is carried out again, with alerts that joined
-- meanwhile, may render others, which are recorded and never sent. `parameters` is given where they differ, and
-- `seen` says how many joined alerts the recorded ones were rendered with.
CREATE OR REPLACE FUNCTION tocsin.intend(a jsonb, traces jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    entry tocsin.action;
    fresh boolean;
    recorded jsonb;
BEGIN
    PERFORM tocsin.record_all(traces);
    INSERT INTO tocsin.action (key, run, playbook, digest, event, step, path, capability, effect, integration, target,
                               parameters, parameters_digest, mode, approval, until, state, attempt, sends, send_before, seen)
    VALUES (a->>'key', a->>'run', a->>'playbook', a->>'digest', a->>'event', a->>'step',
            ARRAY(SELECT jsonb_array_elements_text(a->'path')), a->>'capability', a->>'effect', a->>'integration',
            a->>'target', a->'parameters', a->>'parameters_digest', a->>'mode', a->>'approval',
            clock_timestamp() + make_interval(secs => (a->>'expires')::float), 'intended', (a->>'attempt')::int, 1,
            clock_timestamp() + make_interval(secs => (a->>'send_within')::float), (a->>'seen')::int)
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
                'parameters', recorded, 'seen', entry.seen,
                'wait', GREATEST(0, extract(epoch FROM entry.send_before - clock_timestamp())),
                'age', extract(epoch FROM clock_timestamp() - entry.send_before));
        ELSE
            RETURN jsonb_build_object('verdict', 'replay', 'state', entry.state, 'result', entry.result,
                'parameters', recorded, 'seen', entry.seen,
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
        'seen', entry.seen, 'send_before', extract(epoch FROM entry.send_before), 'now', extract(epoch FROM clock_timestamp()));
END
$$;
