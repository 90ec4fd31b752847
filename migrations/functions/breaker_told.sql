-- What came of a call to an integration, `c`:
--   answered   it answered, whatever it said
--   failing    it did not, or not as it should: enough of these open its breaker
--   limited    it asked to be left alone, for `pause` seconds where it said so
--   refused    it does not accept the settings with this `fingerprint`: nobody uses those again
--   unused     nothing was sent: another one may be the probe
-- A call is the probe where its `probe` is the breaker's. What was under way when a breaker opened, and comes later,
-- neither closes it nor keeps it open. Gives whether this opened or closed it.
CREATE OR REPLACE FUNCTION tocsin.breaker_told(name text, c jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    b record;
    came text := c->>'came';
    moment timestamptz := clock_timestamp();
    probing boolean;
    old boolean;
    owed boolean;
    seconds float;
BEGIN
    IF came = 'refused' THEN
        INSERT INTO tocsin.refused_settings (integration, fingerprint, why)
        VALUES (name, c->>'fingerprint', c->>'why') ON CONFLICT DO NOTHING;
        IF FOUND THEN
            PERFORM tocsin.record('breaker.opened', NULL, name, jsonb_build_object('cause', 'refused',
                'why', c->>'why', 'page', true));
        END IF;
        UPDATE tocsin.breaker SET probe = NULL, probe_until = NULL, probe_at = moment + make_interval(secs => pause)
        WHERE integration = name AND probe = (c->>'probe')::uuid;
        RETURN 'opened';
    END IF;
    IF came = 'answered' THEN
        -- whoever used the refused ones was not let through
        UPDATE tocsin.refused_settings SET replaced = true WHERE integration = name AND NOT replaced;
        IF FOUND THEN
            PERFORM tocsin.record('breaker.closed', NULL, name, jsonb_build_object('cause', 'refused',
                'how', 'other settings were accepted'));
        END IF;
    END IF;
    IF came IN ('failing', 'limited') THEN
        INSERT INTO tocsin.breaker (integration) VALUES (name) ON CONFLICT DO NOTHING;
    END IF;
    SELECT * INTO b FROM tocsin.breaker WHERE integration = name FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    old := b.since < moment - make_interval(secs => (c->>'within')::float);
    probing := b.state = 'open' AND b.probe IS NOT NULL AND b.probe = (c->>'probe')::uuid;
    IF came = 'unused' THEN
        IF probing THEN
            UPDATE tocsin.breaker SET probe = NULL, probe_until = NULL WHERE integration = name;
        END IF;
        RETURN NULL;
    END IF;
    IF came = 'answered' THEN
        IF probing THEN
            UPDATE tocsin.breaker SET state = 'closed', failures = 0, answers = 0, since = NULL, probe = NULL,
                probe_until = NULL, probes = 0, pause = 0, paged = false WHERE integration = name;
            PERFORM tocsin.record('breaker.closed', NULL, name, jsonb_build_object('cause', b.cause,
                'opened_at', b.opened_at, 'how', 'a probe was answered'));
            RETURN 'closed';
        END IF;
        IF b.state = 'closed' AND b.failures > 0 THEN
            -- failures that count no more: from now on nobody waits for answers
            UPDATE tocsin.breaker SET answers = CASE WHEN old THEN 0 ELSE answers + 1 END,
                failures = CASE WHEN old THEN 0 ELSE failures END WHERE integration = name;
        END IF;
        RETURN NULL;
    END IF;
    IF came = 'limited' THEN
        -- without a time of its own it is left alone as after a failure
        seconds := LEAST(COALESCE((c->>'pause')::float,
            CASE WHEN probing THEN LEAST(b.pause * 2, (c->>'longest')::float) ELSE (c->>'first')::float END),
            (c->>'longest_said')::float);
        UPDATE tocsin.breaker SET state = 'open', pause = CASE WHEN c->>'pause' IS NULL THEN seconds ELSE GREATEST(b.pause, (c->>'first')::float) END,
            cause = CASE WHEN b.state = 'open' AND NOT probing THEN b.cause ELSE 'limited' END,
            why = CASE WHEN b.state = 'open' AND NOT probing THEN b.why ELSE c->>'why' END,
            opened_at = CASE WHEN b.state = 'open' THEN b.opened_at ELSE moment END,
            probe_at = GREATEST(CASE WHEN b.state = 'open' THEN b.probe_at END, moment + make_interval(secs => seconds)),
            probe = CASE WHEN NOT probing THEN b.probe END, probe_until = CASE WHEN NOT probing THEN b.probe_until END
        WHERE integration = name;
        IF b.state = 'open' THEN
            RETURN NULL;
        END IF;
        PERFORM tocsin.record('breaker.opened', NULL, name, jsonb_build_object('cause', 'limited', 'why', c->>'why',
            'seconds', seconds));
        RETURN 'opened';
    END IF;
    IF probing THEN
        seconds := LEAST(b.pause * 2, (c->>'longest')::float);
        owed := EXISTS (SELECT FROM tocsin.taking_back t JOIN tocsin.action a ON a.shared = t.shared
                        WHERE a.integration = name AND a.state IN ('done', 'unknown'));
        owed := owed AND b.probes + 1 >= (c->>'page_at')::int AND NOT b.paged;
        UPDATE tocsin.breaker SET cause = 'failing', why = c->>'why', pause = seconds, probe = NULL, probe_until = NULL,
            probe_at = moment + make_interval(secs => seconds), probes = probes + 1, paged = paged OR owed
        WHERE integration = name;
        PERFORM tocsin.record('breaker.probe_failed', NULL, name, jsonb_build_object('why', c->>'why',
            'again_in', seconds, 'probes', b.probes + 1, 'page', owed));
        RETURN NULL;
    END IF;
    IF b.state = 'open' THEN
        RETURN NULL;
    END IF;
    IF COALESCE(old, true) THEN
        b.failures := 0;
        b.answers := 0;
        b.since := moment;
    END IF;
    b.failures := b.failures + 1;
    IF b.failures < (c->>'most')::int OR b.failures < b.answers THEN
        UPDATE tocsin.breaker SET failures = b.failures, answers = b.answers, since = b.since WHERE integration = name;
        RETURN NULL;
    END IF;
    seconds := (c->>'first')::float;
    UPDATE tocsin.breaker SET state = 'open', cause = 'failing', why = c->>'why', failures = b.failures,
        opened_at = moment, pause = seconds, probe_at = moment + make_interval(secs => seconds), probe = NULL,
        probe_until = NULL, probes = 0
    WHERE integration = name;
    PERFORM tocsin.record('breaker.opened', NULL, name, jsonb_build_object('cause', 'failing', 'why', c->>'why',
        'failures', b.failures, 'answers', b.answers, 'since', b.since, 'again_in', seconds));
    RETURN 'opened';
END
$$;
