-- Whether an integration may be called now:
--   go         it may; as the one `probe` of an open breaker where that is given. `watched`: an answer is to be told
--   whose      settings were refused: whoever asks says which of these `fingerprints` are not his, and asks again
--   failing    its breaker is open: the next probe is due in `wait` seconds
--   limited    it asked to be left alone for `wait` seconds
-- With a `lease` (in seconds) whoever asks means to call; without one nothing changes.
CREATE OR REPLACE FUNCTION tocsin.let_through(name text, not_mine text[], lease float) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    theirs jsonb;
    b record;
    moment timestamptz := clock_timestamp();
BEGIN
    SELECT jsonb_agg(fingerprint) INTO theirs FROM tocsin.refused_settings r
    WHERE r.integration = name AND r.fingerprint <> ALL(not_mine);
    IF theirs IS NOT NULL THEN
        RETURN jsonb_build_object('verdict', 'whose', 'fingerprints', theirs);
    END IF;
    SELECT * INTO b FROM tocsin.breaker WHERE integration = name;
    IF NOT FOUND OR b.state = 'closed' THEN
        RETURN jsonb_build_object('verdict', 'go', 'watched', COALESCE(b.failures > 0, false)
            OR EXISTS (SELECT FROM tocsin.refused_settings r WHERE r.integration = name AND NOT r.replaced));
    END IF;
    IF lease IS NULL AND b.probe_at <= moment AND (b.probe_until IS NULL OR b.probe_until <= moment) THEN
        RETURN jsonb_build_object('verdict', 'go');
    ELSIF lease IS NOT NULL THEN
        UPDATE tocsin.breaker SET probe = gen_random_uuid(), probe_until = moment + make_interval(secs => lease)
        WHERE integration = name AND state = 'open' AND probe_at <= moment
            AND (probe_until IS NULL OR probe_until <= moment)
        RETURNING * INTO b;
        IF FOUND THEN
            RETURN jsonb_build_object('verdict', 'go', 'watched', true, 'probe', b.probe);
        END IF;
        SELECT * INTO b FROM tocsin.breaker WHERE integration = name;
    END IF;
    -- where a probe is under way, its answer may come at any moment
    RETURN jsonb_build_object('verdict', b.cause, 'why', b.why,
        'wait', GREATEST(extract(epoch FROM b.probe_at - moment), 1.0));
END
$$;
