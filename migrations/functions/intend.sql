-- The intent of one action, and what to do about it:
--   send       nothing is open under this key: send now, before `send_before`
--   replay     this attempt (or a later one) has ended: here is what came of it
--   open       an earlier send has no outcome yet and may still be under way until `send_before`
--   halted     a kill switch is thrown, and nothing is open under this key: ask again when it is lifted
--   stale      another policy is in force than the one that the mode was decided under: decide anew
--   waits      the first target of the run goes ahead and is not seen yet; `refused` where it was not seen
--   over       people have to be asked first: it is above a budget; `denied` where they said no (see `over_budget`)
--   busy       the effect is being taken back: ask again in `wait` seconds, or the undo would hit what is done now
-- The parameters that were recorded first stand: a run whose task is carried out again, with alerts that joined
-- meanwhile, may render others, which are recorded and never sent. `parameters` is given where they differ, and
-- `seen` says how many joined alerts the recorded ones were rendered with.
CREATE OR REPLACE FUNCTION tocsin.intend(a jsonb, traces jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    entry tocsin.action;
    fresh boolean;
    recorded jsonb;
    held text := CASE WHEN a->>'mode' = 'live' THEN a->>'shared' END;
    before jsonb := NULLIF(a->'prior', 'null'::jsonb);
    lasts float;
    thrown jsonb;
    ahead jsonb;
    above jsonb;
BEGIN
    PERFORM tocsin.record_all(traces);
    thrown := tocsin.halting(a);
    -- what is under way or has ended is looked at all the same: only a new send is halted
    IF thrown IS NOT NULL AND NOT EXISTS (SELECT FROM tocsin.action WHERE key = a->>'key' AND state <> 'failed') THEN
        RETURN tocsin.halted(a, thrown);
    END IF;
    -- asked under the lock that `halting` holds, which putting a policy in force waits for
    IF a ? 'policy' AND a->>'effect' <> 'read' AND NOT a->'path' ? '~undo'
        AND a->>'policy' IS DISTINCT FROM (SELECT digest FROM tocsin.policy_in_force WHERE until IS NULL)
        AND NOT EXISTS (SELECT FROM tocsin.action WHERE key = a->>'key' AND state <> 'failed') THEN
        RETURN jsonb_build_object('verdict', 'stale');
    END IF;
    IF (a->>'canary')::boolean AND NOT EXISTS (SELECT FROM tocsin.action WHERE key = a->>'key' AND state <> 'failed') THEN
        ahead := tocsin.after_first(a);
        IF ahead IS NOT NULL THEN
            RETURN ahead;
        END IF;
    END IF;
    IF held IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(hashtext('tocsin.effect ' || held));
        SELECT extract(epoch FROM until - clock_timestamp()) INTO lasts
        FROM tocsin.taking_back WHERE shared = held AND until > clock_timestamp();
        IF FOUND AND NOT EXISTS (SELECT FROM tocsin.action WHERE key = a->>'key' AND state <> 'failed') THEN
            RETURN jsonb_build_object('verdict', 'busy', 'wait', lasts);
        END IF;
        -- who comes later finds what the first one did, and not what was there before it
        SELECT prior INTO before FROM tocsin.action
        WHERE shared = held AND mode = 'live' AND state IN ('intended', 'done', 'unknown') AND key <> a->>'key'
        ORDER BY intended_at, key LIMIT 1;
        IF NOT FOUND THEN
            before := NULLIF(a->'prior', 'null'::jsonb);
            -- what was seen may be an effect of ours that was taken back since: it has to be looked at anew
            IF (a->>'ended')::int IS DISTINCT FROM tocsin.ended(held)
                AND NOT EXISTS (SELECT FROM tocsin.action WHERE key = a->>'key' AND state <> 'failed') THEN
                RETURN jsonb_build_object('verdict', 'busy', 'wait', 0);
            END IF;
        END IF;
    END IF;
    -- last of all, since whoever passes has taken his place: nothing may keep him from being recorded
    above := tocsin.over_budget(a);
    IF above IS NOT NULL THEN
        RETURN above;
    END IF;
    INSERT INTO tocsin.action (key, run, playbook, digest, event, step, path, capability, effect, integration, target,
                               parameters, parameters_digest, mode, approval, until, state, attempt, sends, send_before, seen, shared, prior,
                               policy, mode_why, groups)
    VALUES (a->>'key', a->>'run', a->>'playbook', a->>'digest', a->>'event', a->>'step',
            ARRAY(SELECT jsonb_array_elements_text(a->'path')), a->>'capability', a->>'effect', a->>'integration',
            a->>'target', a->'parameters', a->>'parameters_digest', a->>'mode', a->>'approval',
            clock_timestamp() + make_interval(secs => (a->>'expires')::float), 'intended', (a->>'attempt')::int, 1,
            clock_timestamp() + make_interval(secs => (a->>'send_within')::float), (a->>'seen')::int, held, before,
            a->>'policy', NULLIF(a->>'mode_why', ''), tocsin.texts(a->'groups'))
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
            IF thrown IS NOT NULL THEN
                RETURN tocsin.halted(a, thrown);
            END IF;
            UPDATE tocsin.action SET state = 'intended', attempt = (a->>'attempt')::int, sends = sends + 1,
                send_before = clock_timestamp() + make_interval(secs => (a->>'send_within')::float),
                until = clock_timestamp() + make_interval(secs => (a->>'expires')::float),
                error_kind = NULL, error_message = NULL, retry_after = NULL, concluded_at = NULL,
                intended_at = clock_timestamp(), mode = a->>'mode', policy = a->>'policy',
                mode_why = NULLIF(a->>'mode_why', ''), groups = tocsin.texts(a->'groups')
            WHERE key = entry.key RETURNING * INTO entry;
        ELSIF entry.state = 'intended' THEN
            RETURN jsonb_build_object('verdict', 'open', 'mode', entry.mode, 'sends', entry.sends, 'until', entry.until,
                'parameters', recorded, 'seen', entry.seen,
                'wait', GREATEST(0, extract(epoch FROM entry.send_before - clock_timestamp())),
                'age', extract(epoch FROM clock_timestamp() - entry.send_before));
        ELSE
            RETURN jsonb_build_object('verdict', 'replay', 'mode', entry.mode, 'state', entry.state, 'result', entry.result,
                'parameters', recorded, 'seen', entry.seen,
                'integration', entry.integration, 'error_kind', entry.error_kind,
                'error_message', entry.error_message, 'retry_after', entry.retry_after,
                'milliseconds', entry.milliseconds);
        END IF;
    END IF;
    PERFORM tocsin.record('action.intended', entry.run, entry.target, jsonb_build_object(
        'key', entry.key, 'step', entry.step, 'capability', entry.capability, 'effect', entry.effect,
        'integration', entry.integration, 'parameters', entry.parameters, 'mode', entry.mode,
        'approval', entry.approval, 'until', entry.until, 'attempt', entry.attempt, 'send', entry.sends,
        'policy', entry.policy, 'mode_why', entry.mode_why));
    RETURN jsonb_build_object('verdict', 'send', 'mode', entry.mode, 'sends', entry.sends, 'until', entry.until, 'parameters', recorded,
        'seen', entry.seen, 'send_before', extract(epoch FROM entry.send_before), 'now', extract(epoch FROM clock_timestamp()));
END
$$;
