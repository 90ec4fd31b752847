-- Why an action has to wait for the first of its run at this integration, or is refused because that was not seen;
-- nothing where it may go on, being the first itself or behind one that was seen.
CREATE OR REPLACE FUNCTION tocsin.after_first(a jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    ahead record;
BEGIN
    INSERT INTO tocsin.canary (run, capability, integration, key, target)
    VALUES (a->>'run', a->>'capability', a->>'integration', a->>'key', a->>'target') ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT ahead FROM tocsin.canary
    WHERE run = a->>'run' AND capability = a->>'capability' AND integration = a->>'integration';
    IF ahead.key = a->>'key' OR ahead.state = 'seen' THEN
        RETURN NULL;
    END IF;
    RETURN jsonb_build_object('verdict', CASE ahead.state WHEN 'failed' THEN 'refused' ELSE 'waits' END,
                              'first', ahead.target);
END
$$;
